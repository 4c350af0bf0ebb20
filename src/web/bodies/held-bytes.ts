/**
 * Bytes that arrived and are not shown yet. What is handed out is never written to again, and every byte is copied a bounded
 * number of times however small the pieces are that arrive.
 */
export class HeldBytes {
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Everything held; may be changed in place. Followed by at least one byte more, a quotation mark, that ends searches. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** The same with the mark behind `length`. */
  get marked(): Buffer {
    return this.#buffer;
  }

  add(bytes: Buffer): void {
    const needed = this.#length + bytes.length + 1;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(this.#length === 0 ? needed : Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, this.#length);
      this.#buffer = grown;
    }
    bytes.copy(this.#buffer, this.#length);
    this.#length += bytes.length;
    this.#buffer[this.#length] = 0x22;
  }

  /** Hands out the first `count` bytes and keeps the rest. */
  take(count: number): Buffer {
    if (count === 0) return this.#buffer.subarray(0, 0);
    const taken = this.#buffer.subarray(0, count);
    const rest = this.#buffer.subarray(count, this.#length);
    this.#buffer = empty;
    this.#length = 0;
    if (rest.length > 0) this.add(rest);
    return taken;
  }
}

const empty = Buffer.alloc(0);
