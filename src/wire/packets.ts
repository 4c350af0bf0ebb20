import type { Duplex } from 'node:stream';

/** Reads exact numbers of bytes from a paused stream, for handshakes, where what follows may belong to somebody else (a TLS layer). */
export class PacketReader {
  readonly #stream: Duplex;
  readonly #signal: AbortSignal;

  constructor(stream: Duplex, signal: AbortSignal) {
    this.#stream = stream;
    this.#signal = signal;
  }

  /** Exactly `size` bytes, or undefined when the peer ended before. Rejects with the signal's reason. */
  async exactly(size: number): Promise<Buffer | undefined> {
    for (;;) {
      this.#signal.throwIfAborted();
      const bytes: Buffer | null = this.#stream.read(size);
      if (bytes !== null) {
        if (bytes.length === size) return bytes;
        return undefined; // The stream ended: read() then hands out what is left.
      }
      if (this.#stream.readableEnded || this.#stream.destroyed) return undefined;
      await readable(this.#stream, this.#signal);
    }
  }

  /** Bytes that have arrived and were not read. */
  get waiting(): number {
    return this.#stream.readableLength;
  }
}

function readable(stream: Duplex, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      for (const event of ['readable', 'end', 'close'] as const) stream.off(event, done);
      signal.removeEventListener('abort', aborted);
      resolve();
    };
    const aborted = () => {
      for (const event of ['readable', 'end', 'close'] as const) stream.off(event, done);
      reject(signal.reason as Error);
    };
    for (const event of ['readable', 'end', 'close'] as const) stream.on(event, done);
    signal.addEventListener('abort', aborted, { once: true });
  });
}
