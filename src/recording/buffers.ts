import { segmentLimit } from './format.ts';

const smallest = 4096;
const kept = 16;

/** Segment buffers of 4 KiB, 16 KiB, 64 KiB and 256 KiB. The largest are kept for reuse, up to 4 MiB in all; idle sessions hold none. */
export class Buffers {
  readonly #free: Buffer[] = [];

  /** At least `size` bytes (at most a segment), with what `grown` holds in its first `used`; gives `grown` back. */
  take(size: number, grown?: Buffer, used = 0): Buffer {
    let capacity = smallest;
    while (capacity < size) capacity *= 4;
    const buffer = (capacity === segmentLimit ? this.#free.pop() : undefined) ?? Buffer.allocUnsafeSlow(capacity);
    if (grown !== undefined) {
      grown.copy(buffer, 0, 0, used);
      this.release(grown);
    }
    return buffer;
  }

  release(buffer: Buffer): void {
    if (buffer.length === segmentLimit && this.#free.length < kept) this.#free.push(buffer);
  }
}
