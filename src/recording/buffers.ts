const smallest = 4096;
/** Bytes that are kept: memory that comes and goes has V8 collect garbage more often. */
const keptBytes = 8_388_608;

/** Segment buffers of 4 KiB, 8 KiB, … 256 KiB, up to 8 MiB in all kept for reuse; idle sessions hold none. */
export class Buffers {
  readonly #free = new Map<number, Buffer[]>();
  #kept = 0;

  /** At least `size` bytes (at most a segment), with what `grown` holds in its first `used`; gives `grown` back. */
  take(size: number, grown?: Buffer, used = 0): Buffer {
    let capacity = smallest;
    while (capacity < size) capacity *= 2;
    const buffer = this.#reuse(capacity) ?? Buffer.allocUnsafeSlow(capacity);
    if (grown !== undefined) {
      grown.copy(buffer, 0, 0, used);
      this.release(grown);
    }
    return buffer;
  }

  release(buffer: Buffer): void {
    const capacity = buffer.length;
    if (this.#kept + capacity > keptBytes) return;
    this.#kept += capacity;
    const free = this.#free.get(capacity);
    if (free === undefined) this.#free.set(capacity, [buffer]);
    else free.push(buffer);
  }

  #reuse(capacity: number): Buffer | undefined {
    const buffer = this.#free.get(capacity)?.pop();
    if (buffer !== undefined) this.#kept -= capacity;
    return buffer;
  }
}
