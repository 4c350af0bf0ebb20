import { PeerError } from '../../model/errors.ts';
import { BadMessage } from '../../wire/http1/bad-message.ts';
import { BodyReader } from '../../wire/http1/body-reader.ts';
import type { Inbox } from '../../wire/http1/inbox.ts';
import type { HttpLimits } from '../connection.ts';
import type { Body, BodySink } from '../message.ts';

/** So much of a body that nobody wants is read so that the connection can go on. */
const drainBytes = 64 * 1024;

/** What a body needs of its connection. */
export interface BodyOwner {
  /** Somebody wants the body now. */
  wanted(): void;
  /** The body was taken on, or is over: what is behind it can be looked at. */
  moved(): void;
  /** The connection cannot go on after the answer: what follows the body's head cannot be told from the body. */
  stuck(): void;
  /** Somebody above threw. */
  broken(error: unknown): void;
}

/**
 * The body of one request.
 *
 *     untaken ──pipe──▶ flowing ──end──▶ over
 *        └────cancel──▶ drained ─────────▲
 */
export class ServerBody implements Body {
  readonly length: number | undefined;
  readonly #reader: BodyReader;
  readonly #inbox: Inbox;
  readonly #owner: BodyOwner;
  #state: 'untaken' | 'flowing' | 'drained' | 'over';
  #sink: BodySink | undefined;
  #waiting = false;
  #pumping = false;
  #dropped = 0;

  constructor(length: number | undefined, inbox: Inbox, limits: HttpLimits, owner: BodyOwner) {
    this.length = length;
    this.#reader = new BodyReader(length ?? 'chunked', limits);
    this.#inbox = inbox;
    this.#owner = owner;
    this.#state = 'untaken';
  }

  /** Nothing of it is still to come, or nothing of it is still to be looked at. */
  get over(): boolean {
    return this.#state === 'over' || (this.length === 0 && this.#sink === undefined);
  }

  /** The caller has to send something, and somebody waits for it. */
  get awaited(): boolean {
    return !this.over && (this.#state === 'flowing' || this.#state === 'drained') && !this.#waiting;
  }

  /** Somebody takes it, and there is more to come. */
  get taken(): boolean {
    return this.#state === 'flowing';
  }

  /** The taker is slower than the caller. */
  get blocked(): boolean {
    return this.#waiting;
  }

  /** Whether the rest will be read even if nobody takes it. */
  get cheap(): boolean {
    if (this.#state !== 'untaken') return true;
    const { left } = this.#reader;
    return left !== undefined && left <= drainBytes;
  }

  pipe(sink: BodySink): void {
    if (this.#sink !== undefined) throw new TypeError('the body was piped before');
    this.#sink = sink;
    if (this.#state === 'untaken') {
      this.#state = 'flowing';
      this.#owner.wanted();
      this.pump();
      this.#owner.moved();
    } else sink.fail(new PeerError('CLIENT_PROTOCOL', 'the caller is gone'));
  }

  cancel(): void {
    if (this.#state !== 'untaken' && this.#state !== 'flowing') return;
    if (this.length === 0) this.#state = 'over';
    else {
      this.#state = 'drained';
      this.pump();
    }
    this.#owner.moved();
  }

  /** The answer is complete: who has not taken the body will not. */
  cancelUntaken(): void {
    if (this.#state === 'untaken') this.cancel();
  }

  /** Moves what is in the inbox on. Throws nothing of the caller's making. */
  pump(): void {
    if (this.#state === 'drained') this.#drain();
    if (this.#state !== 'flowing' || this.#waiting || this.#pumping) return;
    const sink = this.#sink as BodySink;
    // Whoever takes a piece may well do something that brings us here again.
    this.#pumping = true;
    try {
      for (;;) {
        const piece = this.#reader.read(this.#inbox);
        if (piece === undefined) break;
        const slower = sink.data(piece);
        if (this.#state !== 'flowing') return;
        if (slower !== undefined) {
          this.#waiting = true;
          slower.then(this.#resumed, this.#refused).catch((error: unknown) => this.#owner.broken(error));
          return;
        }
      }
    } catch (error) {
      if (!(error instanceof BadMessage)) throw error;
      this.fail(error.message);
      return;
    } finally {
      this.#pumping = false;
    }
    if (!this.#reader.done) return;
    this.#state = 'over';
    sink.end(this.#reader.trailers);
  }

  /** The rest will not come. */
  fail(message: string): void {
    if (this.over) return;
    const told = this.#state === 'flowing';
    this.#state = 'over';
    this.#owner.stuck();
    if (told) this.#sink?.fail(new PeerError('CLIENT_PROTOCOL', message));
  }

  #drain(): void {
    try {
      for (;;) {
        const piece = this.#reader.read(this.#inbox);
        if (piece === undefined) break;
        this.#dropped += piece.length;
      }
    } catch (error) {
      if (!(error instanceof BadMessage)) throw error;
      this.#dropped = Number.POSITIVE_INFINITY;
    }
    const { left } = this.#reader;
    if (this.#reader.done) this.#state = 'over';
    else if (left === undefined || this.#dropped + left > drainBytes) {
      this.#state = 'over';
      this.#owner.stuck();
    }
  }

  readonly #resumed = () => {
    this.#waiting = false;
    this.pump();
    this.#owner.moved();
  };

  readonly #refused = () => {
    this.#waiting = false;
    this.cancel();
  };
}
