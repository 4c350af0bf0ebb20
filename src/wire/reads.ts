import { connect, type NetConnectOpts, type Socket } from 'node:net';

/** Bytes of one read. */
const size = 128 * 1024;

/**
 * A plain connection that is read into memory that is used again. Node otherwise makes 64 kB for every read, and with a
 * large result the collector does little else. Works as an ordinary stream until `attach`; from then on every read goes to the
 * sink, as a view of the shared memory that holds until the sink returns, or for ever when the sink calls `keep`.
 */
export class Reads {
  readonly socket: Socket;
  #memory: Buffer = Buffer.allocUnsafeSlow(4096);
  #kept = false;
  #sink: ((chunk: Buffer) => void) | undefined;

  constructor(options: NetConnectOpts) {
    const callback = (count: number): boolean => {
      const chunk = this.#memory.subarray(0, count);
      // Before a sink there is the stream, with its limit: false stops reading until somebody takes something.
      if (this.#sink === undefined) return this.socket.push(Buffer.from(chunk));
      this.#sink(chunk);
      return true;
    };
    this.socket = connect({ ...options, onread: { buffer: () => this.#next(), callback } });
  }

  /** Everything from here on goes to `sink`; what was read and not taken from the stream goes first. */
  attach(sink: (chunk: Buffer) => void): void {
    const rest: Buffer | null = this.socket.read();
    this.#sink = sink;
    this.#kept = true; // The small memory was for the handshake.
    if (rest !== null) queueMicrotask(() => sink(rest));
  }

  /** For the sink: what it was given last is still in use, so the next read gets other memory. */
  keep(): void {
    this.#kept = true;
  }

  #next(): Buffer {
    if (this.#kept) {
      this.#kept = false;
      this.#memory = Buffer.allocUnsafeSlow(size);
    }
    return this.#memory;
  }
}
