import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { FrameError, frameHeaderBytes, maxEntryBytes, segmentHeaderBytes } from './frame.ts';
import { readFrames } from './frames.ts';
import { listSegments, readSegmentHeader, segmentPath, segmentsDir } from './segment.ts';
import { readTarHeader, type TarMember } from './tar.ts';
import { TileStore } from './tile-store.ts';
import { bundlePath, tilePath, tileWidth } from './tiles.ts';

/** Where something lies, for people: a file of the log and a byte in it. */
export interface Place {
  readonly file: string;
  readonly offset: number;
}

/** An entry, or why there is none: then `lost` entries from there on cannot be told apart. */
export type SourceEntry =
  | (Place & { readonly payload: Buffer })
  | (Place & { readonly broken: string; readonly lost: number });

/** A log as it is to be verified. */
export interface LogSource {
  /** A file larger than a tile is good until the next such file is read. */
  read(name: string): Buffer | undefined;
  tile(level: number, index: number, width: number): Buffer | undefined;
  /** A live data directory may hold entries that are not signed yet, and may lack tiles; an export may not. */
  readonly live: boolean;
  /** In order. The byte before a payload may be overwritten; a payload is good until the next is asked for. */
  entries(size: number): Generator<SourceEntry>;
  /** Files that nobody has read. */
  unread(): readonly string[];
  close(): void;
}

/** A directory of a running or stopped gateway, an export, or an export unpacked. */
export function openSource(path: string): LogSource {
  if (!statSync(path).isDirectory()) return new ExportSource(new TarFiles(path));
  return existsSync(segmentsDir(path)) ? new LiveSource(path) : new ExportSource(new DirectoryFiles(path));
}

class LiveSource implements LogSource {
  readonly live = true;
  readonly #dir: string;
  readonly #tiles: TileStore;

  constructor(dir: string) {
    this.#dir = dir;
    this.#tiles = new TileStore(dir);
  }

