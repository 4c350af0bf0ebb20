import type { Duplex } from 'node:stream';
import { Deadline } from './deadline.ts';

/** So much is worth collecting until the end of the turn, and copying to get one write. */
const collectBytes = 16 * 1024;
/** A peer has to take so much in its idle time. */
const patienceBytes = 64 * 1024;

/**
 * What goes out on one connection. Pieces of one turn of the event loop leave in one write: a head with its small body is one packet.
 * A peer that takes nothing for `idleMs` loses the connection.
 */
export class Outbox {
  readonly #stream: Duplex;
  readonly #idleMs: number;
  readonly #deadline: Deadline;
  #pieces: (string | Buffer)[] = [];
  #size = 0;
  #scheduled = false;
  #drained: Promise<void> | undefined;
  #resolve: (() => void) | undefined;

  constructor(stream: Duplex, idleMs: number) {
    this.#stream = stream;
    this.#idleMs = idleMs;
    this.#deadline = new Deadline(() => stream.destroy());
    stream.on('drain', this.#released);
    stream.on('close', () => {
      this.#pieces = [];
      this.#deadline.stop();
      this.#released();
    });
  }

  /** Text that is latin1. */
  text(text: string): void {
    this.#pieces.push(text);
    this.#added(text.length);
  }

  bytes(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#added(bytes.length);
  }

  /** One chunk of the chunked coding. */
  chunk(bytes: Buffer): void {
    const size = `${bytes.length.toString(16)}\r\n`;
    this.#pieces.push(size, bytes, '\r\n');
    this.#added(size.length + bytes.length + 2);
  }

  /** Resolves when the peer has taken enough for more; undefined while it keeps up. */
  pressure(): Promise<void> | undefined {
    if (!this.#full || this.#stream.destroyed) return undefined;
    this.#drained ??= new Promise((resolve) => {
      this.#resolve = resolve;
    });
    return this.#drained;
  }

  readonly flush = (): void => {
    this.#scheduled = false;
    const pieces = this.#pieces;
    if (pieces.length === 0) return;
    const size = this.#size;
    this.#pieces = [];
    this.#size = 0;
    const stream = this.#stream;
    if (stream.destroyed || stream.writableEnded) return;
    if (pieces.length === 1) write(stream, pieces[0] as string | Buffer);
    else if (size <= collectBytes) stream.write(joined(pieces, size));
    else {
      stream.cork();
      for (const piece of pieces) write(stream, piece);
      stream.uncork();
    }
    if (this.#full && !this.#deadline.running) this.#deadline.set(this.#patience());
  };

  /** Everything has been said: flushes, and ends our half. `sent` runs when the system has it all. */
  end(sent?: () => void): void {
    this.flush();
    const stream = this.#stream;
    if (stream.destroyed || stream.writableEnded) return;
    this.#deadline.set(this.#patience());
    stream.end(() => {
      this.#deadline.clear();
      sent?.();
    });
  }

  /** What the system took at once does not count, although the stream will announce a drain for it. */
  get #full(): boolean {
    return this.#stream.writableLength >= this.#stream.writableHighWaterMark;
  }

  #added(size: number): void {
    this.#size += size;
    if (this.#size >= collectBytes) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(this.flush);
    }
  }

  /** Progress is seen only when all that waits has gone, so more of it gets more time: half a kilobyte a second at the usual limit. */
  #patience(): number {
    return this.#idleMs * Math.max(1, Math.ceil(this.#stream.writableLength / patienceBytes));
  }

  readonly #released = (): void => {
    this.#deadline.clear();
    const resolve = this.#resolve;
    this.#drained = this.#resolve = undefined;
    resolve?.();
  };
}

function write(stream: Duplex, piece: string | Buffer): void {
  if (typeof piece === 'string') stream.write(piece, 'latin1');
  else stream.write(piece);
}

function joined(pieces: readonly (string | Buffer)[], size: number): Buffer {
  const whole = Buffer.allocUnsafe(size);
  let position = 0;
  for (const piece of pieces) {
    position += typeof piece === 'string' ? whole.write(piece, position, 'latin1') : piece.copy(whole, position);
  }
  return whole;
}
