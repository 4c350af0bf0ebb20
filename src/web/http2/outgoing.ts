import type { Http2Stream } from 'node:http2';
import type { Fields } from '../message.ts';
import { grouped } from './head.ts';

/** What we send on one stream behind the fields, no faster than the peer takes it. */
export class Outgoing {
  readonly #stream: Http2Stream;
  /** Bytes that still have to come; undefined where only the end tells. */
  #left: number | undefined;
  readonly #trailers: boolean;
  #drained: Promise<void> | undefined;
  #active = false;
  #ended = false;

  /**
   * `trailers`: the stream was opened with `waitForTrailers`. It has to be where no length tells how much must come: node:http2 otherwise
   * says END_STREAM before it resets a stream, and what was broken off would look complete.
   */
  constructor(stream: Http2Stream, length: number | undefined, trailers: boolean) {
    this.#stream = stream;
    this.#left = length;
    this.#trailers = trailers;
  }

  /** The peer has to take bytes before we can go on, and took none since this was last asked. */
  stalled(): boolean {
    const stream = this.#stream;
    const unsent = this.#ended && !stream.closed && stream.state.localClose === 0;
    const idle = (this.#drained !== undefined || unsent) && !this.#active;
    this.#active = false;
    return idle;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Returns a promise while the peer is slower. False when that is more than was announced: nothing is sent then. */
  write(bytes: Buffer): Promise<void> | undefined | false {
    if (this.#left !== undefined) {
      if (bytes.length > this.#left) return false;
      this.#left -= bytes.length;
    }
    const stream = this.#stream;
    if (stream.destroyed || stream.closed || bytes.length === 0) return undefined;
    // Called when these bytes went into frames.
    if (stream.write(bytes, this.#sent)) return undefined;
    this.#drained ??= new Promise((resolve) => {
      const done = () => {
        stream.off('drain', done);
        stream.off('close', done);
        this.#drained = undefined;
        resolve();
      };
      stream.on('drain', done);
      stream.on('close', done);
    });
    return this.#drained;
  }

  /** False when less came than was announced: the stream is left unfinished then. */
  end(trailers: Fields): boolean {
    if (this.#left !== undefined && this.#left > 0) return false;
    this.#ended = true;
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return true;
    if (this.#trailers) {
      const fields = grouped(trailers);
      stream.once('wantTrailers', () => {
        if (!stream.destroyed && !stream.closed) stream.sendTrailers(fields);
      });
    }
    stream.end();
    return true;
  }

  readonly #sent = (): void => {
    this.#active = true;
  };
}

/**
 * Calls the listener once END_STREAM is on its way. `finish` of a stream comes before that at times, and what is done to the stream then
 * (a reset, even without an error) would take the place of what has not been sent.
 */
export function whenSent(stream: Http2Stream, listener: () => void, waitMs = 1): void {
  if (stream.destroyed) return;
  // Once nghttp2 has done with a stream, its state tells nothing.
  if (stream.closed || stream.state.localClose === 1) listener();
  else setTimeout(() => whenSent(stream, listener, Math.min(2 * waitMs, 100)), waitMs).unref();
}
