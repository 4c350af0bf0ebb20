import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** No file of a package is larger: below what the upload forms of compliance tools take (50 MB where we know of the least). */
export const mostFileBytes = 45 * 1024 * 1024;

/** A file while it is written, from front to back. */
export interface SinkFile {
  write(bytes: Buffer): void;
  /** Bytes and SHA-256 (hex) of the whole. */
  end(): FileTotals;
}

export interface FileTotals {
  readonly bytes: number;
  readonly sha256: string;
}

/** Where the files of a package go: to a folder, or, when a package is verified, against the files that are there. */
export interface Sink {
  file(name: string): SinkFile;
}

/** Writes files into a folder that is there. */
export class FolderSink implements Sink {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  file(name: string): SinkFile {
    const path = join(this.#dir, name);
    mkdirSync(dirname(path), { recursive: true });
    const fd = openSync(path, 'wx', 0o600);
    return buffered(
      (bytes) => {
        for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
      },
      () => closeSync(fd),
    );
  }
}

const chunkBytes = 256 * 1024;

/** Gathers small writes, and counts and hashes what passes. */
export function buffered(write: (bytes: Buffer) => void, close: () => void): SinkFile {
  const sha256 = createHash('sha256');
  let waiting: Buffer[] = [];
  let length = 0;
  let total = 0;
  const flush = (): void => {
    const bytes = Buffer.concat(waiting);
    waiting = [];
    length = 0;
    sha256.update(bytes);
    write(bytes);
  };
  return {
    write(bytes) {
      // A copy: the bytes may be a view that is used again.
      waiting.push(Buffer.from(bytes));
      length += bytes.length;
      total += bytes.length;
      if (length >= chunkBytes) flush();
    },
    end() {
      flush();
      close();
      return { bytes: total, sha256: sha256.digest('hex') };
    },
  };
}

export function writeText(sink: Sink, name: string, text: string): FileTotals {
  const file = sink.file(name);
  file.write(Buffer.from(text));
  return file.end();
}
