import type { Frame } from './frame.ts';

/** A whole message. */
export interface Message {
  readonly kind: 'text' | 'binary';
  readonly payload: Buffer;
}

const empty = Buffer.alloc(0);

/**
 * Puts the frames of messages together, for whoever has to see a message whole. FrameReader bounds how large one gets; in how many
 * frames it comes does not matter, since the bytes are copied together at once.
 */
export class MessageCollector {
  #memory = empty;
  #used = 0;

  /** The message that this frame completes. Control frames are none of them. */
  add(frame: Frame): Message | undefined {
    const { kind, payload } = frame;
    if (kind !== 'text' && kind !== 'binary') return undefined;
    if (frame.first && frame.fin) return { kind, payload };
    this.#append(payload);
    if (!frame.fin) return undefined;
    const whole = this.#memory.subarray(0, this.#used);
    this.#memory = empty;
    this.#used = 0;
    return { kind, payload: whole };
  }

  #append(bytes: Buffer): void {
    const need = this.#used + bytes.length;
    if (need > this.#memory.length) {
      const larger = Buffer.allocUnsafe(Math.max(need, 2 * this.#memory.length, 1024));
      this.#memory.copy(larger, 0, 0, this.#used);
      this.#memory = larger;
    }
    bytes.copy(this.#memory, this.#used);
    this.#used = need;
  }
}
