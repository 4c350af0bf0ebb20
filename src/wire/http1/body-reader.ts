import { ChunkReader } from './chunks.ts';
import type { Inbox } from './inbox.ts';
import type { HeadLimits } from './limits.ts';

const none: readonly string[] = [];

/** Takes one body out of the inbox, by any of the three ways in which HTTP/1.1 frames it. Nothing behind it is touched. */
export class BodyReader {
  /** Bytes still to come; Infinity until the connection closes. Unused with chunks. */
  #left: number;
  readonly #chunks: ChunkReader | undefined;

  constructor(length: number | 'chunked' | 'close', limits: HeadLimits, extensionBytes = 0) {
    this.#left = typeof length === 'number' ? length : Number.POSITIVE_INFINITY;
    this.#chunks = length === 'chunked' ? new ChunkReader(limits, extensionBytes) : undefined;
  }

  get done(): boolean {
    return this.#chunks === undefined ? this.#left === 0 : this.#chunks.done;
  }

  /** Whether the end of the connection is the end of the body. */
  get untilClose(): boolean {
    return this.#chunks === undefined && this.#left === Number.POSITIVE_INFINITY;
  }

  /** Bytes still to come; undefined where that is not known. */
  get left(): number | undefined {
    return this.#chunks === undefined && !this.untilClose ? this.#left : undefined;
  }

  /** Set when `done`. */
  get trailers(): readonly string[] {
    return this.#chunks === undefined ? none : this.#chunks.trailers;
  }

  /** The next piece; undefined when there is none in the inbox, or the body is done. Throws BadMessage. */
  read(inbox: Inbox): Buffer | undefined {
    if (this.#chunks !== undefined) return this.#chunks.read(inbox);
    if (this.#left === 0 || inbox.length === 0) return undefined;
    const piece = inbox.take(this.#left);
    this.#left -= piece.length;
    return piece;
  }
}
