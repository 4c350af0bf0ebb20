/** Original values on their way into a keyed digest, each after its length (u32, big endian). Reused batch after batch. */
export class Originals {
  count = 0;
  #bytes = Buffer.allocUnsafeSlow(1024);
  #used = 0;

  add(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    const needed = this.#used + 4 + size;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, needed));
      this.#bytes.copy(grown, 0, 0, this.#used);
      this.#bytes = grown;
    }
    this.#bytes.writeUInt32BE(size, this.#used);
    if (size < 48) for (let i = 0; i < size; i++) this.#bytes[this.#used + 4 + i] = bytes[start + i]!;
    else this.#bytes.set(bytes.subarray(start, end), this.#used + 4);
    this.#used = needed;
    this.count += 1;
  }

  /** What was added since the last call, valid until the next `add`. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#used);
    this.#used = 0;
    this.count = 0;
    if (this.#bytes.length > mostKept) this.#bytes = Buffer.allocUnsafeSlow(1024);
    return taken;
  }
}

const mostKept = 1024 * 1024;