  read(name: string): Buffer | undefined {
    const path = join(this.#dir, name);
    return existsSync(path) ? readFileSync(path) : undefined;
  }

  tile(level: number, index: number, width: number): Buffer | undefined {
    return this.#tiles.read(level, index, width);
  }

  *entries(size: number): Generator<SourceEntry> {
    const numbers = listSegments(this.#dir);
    let entry = 0;
    for (const [i, segment] of numbers.entries()) {
      const file = segmentPath(this.#dir, segment);
      const lost = (): number => Math.max(0, size - entry);
      const header = readSegmentHeader(this.#dir, segment);
      if (header === undefined) {
        const used = numbers.slice(i).some((later) => readSegmentHeader(this.#dir, later) !== undefined);
        if (used || entry < size) yield { broken: 'the segment has no header', file, offset: 0, lost: lost() };
        return;
      }
      if (header.firstEntry !== entry) {
        yield {
          broken: `the segment begins with entry ${header.firstEntry}, entry ${entry} was expected`,
          file,
          offset: 0,
          lost: lost(),
        };
        return;
      }
      let offset = segmentHeaderBytes;
      try {
        for (const frame of readFrames(this.#dir, { segment, offset })) {
          entry++;
          offset = frame.next.offset;
          yield { payload: frame.payload, file, offset: frame.at.offset + frameHeaderBytes };
        }
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
        // A write may be under way, or was interrupted: such a tail was never acknowledged, and the next start cuts it.
        const last = numbers.slice(i + 1).every((later) => readSegmentHeader(this.#dir, later) === undefined);
        if (!last || entry < size) yield { broken: error.message, file, offset, lost: lost() };
        return;
      }
    }
  }

  unread(): readonly string[] {
    return [];
  }

  close(): void {}
}

/** Files of an export by name. */
interface Files {
  read(name: string): Buffer | undefined;
  names(): Iterable<string>;
  close(): void;
}

class ExportSource implements LogSource {
  readonly live = false;
  readonly #files: Files;
  readonly #seen = new Set<string>();

  constructor(files: Files) {
    this.#files = files;
  }

  read(name: string): Buffer | undefined {
    this.#seen.add(name);
    return this.#files.read(name);
  }

  tile(level: number, index: number, width: number): Buffer | undefined {
    return this.read(tilePath(level, index, width));
  }

  *entries(size: number): Generator<SourceEntry> {
    for (let index = 0; index * tileWidth < size; index++) {
      const width = Math.min(tileWidth, size - index * tileWidth);
      const file = bundlePath(index, width);
      yield* bundleEntries(file, width, this.read(file));
    }
  }

  unread(): readonly string[] {
    const unread: string[] = [];
    for (const name of this.#files.names()) if (!this.#seen.has(name) && unread.length < 100) unread.push(name);
    return unread;
  }

  close(): void {
    this.#files.close();
  }
}

function* bundleEntries(file: string, width: number, bytes: Buffer | undefined): Generator<SourceEntry> {
  let offset = 0;
  for (let i = 0; i < width; i++) {
    const start = offset + 2;
    const end = bytes === undefined || start > bytes.length ? -1 : start + bytes.readUInt16BE(offset);
    if (bytes === undefined || end === -1 || end > bytes.length) {
      yield {
        broken: bytes === undefined ? 'the file is missing' : 'the file ends inside an entry',
        file,
        offset,
        lost: width - i,
      };
      return;
    }
    yield { payload: bytes.subarray(start, end), file, offset: start };
    offset = end;
  }
  if (offset !== bytes?.length) yield { broken: 'bytes follow the last entry', file, offset, lost: 0 };
}

class DirectoryFiles implements Files {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  read(name: string): Buffer | undefined {
    const path = join(this.#dir, name);
    return existsSync(path) ? readFileSync(path) : undefined;
  }

  *names(): Generator<string> {
    for (const item of readdirSync(this.#dir, { recursive: true, withFileTypes: true })) {
      if (item.isFile()) yield join(item.parentPath, item.name).slice(join(this.#dir, '/').length);
    }
  }

  close(): void {}
}

/** A bundle of the largest entries. */
const maxFileBytes = tileWidth * (2 + maxEntryBytes);

class TarFiles implements Files {
  readonly #fd: number;
  readonly #members = new Map<string, TarMember & { readonly offset: number }>();
  #large = Buffer.alloc(0);

  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    const total = fstatSync(this.#fd).size;
    for (let offset = 0; ; ) {
      const header = readTarHeader(this.#bytes(offset, 512));
      if (header === undefined) {
        this.#requireZeros(offset, total);
        break;
      }
      if (header.file) {
        if (this.#members.has(header.name)) throw new Error(`the archive holds ${header.name} twice`);
        if (header.size > maxFileBytes) throw new Error(`${header.name} is larger than any file of a log`);
        this.#members.set(header.name, { ...header, offset: offset + 512 });
      }
      offset += 512 + Math.ceil(header.size / 512) * 512;
      if (offset > total) throw new Error('the archive is cut short');
    }
  }

  read(name: string): Buffer | undefined {
    const member = this.#members.get(name);
    if (member === undefined) return undefined;
    const bytes = this.#bytes(member.offset, Math.ceil(member.size / 512) * 512);
    if (bytes.subarray(member.size).some((byte) => byte !== 0))
      throw new Error(`the archive's padding behind ${name} was changed`);
    return bytes.subarray(0, member.size);
  }

  names(): Iterable<string> {
    return this.#members.keys();
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Large reads share one buffer, good until the next large one: a bundle of entries can have 16 MiB, and there are many of them. */
  #bytes(offset: number, length: number): Buffer {
    if (length > 16 * 1024 && length > this.#large.length) this.#large = Buffer.allocUnsafe(length);
    const bytes = length > 16 * 1024 ? this.#large : Buffer.allocUnsafe(length);
    return bytes.subarray(0, readSync(this.#fd, bytes, 0, length, offset));
  }

  #requireZeros(from: number, to: number): void {
    if (to - from < 1024 || to - from > 1024 * 1024 || this.#bytes(from, to - from).some((byte) => byte !== 0)) {
      throw new Error('the archive does not end as it should');
    }
  }
}
