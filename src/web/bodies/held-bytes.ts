/**
 * Bytes that arrived and are not shown yet. What was handed out is never written to again, and every byte is copied a bounded number of
 * times, however small the pieces are in which bytes arrive or are taken.
 */
export class HeldBytes {
  #buffer: Buffer = empty;
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  /** Everything held; may be changed in place. */
  get bytes(): Buffer {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** The same with at least one byte behind `length`, a quotation mark, that ends searches. */
  get marked(): Buffer {
    return this.#start === this.#end ? onlyMark : this.#buffer.subarray(this.#start);
  }

  add(bytes: Buffer): void {
    if (bytes.length === 0) return;
    const held = this.length;
    if (this.#end + bytes.length + 1 > this.#buffer.length) {
      const needed = held + bytes.length + 1;
      const grown = Buffer.allocUnsafe(held === 0 ? needed : Math.max(needed, held * 2));
      this.#buffer.copy(grown, 0, this.#start, this.#end);
      this.#buffer = grown;
      this.#start = 0;
      this.#end = held;
    }
    bytes.copy(this.#buffer, this.#end);
    this.#end += bytes.length;
    this.#buffer[this.#end] = 0x22;
  }

  /** Hands out the first `count` bytes and keeps the rest. */
  take(count: number): Buffer {
    const taken = this.#buffer.subarray(this.#start, this.#start + count);
    this.#start += count;
    if (this.#start === this.#end) {
      this.#buffer = empty;
      this.#start = 0;
      this.#end = 0;
    }
    return taken;
  }
}

const empty = Buffer.alloc(0);
const onlyMark = Buffer.from('"');
