import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readTarHeader } from '../audit/tar.ts';

/** The files of a package: a folder, or a tar archive of it. */
export interface PackageFiles {
  names(): readonly string[];
  has(name: string): boolean;
  /** The whole file as text; undefined when there is none. Throws when it is larger than 64 MiB. */
  text(name: string): string | undefined;
  /** From front to back, in pieces that are good until the next is asked for. Throws when there is no such file. */
  chunks(name: string): Generator<Buffer>;
  close(): void;
}

interface Extent {
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}

const chunkBytes = 256 * 1024;
const mostTextBytes = 64 * 1024 * 1024;

/** Throws when it is neither. */
export function openPackage(path: string): PackageFiles {
  return new Extents(statSync(path).isDirectory() ? inFolder(path) : inArchive(path));
}

class Extents implements PackageFiles {
  readonly #extents: ReadonlyMap<string, Extent>;

  constructor(extents: ReadonlyMap<string, Extent>) {
    this.#extents = extents;
  }

  names(): readonly string[] {
    return [...this.#extents.keys()];
  }

  has(name: string): boolean {
    return this.#extents.has(name);
  }

  text(name: string): string | undefined {
    const extent = this.#extents.get(name);
    if (extent === undefined) return undefined;
    if (extent.size > mostTextBytes) throw new Error(`${name} is larger than any such file of a package`);
    return Buffer.concat([...this.chunks(name)].map((chunk) => Buffer.from(chunk))).toString('utf8');
  }

  *chunks(name: string): Generator<Buffer> {
    const extent = this.#extents.get(name);
    if (extent === undefined) throw new Error(`${name} is missing`);
    const fd = openSync(extent.path, 'r');
    try {
      const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, extent.size));
      for (let done = 0; done < extent.size; ) {
        const length = readSync(fd, chunk, 0, Math.min(chunk.length, extent.size - done), extent.offset + done);
        if (length === 0) throw new Error(`${name} is cut short`);
        done += length;
        yield chunk.subarray(0, length);
      }
    } finally {
      closeSync(fd);
    }
  }

  close(): void {}
}

function inFolder(dir: string): ReadonlyMap<string, Extent> {
  const found = new Map<string, Extent>();
  for (const item of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    const path = join(item.parentPath, item.name);
    const name = path.slice(join(dir, '/').length).replaceAll('\\', '/');
    if (item.isFile()) found.set(name, { path, offset: 0, size: statSync(path).size });
    else if (!item.isDirectory()) throw new Error(`${name} is neither a file nor a folder`);
  }
  return found;
}

function inArchive(path: string): ReadonlyMap<string, Extent> {
  const found = new Map<string, Extent>();
  const fd = openSync(path, 'r');
  try {
    const total = fstatSync(fd).size;
    const block = Buffer.alloc(512);
    for (let offset = 0; ; ) {
      const header = readTarHeader(block.subarray(0, readSync(fd, block, 0, 512, offset)));
      if (header === undefined) return found;
      if (!Number.isSafeInteger(header.size) || header.size < 0) throw new Error('a header in the archive is damaged');
      if (header.file) {
        if (found.has(header.name)) throw new Error(`the archive holds ${header.name} twice`);
        found.set(header.name, { path, offset: offset + 512, size: header.size });
      }
      offset += 512 + Math.ceil(header.size / 512) * 512;
      if (offset > total) throw new Error('the archive is cut short');
    }
  } finally {
    closeSync(fd);
  }
}
