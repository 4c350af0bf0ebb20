import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Permit } from '../../audit/permit.ts';
import { Refusal } from '../../model/errors.ts';
import type { HttpLimits, OutgoingCall, OutgoingRequest, UpstreamConnection } from '../connection.ts';
import type { AnswerSink } from '../message.ts';
import { broken, Http2ClientCall } from './client-call.ts';
import { requestFields } from './request-fields.ts';
import { connectionWindow, sessionOptions, sessionSettings, streamWindow } from './session-options.ts';

/** How often answers are looked at within `bodyIdleMs`. */
const looks = 4;

/** One connection to a target that speaks HTTP/2: many requests at once, as many as the target lets us. */
export class Http2Connection implements UpstreamConnection {
  readonly #session: ClientHttp2Session;
  readonly #limits: HttpLimits;
  readonly #calls = new Set<Http2ClientCall>();
  readonly #closedListeners: (() => void)[] = [];
  readonly #freeListeners: (() => void)[] = [];
  readonly #watch: NodeJS.Timeout;
  #closed = false;
  #closing = false;
  /** Streams at once, as the target has it. None until it says. */
  #most = 0;
  readonly #ready = Promise.withResolvers<void>();

  /** `stream` is connected, and the target agreed to `h2`, or is known to speak it. */
  constructor(stream: Duplex, limits: HttpLimits) {
    this.#limits = limits;
    stream.on('error', () => undefined);
    this.#session = connect('http://target.invalid', {
      ...sessionOptions(limits),
      settings: { ...sessionSettings(limits, streamWindow), enablePush: false },
      createConnection: () => stream,
    });
    this.#session.setLocalWindowSize(connectionWindow);
    this.#session.on('remoteSettings', () => this.#onSettings());
    this.#session.on('goaway', (_code: number, last: number) => this.#onGoaway(last));
    this.#session.on('error', (error: NodeJS.ErrnoException) => {
      // Its streams fail with it, each with what is to be said of it.
      if (error.code === 'ERR_HTTP2_ERROR') this.#ready.reject(broken('the target does not speak HTTP/2'));
      this.#retire();
    });
    this.#ready.promise.catch(() => undefined); // Whoever waits hears of it; often nobody does.
    this.#session.on('close', () => this.#onLost());
    stream.once('close', () => process.nextTick(() => this.#onLost())); // Why, the session says in between.
    this.#watch = setInterval(() => this.#look(), limits.bodyIdleMs / looks).unref();
    if (stream.destroyed) this.#onLost();
  }

  /**
   * Resolves once the target has said what it allows; nothing can be sent before. Rejects with Refusal UPSTREAM_UNAVAILABLE when it hangs
   * up, or PeerError UPSTREAM_PROTOCOL when what it says is no HTTP/2.
   */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get free(): number {
    return this.#closed ? 0 : Math.max(0, this.#most - this.#calls.size);
  }

  send(_permit: Permit, request: OutgoingRequest, answer: AnswerSink): OutgoingCall {
    if (this.free === 0) throw new TypeError('the connection is not free');
    const fields = requestFields(request);
    const call = new Http2ClientCall(request, answer, this.#limits, () => this.#onEnded(call));
    this.#calls.add(call);
    this.#start(call, request, fields);
    return call;
  }

  close(): void {
    this.#retire();
    // A GOAWAY would overtake requests that are about to be sent, and take them back.
    if (this.#calls.size === 0) this.#session.close();
    this.#closing = true;
  }

  onClosed(listener: () => void): void {
    if (this.#closed) process.nextTick(listener);
    else this.#closedListeners.push(listener);
  }

  onFree(listener: () => void): void {
    this.#freeListeners.push(listener);
  }

  #start(call: Http2ClientCall, request: OutgoingRequest, fields: OutgoingHttpHeaders): void {
    if (request.upgrade !== undefined && this.#session.remoteSettings.enableConnectProtocol !== true) {
      const refusal = new Refusal('UPSTREAM_UNAVAILABLE', 'the target takes no WebSocket over HTTP/2 (RFC 8441)', {
        advice: 'set `http: 1.1` for this target',
      });
      process.nextTick(() => call.fail(refusal));
      return;
    }
    const endStream = request.body.length === 0 && request.upgrade === undefined;
    const stream: ClientHttp2Stream = this.#session.request(fields, {
      endStream,
      waitForTrailers: !endStream && request.body.length === undefined,
    });
    call.start(stream);
  }

  #onEnded(call: Http2ClientCall): void {
    const before = this.free;
    if (!this.#calls.delete(call)) return;
    if (this.#closing && this.#calls.size === 0) this.#session.close();
    if (this.free > before) for (const listener of this.#freeListeners) listener();
  }

  #onSettings(): void {
    const before = this.free;
    const { maxConcurrentStreams } = this.#session.remoteSettings;
    this.#most = Math.min(this.#limits.concurrent, maxConcurrentStreams ?? Number.POSITIVE_INFINITY);
    this.#ready.resolve();
    if (this.free > before) for (const listener of this.#freeListeners) listener();
  }

  #onGoaway(last: number): void {
    for (const call of this.#calls) call.onGoaway(last);
    this.#retire();
  }

  /** No further requests. */
  #retire(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const listener of this.#closedListeners) listener();
  }

  /** The connection is gone. Its streams end by themselves. */
  #onLost(): void {
    clearInterval(this.#watch);
    this.#ready.reject(new Refusal('UPSTREAM_UNAVAILABLE', 'the target hung up before it said a word of HTTP/2'));
    this.#retire();
  }

  #look(): void {
    for (const call of this.#calls) if (call.stalled(looks)) call.giveUp();
  }
}
