import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { syncFolder } from '../durable-file.ts';
import type { ShippedRecord } from '../record.ts';
import type { RefusedRecord, Sink } from '../sink.ts';

export interface FileSinkOptions {
  readonly path: string;
  /** From this size on the file is renamed and a new one begun; with the number of its last event: `audit.00000000004711.jsonl`. */
  readonly rotateBytes: number;
  /** How many renamed files are kept; 0 for all. */
  readonly keep: number;
}

const seqDigits = 14;

/**
 * JSON lines in a file. Acknowledged means: synced to disk. A line that a crash or a full disk left unfinished is cut off before the next is
 * written, so that every line is whole. A file that somebody else renames or removes is begun anew.
 */
export class FileSink implements Sink {
  readonly limits = { records: 500, bytes: 1024 * 1024, recordBytes: 1024 * 1024 };
  readonly #options: FileSinkOptions;
  #file: FileHandle | undefined;
  #inode = 0;
  /** Bytes of whole, synced lines. */
  #size = 0;

  constructor(options: FileSinkOptions) {
    this.#options = options;
  }

  async send(batch: readonly ShippedRecord[]): Promise<readonly RefusedRecord[]> {
    try {
      const file = await this.#current();
      const bytes = Buffer.from(batch.map(({ json }) => `${json}\n`).join(''));
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, at, bytes.length - at, this.#size + at);
        at += bytesWritten;
      }
      await file.datasync();
      this.#size += bytes.length;
    } catch (error) {
      await this.close();
      throw error;
    }
    const last = batch.at(-1)?.event.seq;
    if (this.#size >= this.#options.rotateBytes && last !== undefined) await this.#rotate(last);
    return [];
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #current(): Promise<FileHandle> {
    const { path } = this.#options;
    if (this.#file !== undefined && (await inodeOf(path)) === this.#inode) return this.#file;
    await this.close();
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await openForAppending(path);
    this.#file = file;
    const { size, ino } = await file.stat();
    this.#inode = ino;
    this.#size = await wholeLines(file, size);
    if (this.#size < size) await file.truncate(this.#size);
    await file.sync();
    await syncFolder(dirname(path));
    return file;
  }

  async #rotate(last: number): Promise<void> {
    const { path, keep } = this.#options;
    await this.close();
    await rename(path, rotatedPath(path, last));
    await syncFolder(dirname(path));
    if (keep === 0) return;
    const old = await rotatedFiles(path);
    for (const name of old.slice(0, Math.max(0, old.length - keep)))
      await rm(join(dirname(path), name), { force: true });
  }
}

export function rotatedPath(path: string, last: number): string {
  const extension = extname(path);
  return `${path.slice(0, path.length - extension.length)}.${String(last).padStart(seqDigits, '0')}${extension}`;
}

/** Names of renamed files, oldest first. */
async function rotatedFiles(path: string): Promise<readonly string[]> {
  const extension = extname(path);
  const start = `${basename(path, extension)}.`;
  const names = await readdir(dirname(path));
  return names
    .filter((name) => {
      const middle = name.slice(start.length, name.length - extension.length);
      return name.startsWith(start) && name.endsWith(extension) && /^\d{14}$/.test(middle);
    })
    .sort();
}

/** Not 'a': after a failed write the position is ours to choose. Not through a link that somebody else put there. */
function openForAppending(path: string): Promise<FileHandle> {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
  return open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
}

async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Where the last whole line ends. */
async function wholeLines(file: FileHandle, size: number): Promise<number> {
  const chunk = Buffer.allocUnsafe(64 * 1024);
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - chunk.length);
    const { bytesRead } = await file.read(chunk, 0, end - start, start);
    const newline = chunk.subarray(0, bytesRead).lastIndexOf(0x0a);
    if (newline !== -1) return start + newline + 1;
    end = start;
  }
  return 0;
}
