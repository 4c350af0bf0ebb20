import type { Socket } from 'node:net';

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
    if (!this.#socket.write(bytes) && !this.#draining) {
      this.#draining = true;
      this.#hold();
      this.#socket.once('drain', () => {
        this.#draining = false;
        this.#release();
      });
    }
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
