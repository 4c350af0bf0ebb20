import type { Duplex } from 'node:stream';
import { BadMessage } from '../../wire/http1/bad-message.ts';
import { Inbox } from '../../wire/http1/inbox.ts';
import { readRequestHead } from '../../wire/http1/request-head.ts';
import { writeResponseHead } from '../../wire/http1/write-head.ts';
import type { HttpLimits, ServeHttp } from '../connection.ts';
import type { ServerCall, Tunnel } from '../message.ts';
import { Deadline } from './deadline.ts';
import { Outbox } from './outbox.ts';
import { ServerBody } from './server-body.ts';
import { type CallOwner, Http1Call } from './server-call.ts';
import { StreamTunnel } from './tunnel.ts';

/** So much is read ahead of what is looked at. */
const readAheadBytes = 64 * 1024;

/**
 * HTTP/1.1 towards callers. Requests of one connection are taken one after the other, as their answers go out: what a caller sends ahead
 * (pipelining) waits, up to a bound, and then in the caller's own memory.
 */
export const serveHttp1: ServeHttp = (stream, limits, onCall, signal) =>
  new Promise((resolve, reject) => {
    if (stream.closed) return resolve();
    const connection = new ServerConnection(stream, limits, onCall, signal);
    stream.once('close', () => {
      connection.closed();
      if (connection.bug === undefined) resolve();
      else reject(connection.bug);
    });
    connection.start();
  });

class ServerConnection implements CallOwner {
  readonly outbox: Outbox;
  /** What was thrown that no peer is to blame for. */
  bug: Error | undefined;
  readonly #stream: Duplex;
  readonly #limits: HttpLimits;
  readonly #onCall: (call: ServerCall) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #scheme: 'http' | 'https';
  readonly #inbox = new Inbox();
  readonly #deadline = new Deadline(() => this.#late());
  #call: Http1Call | undefined;
  #tunnel: StreamTunnel | undefined;
  #last = false;
  /** Nothing more is looked at: the last answer is on its way. */
  #parting = false;
  #peerEnded = false;
  #moving = false;
  #paused = false;
  /** The time for the head that is coming runs. */
  #headBegun = false;

  constructor(stream: Duplex, limits: HttpLimits, onCall: (call: ServerCall) => void, signal: AbortSignal | undefined) {
    this.#stream = stream;
    this.#limits = limits;
    this.#onCall = onCall;
    this.#signal = signal;
    this.#scheme = (stream as { encrypted?: boolean }).encrypted === true ? 'https' : 'http';
    this.outbox = new Outbox(stream, limits.bodyIdleMs);
  }

  start(): void {
    const stream = this.#stream;
    // The caller may end its half first: its answer still goes out.
    stream.allowHalfOpen = true;
    (stream as { setNoDelay?: () => void }).setNoDelay?.();
    stream.on('error', () => stream.destroy());
    stream.on('end', () => this.#guarded(() => this.#ended()));
    stream.on('data', (chunk: Buffer) => this.#received(chunk));
    this.#signal?.addEventListener('abort', this.#draining);
    stream.resume();
    this.#peerEnded = stream.readableEnded;
    this.#move();
  }

  closed(): void {
    this.#deadline.stop();
    this.#signal?.removeEventListener('abort', this.#draining);
    this.#parting = true;
    this.#guarded(() => {
      this.#tunnel?.closed();
      const call = this.#call;
      this.#call = undefined;
      call?.close();
      call?.body.fail('the caller is gone');
    });
  }

  get last(): boolean {
    return this.#last || this.#peerEnded || this.#signal?.aborted === true;
  }

  endAfter(): void {
    this.#last = true;
  }

  ended(): void {
    this.outbox.flush();
    if (!this.last) this.#call?.body.cancelUntaken();
    this.#move();
  }

