import { parseEntry } from '../audit/lines.ts';
import type { RecordedEvent } from '../model/event.ts';
import type { PackageFiles } from './package-files.ts';
import { mostFileBytes, type Sink, type SinkFile } from './sink.ts';

/** An entry of the log, as it was hashed. */
export interface Entry {
  readonly index: number;
  /** Good until the next is asked for. The byte before it may be overwritten. */
  readonly payload: Buffer;
  readonly file: string;
}

const blank = Buffer.from('\n');
/** More than the log lets an entry have. */
const mostEntryBytes = 128 * 1024;
const chunkRoom = 1024 * 1024;

/** Writes entries one after the other, an empty line behind each, into files that stay below what upload forms take. */
export class EntryWriter {
  readonly #sink: Sink;
  readonly #name: (part: number) => string;
  #part = 0;
  #bytes = 0;
  #file: SinkFile | undefined;

  constructor(sink: Sink, name: (part: number) => string) {
    this.#sink = sink;
    this.#name = name;
  }

  add(payload: Buffer): void {
    if (this.#file === undefined || this.#bytes + payload.length + 1 > mostFileBytes) {
      this.#file?.end();
      this.#file = this.#sink.file(this.#name(++this.#part));
      this.#bytes = 0;
    }
    this.#file.write(payload);
    this.#file.write(blank);
    this.#bytes += payload.length + 1;
  }

  end(): void {
    this.#file?.end();
  }
}

/**
 * The entries of files that were written so, in order, numbered from `first`. Memory: one chunk. Throws when a file does not consist
 * of entries.
 */
export function* readEntries(files: PackageFiles, names: readonly string[], first: number): Generator<Entry> {
  let index = first;
  for (const file of names) {
    // Room for a byte before the first entry, for the leaf's prefix.
    const work = Buffer.allocUnsafe(mostEntryBytes + chunkRoom);
    let filled = 1;
    for (const chunk of files.chunks(file)) {
      filled += chunk.copy(work, filled);
      const bytes = work.subarray(0, filled);
      let start = 1;
      for (let end = bytes.indexOf('\n\n', start); end !== -1; end = bytes.indexOf('\n\n', start)) {
        yield { index: index++, payload: bytes.subarray(start, end + 1), file };
        start = end + 2;
      }
      work.copyWithin(1, start, filled);
      filled -= start - 1;
      if (filled > mostEntryBytes) throw new Error(`${file}: what follows entry ${index - 1} is no entry`);
    }
    if (filled > 1) throw new Error(`${file}: the file ends inside entry ${index}`);
  }
}

/** Throws an error that names the entry. */
export function eventsOf({ payload, file, index }: Entry): readonly RecordedEvent[] {
  try {
    return parseEntry(payload);
  } catch (error) {
    throw new Error(`${file}: entry ${index} is not JSON: ${(error as Error).message}`);
  }
}
