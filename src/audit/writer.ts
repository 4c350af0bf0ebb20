import {
  encodeSegmentHeader,
  frameHeaderBytes,
  type Position,
  type SegmentHeader,
  segmentHeaderBytes,
} from './frame.ts';
import { maxWriteBytes } from './recovery.ts';
import type { SegmentFile } from './segment.ts';

/** What the writer asks of the place it writes to. */
export interface Segments {
  /** Opens a segment for durable writes; one that is not there yet is made at once. */
  open(segment: number): SegmentFile;
  readonly segmentBytes: number;
}

/** One write: bytes of a group, or a segment's header. */
interface Piece {
  readonly bytes: Buffer;
  readonly position: number;
}

/**
 * Puts groups of frames into segments, one after the other. The steps are the same whether a write is synchronous or not: `pieces`
 * says what to write next, and each piece is durable before the next is asked for.
 */
export class SegmentWriter {
  readonly #segments: Segments;
  #file: SegmentFile;
  #at: Position;
  #entries: number;

  constructor(segments: Segments, at: Position, entries: number) {
    this.#segments = segments;
    this.#at = at;
    this.#entries = entries;
    this.#file = segments.open(at.segment);
  }

  /** All before it is durable. */
  get at(): Position {
    return this.#at;
  }

  get entries(): number {
    return this.#entries;
  }

  writeSync(group: GroupBytes): void {
    for (const { bytes, position } of this.#pieces(group)) this.#file.writeSync(bytes, position);
  }

  async write(group: GroupBytes): Promise<void> {
    for (const { bytes, position } of this.#pieces(group)) await this.#file.write(bytes, position);
  }

  /** µs that each of `times` durable writes took, over zeros behind the end of the log, where they change nothing. */
  measure(times: number): readonly number[] {
    const zeros = Buffer.alloc(Math.max(0, Math.min(512, this.#segments.segmentBytes - this.#at.offset)));
    return Array.from({ length: zeros.length === 0 ? 0 : times }, () => {
      const start = process.hrtime.bigint();
      this.#file.writeSync(zeros, this.#at.offset);
      return Number(process.hrtime.bigint() - start) / 1000;
    });
  }

  close(): void {
    this.#file.close();
  }

  /** Frames as long as they fit the segment and one write; then on in the next segment. */
  *#pieces({ bytes, ends }: GroupBytes): Generator<Piece> {
    let start = 0;
    for (let i = 0; i < ends.length; ) {
      const room = Math.min(maxWriteBytes, this.#segments.segmentBytes - this.#at.offset);
      let end = start;
      let count = 0;
      while (i + count < ends.length && (ends[i + count] as number) - start <= room) end = ends[i + count++] as number;
      if (count === 0) {
        yield this.#rotate(firstEvent(bytes, start + frameHeaderBytes));
        continue;
      }
      yield { bytes: bytes.subarray(start, end), position: this.#at.offset };
      this.#at = { segment: this.#at.segment, offset: this.#at.offset + end - start };
      this.#entries += count;
      i += count;
      start = end;
    }
  }

  #rotate(counters: Pick<SegmentHeader, 'firstSeq' | 'time'>): Piece {
    const segment = this.#at.segment + 1;
    const next = this.#segments.open(segment);
    this.#file.close();
    this.#file = next;
    this.#at = { segment, offset: segmentHeaderBytes };
    return { bytes: encodeSegmentHeader({ segment, firstEntry: this.#entries, ...counters }), position: 0 };
  }
}

export interface GroupBytes {
  readonly bytes: Buffer;
  /** Where each frame ends. */
  readonly ends: readonly number[];
}

/** Number and time of the event at the start of a frame's payload, as `log.ts` writes them. */
function firstEvent(bytes: Buffer, start: number): { readonly firstSeq: number; readonly time: number } {
  const [, seq, time] = /^\{"seq":(\d+),"time":"([^"]+)"/.exec(bytes.toString('latin1', start, start + 80)) ?? [];
  return { firstSeq: Number(seq), time: Date.parse(time ?? '') };
}