  destroy(reset: boolean): void {
    const stream = this.#stream as Duplex & { resetAndDestroy?: () => void };
    if (reset && this.#scheme === 'http' && stream.resetAndDestroy !== undefined) stream.resetAndDestroy();
    else stream.destroy();
  }

  tunnel(): Tunnel {
    this.outbox.flush();
    this.#deadline.clear();
    this.#call = undefined;
    this.#tunnel = new StreamTunnel(this.#stream, this.#inbox, this.outbox, 'CLIENT_PROTOCOL');
    if (this.#peerEnded) this.#tunnel.ended();
    if (this.#stream.destroyed) this.#tunnel.closed();
    return this.#tunnel;
  }

  #received(chunk: Buffer): void {
    if (this.#parting) return;
    this.#inbox.append(chunk);
    if (this.#tunnel === undefined) this.#move();
    else this.#guarded(() => this.#tunnel?.pump());
  }

  /** Takes what has arrived as far as it can be taken now. */
  #move(): void {
    if (this.#moving) return;
    this.#moving = true;
    this.#guarded(() => {
      while (this.#step());
    });
    this.#moving = false;
    if (!this.#parting && this.#tunnel === undefined) this.#watch();
  }

  /** One head, one piece of a body, or the end of a call. False when something has to happen first. */
  #step(): boolean {
    if (this.#parting || this.#tunnel !== undefined) return false;
    const call = this.#call;
    if (call === undefined) return this.last ? this.#part() : this.#takeHead();
    const { body } = call;
    body.pump();
    if (this.#peerEnded && body.awaited) body.fail('the caller ended in the middle of the body');
    if (this.#call !== call || !call.done) return false;
    // Who takes the body gets it to its end. What nobody takes is worth waiting for only if the connection goes on.
    if (!body.over && (body.taken || !this.last)) return false;
    this.#call = undefined;
    return true;
  }

  #takeHead(): boolean {
    const inbox = this.#inbox;
    if (inbox.length === 0) return false;
    const end = inbox.headEnd(this.#limits.headBytes);
    if (end === -1) return false;
    const head = readRequestHead(inbox.bytes, inbox.start, end, this.#scheme, this.#limits);
    inbox.skipTo(end + 4);
    if (!head.keepAlive) this.#last = true;
    const body = new ServerBody(head.length, inbox, this.#limits, {
      wanted: () => call.wanted(inbox.length > 0),
      moved: () => this.#move(),
      stuck: () => this.endAfter(),
      broken: (error) => this.#failed(error),
    });
    const call = new Http1Call(head, body, this);
    this.#call = call;
    this.#onCall(call);
    return true;
  }

  /** The last answer is out: ends our half, and reads on for a while, or the answer could be lost with what was not read. */
  #part(): false {
    this.#parting = true;
    this.#inbox.clear();
    this.#deadline.clear();
    this.#flow(true);
    if (this.#peerEnded) this.outbox.end();
    else this.outbox.end(() => this.#deadline.set(this.#limits.headMs));
    return false;
  }

  /** After every move: whether to read on, and how long to wait. */
  #watch(): void {
    const { headMs, idleMs, bodyIdleMs } = this.#limits;
    const call = this.#call;
    if (call === undefined) {
      this.#flow(true);
      if (this.#inbox.length === 0) this.#deadline.set(idleMs);
      else if (!this.#headBegun) this.#deadline.set(headMs);
      this.#headBegun = this.#inbox.length > 0;
      return;
    }
    this.#headBegun = false;
    this.#flow(!call.body.blocked && this.#inbox.length < readAheadBytes);
    if (this.#peerEnded) {
      if (!this.#deadline.running) this.#deadline.set(headMs);
    } else if (call.body.awaited) this.#deadline.set(bodyIdleMs);
    else this.#deadline.clear();
  }

  #flow(on: boolean): void {
    if (on !== this.#paused) return;
    this.#paused = !on;
    if (on) this.#stream.resume();
    else this.#stream.pause();
  }

  #late(): void {
    this.#guarded(() => {
      const call = this.#call;
      if (this.#parting || this.#peerEnded) this.#stream.destroy();
      else if (call !== undefined) {
        call.body.fail('the caller sent nothing more of the body');
        this.#move();
      } else if (this.#inbox.length > 0) this.#refuse(new BadMessage('the head did not come in time', 408));
      else this.#part();
    });
  }

  /**
   * The caller has ended its half. Clients do that by going away, so what it asked is taken back; an answer that is given nevertheless
   * is sent.
   */
  #ended(): void {
    this.#peerEnded = true;
    if (this.#parting) this.outbox.end();
    else if (this.#tunnel !== undefined) this.#tunnel.ended();
    else {
      this.#call?.left();
      this.#move();
    }
  }

  readonly #draining = () => this.#move();

  /** Runs what peers have a hand in. Their mistakes are answered; ours end this connection, and nobody else's. */
  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (error instanceof BadMessage && this.#call === undefined) this.#refuse(error);
      else this.#failed(error);
    }
  }

  #refuse(error: BadMessage): void {
    const text = Buffer.from(`${error.message}\n`);
    this.outbox.text(writeResponseHead(error.status, ['content-type', 'text/plain'], text.length, true));
    this.outbox.bytes(text);
    this.#part();
  }

  #failed(error: unknown): void {
    this.bug ??= error instanceof Error ? error : new Error('something was thrown', { cause: error });
    this.#stream.destroy();
  }
}
