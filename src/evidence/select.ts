import { parseEntry } from '../audit/lines.ts';
import { type Checkpoint, decodeCheckpoint, decodeVkey, openNote } from '../audit/note.ts';
import { type LogSource, openSource } from '../audit/source.ts';
import { bundlePath, tileWidth } from '../audit/tiles.ts';
import { inclusionProof } from '../audit/tree.ts';
import type { RecordedEvent } from '../model/event.ts';
import { Context } from './context.ts';
import { EntryWriter } from './entry-files.ts';
import { jsonText } from './json.ts';
import type { Period } from './period.ts';
import { rangeProof, subtreesOf } from './range-proof.ts';
import { type Sink, writeText } from './sink.ts';

/** Which entries of the log a package holds, and what proves it: `log/proof.json`. Hashes are base64. */
export interface LogProof {
  /** Entries [from, to) of the log, all of them, in `events/`. */
  readonly from: number;
  readonly to: number;
  readonly range: readonly string[];
  /** Entries before and behind them: what was open when the period began, and the neighbours that show where it begins and ends. */
  readonly single: readonly { readonly entry: number; readonly proof: readonly string[] }[];
  /** Of the events before the period, those that matter in it, by number. */
  readonly context: readonly number[];
}

export const logFiles = {
  checkpoint: 'log/checkpoint.txt',
  vkey: 'log/vkey.txt',
  proof: 'log/proof.json',
  context: 'events/context.log',
  part: (part: number) => `events/${String(part).padStart(5, '0')}.log`,
} as const;

/** A log that covers no part of the period. */
export class NothingToShow extends Error {
  override readonly name = 'NothingToShow';
}

/**
 * Copies what a package needs of a log, an export or a data folder in use: the entries of the period, those before it that matter still, the checkpoint, the
 * key, and the proofs that these are entries of that log and that none of the period is missing. The log has to be verified before.
 */
export function selectEvents(
  path: string,
  vkey: string,
  period: Period,
  sink: Sink,
): { readonly checkpoint: Checkpoint; readonly proof: LogProof } {
  const source = openSource(path);
  try {
    const note = source.read('checkpoint')?.toString('utf8') ?? '';
    const checkpoint = decodeCheckpoint(openNote(note, decodeVkey(vkey)));
    const proof = copy(source, checkpoint, period, sink);
    writeText(sink, logFiles.checkpoint, note);
    writeText(sink, logFiles.vkey, `${vkey}\n`);
    writeText(sink, logFiles.proof, jsonText(proof));
    return { checkpoint, proof };
  } finally {
    source.close();
  }
}

function copy(source: LogSource, { size }: Checkpoint, period: Period, sink: Sink): LogProof {
  const context = new Context();
  const writer = new EntryWriter(sink, logFiles.part);
  /** seq → entry, one for each entry before the period: how the context is found again. */
  const firstSeqs: number[] = [];
  let from: number | undefined;
  let to = 0;
  let index = 0;
  for (const item of source.entries(size)) {
    // A data folder may hold more, which is not signed yet.
    if (index === size) break;
    if ('broken' in item) throw new Error(`${item.file}: ${item.broken}`);
    const { payload } = item;
    if (from === undefined) {
      const events = parseEntry(payload);
      if ((events.at(-1) as RecordedEvent).time >= period.from) {
        if ((events[0] as RecordedEvent).time >= period.to) break;
        from = index;
        for (const event of events) if (event.time < period.from) context.add(event);
      } else {
        firstSeqs.push((events[0] as RecordedEvent).seq);
        for (const event of events) context.add(event);
      }
    } else if (firstTime(payload) >= period.to) {
      break;
    }
    if (from !== undefined) {
      writer.add(payload);
      to = index + 1;
    }
    index++;
  }
  writer.end();
  if (from === undefined) throw new NothingToShow('the log has no event in this period');
  const single = new Set<number>();
  if (from > 0) single.add(from - 1);
  const needed = context.needed(period.from);
  for (const seq of needed) {
    const entry = lastAtMost(firstSeqs, seq);
    if (entry !== undefined && entry < from) single.add(entry);
  }
  // Of a seq in the first entry of the period the entry is there already; `lastAtMost` finds the one before it, a neighbour.
  if (to < size) single.add(to);
  return writeSingles(
    source,
    size,
    { from, to, context: needed },
    [...single].toSorted((a, b) => a - b),
    sink,
  );
}

function writeSingles(
  source: LogSource,
  size: number,
  { from, to, context }: Pick<LogProof, 'from' | 'to' | 'context'>,
  entries: readonly number[],
  sink: Sink,
): LogProof {
  const read = subtreesOf(source, size);
  const writer = new EntryWriter(sink, (part) => (part === 1 ? logFiles.context : `events/context.${part}.log`));
  const base64 = (hashes: readonly Buffer[]) => hashes.map((hash) => hash.toString('base64'));
  for (const payload of entriesAt(source, size, entries)) writer.add(payload);
  const single = entries.map((entry) => ({ entry, proof: base64(inclusionProof(read, entry, size)) }));
  writer.end();
  return { from, to, range: base64(rangeProof(read, from, to, size)), single, context };
}

/** Entries by their numbers, which ascend: in an export each out of its bundle, in a data folder on one walk. */
function* entriesAt(source: LogSource, size: number, entries: readonly number[]): Generator<Buffer> {
  if (!source.live) {
    for (const entry of entries) yield bundled(source, size, entry);
    return;
  }
  let index = 0;
  let found = 0;
  for (const item of source.entries(size)) {
    if (found === entries.length) return;
    if ('broken' in item) throw new Error(`${item.file}: ${item.broken}`);
    if (index++ !== entries[found]) continue;
    found++;
    yield item.payload;
  }
}

function bundled(source: LogSource, size: number, entry: number): Buffer {
  const index = Math.floor(entry / tileWidth);
  const bundle = source.read(bundlePath(index, Math.min(tileWidth, size - index * tileWidth)));
  if (bundle === undefined) throw new Error(`the bundle of entry ${entry} is missing`);
  let offset = 0;
  for (let i = index * tileWidth; i < entry; i++) offset += 2 + bundle.readUInt16BE(offset);
  return bundle.subarray(offset + 2, offset + 2 + bundle.readUInt16BE(offset));
}

/** The time of an entry's first event, read off its beginning as the log writes it. */
export function firstTime(payload: Buffer): string {
  const head = payload.toString('latin1', 0, 80);
  const found = /^\{"seq":\d+,"time":"([^"]{24})"/.exec(head)?.[1];
  return found ?? (parseEntry(payload)[0] as RecordedEvent).time;
}

/** Place of the last number that is at most `value`, in ascending numbers. */
function lastAtMost(numbers: readonly number[], value: number): number | undefined {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? undefined : low - 1;
}
