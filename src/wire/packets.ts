import type { Duplex } from 'node:stream';

/**
 * Reads exact numbers of bytes from a stream and leaves the rest in it, for handshakes, where what follows may belong to
 * somebody else (a TLS layer). Dispose of it before that one takes over.
 */
export class PacketReader implements Disposable {
  readonly #stream: Duplex;
  readonly #signal: AbortSignal;
  #wake: (() => void) | undefined;
  /**
   * Listens all the time, rather than for each wait: a listener for `readable` that is added while part of a packet is there is
   * called at once and would be called for ever, and nothing else would run (a peer can hold that state as long as it likes).
   */
  readonly #changed = () => this.#wake?.();

  constructor(stream: Duplex, signal: AbortSignal) {
    this.#stream = stream;
    this.#signal = signal;
    for (const event of events) stream.on(event, this.#changed);
    signal.addEventListener('abort', this.#changed);
  }

  /** Exactly `size` bytes, or undefined when the peer ended before. Rejects with the signal's reason. */
  async exactly(size: number): Promise<Buffer | undefined> {
    for (;;) {
      this.#signal.throwIfAborted();
      const bytes: Buffer | null = this.#stream.read(size);
      // A stream that has ended hands out what is left, however little.
      if (bytes !== null) return bytes.length === size ? bytes : undefined;
      if (this.#stream.readableEnded || this.#stream.destroyed) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Bytes that have arrived and were not read. */
  get waiting(): number {
    return this.#stream.readableLength;
  }

  [Symbol.dispose](): void {
    for (const event of events) this.#stream.off(event, this.#changed);
    this.#signal.removeEventListener('abort', this.#changed);
  }
}

const events = ['readable', 'end', 'close'] as const;
