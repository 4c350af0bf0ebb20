import type { Socket } from 'node:net';

const slabSize = 256 * 1024;
const nothing = Buffer.alloc(0);

/**
 * Writes to the client: what one read from the server brought leaves in one write. Pauses the server while the client does
 * not take what it is sent, or while somebody else (the recording) asks to wait; so memory is bounded by one chunk.
 */
export class ClientWriter {
  readonly #socket: Socket;
  readonly #pause: () => void;
  readonly #resume: () => void;
  #pending: Buffer[] = [];
  #reasons = 0;
  #draining = false;
  /** Memory for bytes made here, used again once they have been written. */
  #slab: Buffer = Buffer.alloc(0);
  #used = 0;
  #scheduled = false;

  constructor(socket: Socket, pause: () => void, resume: () => void) {
    this.#socket = socket;
    this.#pause = pause;
    this.#resume = resume;
  }

  push(bytes: Buffer): void {
    this.#pending.push(bytes);
  }

  flush(): void {
    const { length } = this.#pending;
    if (length === 0 || this.#socket.destroyed) return;
    const bytes = length === 1 ? this.#pending[0]! : Buffer.concat(this.#pending);
    this.#pending = [];
    const more = this.#socket.write(bytes);
    if (!this.written) this.#slab = nothing;
    this.#used = 0;
    if (!more && !this.#draining) {
      this.#draining = true;
      this.#hold();
      this.#socket.once('drain', () => {
        this.#draining = false;
        this.#release();
      });
    }
  }

  /** Memory for `size` bytes that will be pushed before the next flush. */
  lease(size: number): Buffer {
    if (size > slabSize / 2) return Buffer.allocUnsafeSlow(size);
    if (this.#used + size > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(slabSize);
      this.#used = 0;
    }
    const leased = this.#slab.subarray(this.#used, this.#used + size);
    this.#used += size;
    return leased;
  }

  /** Bytes that the client has not taken. */
  get backlog(): number {
    return this.#socket.writableLength;
  }

  /** Whether all that was flushed has left this process: what it was made of can be used for something else. */
  get written(): boolean {
    return this.#socket.writableLength === 0;
  }

  /** For bytes that come outside a read from the server: one write for all that this turn brings. */
  flushSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  waitFor(until: Promise<void>): void {
    this.#hold();
    until.finally(() => this.#release()).catch(() => undefined); // Whoever made the promise ends the session when it fails.
  }

  #hold(): void {
    this.#reasons += 1;
    if (this.#reasons === 1) this.#pause();
  }

  #release(): void {
    this.#reasons -= 1;
    if (this.#reasons === 0) this.#resume();
  }
}
