import { closeSync, fstatSync, fsyncSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../model/errors.ts';
import { FrameError, type Position, type SegmentHeader, segmentHeaderBytes } from './frame.ts';
import { readFrames } from './frames.ts';
import { lastEvent } from './lines.ts';
import { listSegments, readSegmentHeader, segmentPath } from './segment.ts';

/** One write carries at most this: what lies further behind a broken frame cannot be the tail of an interrupted write. */
export const maxWriteBytes = 1024 * 1024;

/** Where a log goes on. */
export interface LogEnd extends Position {
  /** Entries in the log. */
  readonly entries: number;
  /** Of the last event; 0 in an empty log. */
  readonly seq: number;
  /** Of the last event, ms since the epoch. */
  readonly time: number;
  /** Bytes of an unfinished write that were cut off. They were never acknowledged. */
  readonly cut: number;
}

/**
 * Finds the end of the log by reading its last segment. A tail that a crash left unfinished is put aside in `torn/` and zeroed. Throws
 * ConfigError, and changes nothing, when what is there cannot be the work of a crash: entries that were signed are missing.
 */
export function recoverEnd(dir: string, signedEntries: number): LogEnd | undefined {
  const headers = activeSegments(dir);
  const last = headers.at(-1);
  if (last === undefined) {
    if (signedEntries > 0) throw rolledBack(dir, signedEntries, 0);
    return undefined;
  }
  let entries = last.firstEntry;
  let tail: Buffer | undefined;
  let offset = segmentHeaderBytes;
  let broken: string | undefined;
  try {
    for (const frame of readFrames(dir, { segment: last.segment, offset })) {
      entries++;
      offset = frame.next.offset;
      tail = frame.payload;
    }
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    broken = error.message;
  }
  if (entries < signedEntries) throw rolledBack(dir, signedEntries, entries, broken);
  const event = tail === undefined ? undefined : lastEvent(tail);
  const cut = cutTail(dir, last.segment, offset, entries);
  return {
    segment: last.segment,
    offset,
    entries,
    seq: event?.seq ?? last.firstSeq - 1,
    time: event?.time ?? last.time,
    cut,
  };
}

function rolledBack(dir: string, signed: number, found: number, why?: string): ConfigError {
  const reason = why === undefined ? '' : ` (${why})`;
  return new ConfigError(
    `${dir}: the audit log's checkpoint was signed over ${signed} entries, but only the first ${found} are there and whole${reason}. ` +
      'It was rolled back, cut or damaged; restore it. Nothing was changed.',
  );
}

/** Headers of the segments in use, in order. Spares may follow them, nothing else. */
function activeSegments(dir: string): readonly SegmentHeader[] {
  const active: SegmentHeader[] = [];
  const numbers = listSegments(dir);
  for (const [i, segment] of numbers.entries()) {
    const header = readSegmentHeader(dir, segment);
    if (segment !== (numbers[0] ?? 0) + i)
      throw new ConfigError(`${dir}: segment ${segment - 1} of the audit log is missing`);
    if (header === undefined) {
      requireSpare(dir, segment);
      continue;
    }
    if (active.length !== i)
      throw new ConfigError(`${dir}: segment ${segment - 1} of the audit log has lost its header`);
    active.push(header);
  }
  return active;
}

/** A header is durable before the first frame behind it, so a segment with a broken header and anything behind it was damaged. */
function requireSpare(dir: string, segment: number): void {
  const used = usedEnd(segmentPath(dir, segment), 0);
  if (used > segmentHeaderBytes)
    throw new ConfigError(`${segmentPath(dir, segment)}: the header of this segment is damaged`);
  if (used > 0) zero(segmentPath(dir, segment), 0, segmentHeaderBytes);
}

function cutTail(dir: string, segment: number, offset: number, entries: number): number {
  const path = segmentPath(dir, segment);
  const used = usedEnd(path, offset);
  const cut = used - offset;
  if (cut === 0) return 0;
  if (cut > maxWriteBytes) {
    throw new ConfigError(
      `${path}: the frame at byte ${offset} is broken and ${cut} bytes follow it, more than one write. Nothing was changed.`,
    );
  }
  mkdirSync(join(dir, 'torn'), { recursive: true, mode: 0o700 });
  const bytes = Buffer.alloc(cut);
  const from = openSync(path, 'r');
  const to = openSync(join(dir, 'torn', `${entries}.bin`), 'w', 0o600);
  try {
    writeSync(to, bytes.subarray(0, readSync(from, bytes, 0, cut, offset)));
    fsyncSync(to);
  } finally {
    closeSync(from);
    closeSync(to);
  }
  zero(path, offset, cut);
  return cut;
}

function zero(path: string, offset: number, length: number): void {
  const fd = openSync(path, 'r+');
  try {
    writeSync(fd, Buffer.alloc(length), 0, length, offset);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Where the last byte that is not zero ends, at or after `from`. */
function usedEnd(path: string, from: number): number {
  const fd = openSync(path, 'r');
  try {
    const size = fstatSync(fd).size;
    const chunk = Buffer.allocUnsafe(1024 * 1024);
    const zeros = Buffer.alloc(chunk.length);
    let used = from;
    for (let at = from; at < size; ) {
      const count = readSync(fd, chunk, 0, Math.min(chunk.length, size - at), at);
      if (count === 0) break;
      if (chunk.compare(zeros, 0, count, 0, count) !== 0) {
        let i = count;
        while (chunk[i - 1] === 0) i--;
        used = at + i;
      }
      at += count;
    }
    return used;
  } finally {
    closeSync(fd);
  }
}
