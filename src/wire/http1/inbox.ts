import { BadMessage } from './bad-message.ts';
import { cr, lf, tokenClass } from './characters.ts';

const blankLine = Buffer.from('\r\n\r\n');
const none = Buffer.alloc(0);

/**
 * Bytes that have arrived and were not taken. What was taken may be kept: its memory is never written again.
 * A chunk that finds the inbox empty is not copied, so the common case, one chunk with all of a message, costs nothing.
 */
export class Inbox {
  /** From `start` to `end` is what waits. */
  bytes: Buffer = none;
  start = 0;
  end = 0;
  /** Whether `bytes` is ours to write behind `end`. */
  #own = false;
  /** How far a search for the end of a head has come. */
  #searched = 0;

  get length(): number {
    return this.end - this.start;
  }

  append(chunk: Buffer): void {
    if (this.start === this.end) {
      this.bytes = chunk;
      this.start = 0;
      this.end = chunk.length;
      this.#searched = 0;
      this.#own = false;
      return;
    }
    if (!this.#own || this.bytes.length - this.end < chunk.length) this.#grow(chunk.length);
    chunk.copy(this.bytes, this.end);
    this.end += chunk.length;
  }

  /** Takes up to `most` bytes. */
  take(most: number): Buffer {
    const { bytes, start } = this;
    const to = Math.min(this.end, start + most);
    this.skipTo(to);
    return start === 0 && to === bytes.length ? bytes : bytes.subarray(start, to);
  }

  /** Everything before this position in `bytes` is done with. Memory of which all is done with is let go: most connections are idle. */
  skipTo(position: number): void {
    if (position === this.end) this.clear();
    else this.start = this.#searched = position;
  }

  clear(): void {
    this.bytes = none;
    this.start = this.end = this.#searched = 0;
    this.#own = false;
  }

  /**
   * The position in `bytes` of the blank line that ends a head: of its first CR, which ends the last line. -1 while it has not come.
   * Each byte is looked at once, however the head is cut. Throws BadMessage: longer than `most`, a CR or LF that does not end a line,
   * or no letter at the beginning (somebody speaks TLS to us).
   */
  headEnd(most: number): number {
    const from = Math.max(this.start, this.#searched - 3);
    const arrived = this.#own ? this.bytes.subarray(0, this.end) : this.bytes;
    const found = arrived.indexOf(blankLine, from);
    if (found !== -1) {
      if (found + 4 - this.start > most) throw new BadMessage('the head is too long', 431);
      return found;
    }
    if (this.length > most) throw new BadMessage('the head is too long', 431);
    const first = this.bytes[this.start] as number;
    if (this.length > 0 && first !== cr && tokenClass[first] === 0) throw new BadMessage('not HTTP');
    this.#lines(Math.max(this.start, this.#searched - 1));
    this.#searched = this.end;
    return -1;
  }

  /** A line ends with both or it is not ours: said at once rather than when time is up. */
  #lines(from: number): void {
    const { bytes, end } = this;
    for (let index = from; index < end; index++) {
      const code = bytes[index] as number;
      if (code === lf && (index === this.start || bytes[index - 1] !== cr)) throw new BadMessage('a bare LF');
      if (code === cr && index + 1 < end && bytes[index + 1] !== lf) throw new BadMessage('a bare CR');
    }
  }

  #grow(more: number): void {
    const { length } = this;
    const memory = Buffer.allocUnsafeSlow(Math.max(4096, 2 * (length + more)));
    this.bytes.copy(memory, 0, this.start, this.end);
    this.#searched -= this.start;
    this.bytes = memory;
    this.start = 0;
    this.end = length;
    this.#own = true;
  }
}
