const smallest = 4096;
/** Bytes of each size that are kept: memory that comes and goes has V8 collect garbage more often. */
const kept = 2_097_152;

/** Segment buffers of 4 KiB, 16 KiB, 64 KiB and 256 KiB, up to 2 MiB of each kept for reuse; idle sessions hold none. */
export class Buffers {
  readonly #free = new Map<number, Buffer[]>();

  /** At least `size` bytes (at most a segment), with what `grown` holds in its first `used`; gives `grown` back. */
  take(size: number, grown?: Buffer, used = 0): Buffer {
    let capacity = smallest;
    while (capacity < size) capacity *= 4;
    const buffer = this.#ofCapacity(capacity).pop() ?? Buffer.allocUnsafeSlow(capacity);
    if (grown !== undefined) {
      grown.copy(buffer, 0, 0, used);
      this.release(grown);
    }
    return buffer;
  }

  release(buffer: Buffer): void {
    const free = this.#ofCapacity(buffer.length);
    if ((free.length + 1) * buffer.length <= kept) free.push(buffer);
  }

  #ofCapacity(capacity: number): Buffer[] {
    let free = this.#free.get(capacity);
    if (free === undefined) {
      free = [];
      this.#free.set(capacity, free);
    }
    return free;
  }
}
