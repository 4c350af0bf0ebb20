import { constants, type Http2Stream } from 'node:http2';
import type { PeerError, Refusal } from '../../model/errors.ts';
import type { HttpLimits } from '../connection.ts';
import type { BodySink, Fields } from '../message.ts';
import { readTrailers } from './head.ts';

export interface IncomingOptions {
  /** No bytes will come: END_STREAM was on the fields. */
  readonly ended: boolean;
  /** Bytes that make it whole, where they were announced. */
  readonly length?: number | undefined;
  /** What comes may be taken even after its end: bytes of a tunnel. */
  readonly tunnel?: boolean;
  readonly limits: HttpLimits;
  /** Why the bytes stopped before their end: the stream was reset, the connection lost. */
  broke(): PeerError | Refusal;
  /** The taker threw: our own mistake. It hears nothing more. */
  bug(error: unknown): void;
  /** What to say of a peer that sent something malformed. */
  malformed(what: string): PeerError;
}

/**
 * What a peer sends on one stream. Until somebody takes it, and while the taker is slower, nothing is read beyond the
 * stream's flow-control window, and the peer has to stop there.
 */
export class Incoming {
  readonly #stream: Http2Stream;
  readonly #options: IncomingOptions;
  #sink: BodySink | undefined;
  /** The peer said END_STREAM. A reset ends the readable side too, whatever its code, and is never an end. */
  #complete: boolean;
  #busy = false;
  #received = 0;
  #over = false;
  #trailers: Fields = [];
  /** What was left when the end came while the taker was slower. */
  readonly #rest: Buffer[] = [];
  #restEnded = false;
  /** Bytes came since the watch last looked. */
  #active = false;

  constructor(stream: Http2Stream, options: IncomingOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#complete = options.ended || stream.state.remoteClose === 1;
    if (options.ended) {
      if (!options.tunnel) stream.resume();
      return;
    }
    // Paused, rather than not yet read: node:http2 otherwise resets a stream that it takes for unread as soon as it is answered.
    stream.pause();
    // The end that the peer meant is pushed while the stream is open; the one of a reset after it has been closed.
    const push = stream.push;
    stream.push = (chunk, encoding) => {
      if (chunk === null && !stream.closed && !this.#complete) {
        this.#complete = true;
        // The connection may be gone before a slow taker is done, and take what it holds with it.
        if (this.#busy) process.nextTick(() => this.#keepRest());
      }
      return push.call(stream, chunk, encoding);
    };
    stream.on('trailers', (_fields: unknown, _flags: unknown, list: unknown) => this.#onTrailers(list as string[]));
  }

  /** Somebody waits for bytes of the peer, and none came since this was last asked. */
  stalled(): boolean {
    const idle = this.#sink !== undefined && !this.#over && !this.#busy && !this.#active;
    this.#active = false;
    return idle;
  }

  /** The peer has sent everything it wanted to send. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Somebody takes it, and has not had all of it. */
  get taken(): boolean {
    return this.#sink !== undefined && !this.#over;
  }

  /** Starts delivery; once. */
  pipe(sink: BodySink): void {
    const stream = this.#stream;
    if (this.#sink !== undefined) throw new TypeError('a body can be taken once');
    this.#sink = sink;
    if (this.#over) return;
    stream.on('end', () => this.#onEnd());
    stream.on('close', () => this.#onClose());
    if (stream.destroyed) process.nextTick(() => this.#onClose());
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.resume();
  }

  /** Fails the taker, if it is still waiting. Nothing reaches it afterwards. */
  fail(error: PeerError | Refusal): void {
    if (this.#over) return;
    this.#over = true;
    this.#guarded((sink) => sink.fail(error));
  }

  /** Nobody takes anything any more. */
  drop(): void {
    this.#over = true;
  }

  /** Lets go of what is here, so that the stream can end. */
  discard(): void {
    this.#over = true;
    this.#stream.resume();
  }

  #onData(chunk: Buffer): void {
    this.#active = true;
    this.#received += chunk.length;
    if (this.#over) return;
    if (this.#busy) this.#rest.push(chunk);
    else this.#deliver(chunk);
  }

  #deliver(chunk: Buffer): void {
    const wait = this.#guarded((sink) => sink.data(chunk));
    if (wait === undefined) return;
    this.#busy = true;
    this.#stream.pause();
    wait.then(
      () => this.#resume(),
      (error) => {
        this.#over = true;
        this.#options.bug(error);
      },
    );
    if (this.#complete) process.nextTick(() => this.#keepRest());
  }

  /** What a peer sends must not throw out of here, whatever the taker makes of it. */
  #guarded<T>(use: (sink: BodySink) => T): T | undefined {
    try {
      return this.#sink === undefined ? undefined : use(this.#sink);
    } catch (error) {
      this.#over = true;
      this.#options.bug(error);
      return undefined;
    }
  }

  #resume(): void {
    this.#busy = false;
    while (!this.#busy && !this.#over && this.#rest.length > 0) this.#deliver(this.#rest.shift() as Buffer);
    if (this.#busy || this.#over) return;
    if (this.#restEnded) this.#onEnd();
    else this.#stream.resume();
  }

  /** Everything that was sent is here: takes it out of the stream. At most the flow-control window. */
  #keepRest(): void {
    if (this.#busy && !this.#over) this.#stream.read();
  }

  #onEnd(): void {
    if (this.#over) return;
    // Some servers (those on node:http2 among them) reset a stream without an error in place of its end. Where every announced byte is here
    // nothing is missing.
    const whole =
      this.#options.length !== undefined && this.#received === this.#options.length && this.#stream.rstCode === 0;
    if (!this.#complete && !whole) {
      this.fail(this.#options.broke());
      return;
    }
    if (this.#busy || this.#rest.length > 0) {
      this.#restEnded = true;
      return;
    }
    this.#over = true;
    this.#guarded((sink) => sink.end(this.#trailers));
  }

  #onClose(): void {
    if (!this.#restEnded && !this.#over) this.fail(this.#options.broke());
  }

  #onTrailers(list: readonly string[]): void {
    const read = readTrailers(list, this.#options.limits);
    if ('good' in read) {
      this.#trailers = read.good;
      return;
    }
    this.fail(this.#options.malformed(read.wrong));
    this.#stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
  }
}
