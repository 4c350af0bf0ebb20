import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { HttpLimits, ServeHttp } from '../connection.ts';
import type { ServerCall } from '../message.ts';
import { readRequest } from './head.ts';
import { Http2ServerCall } from './server-call.ts';
import { connectionWindow, firstWindow, sessionOptions, sessionSettings, streamWindow } from './session-options.ts';

/** How often a connection is looked at within the shortest of its limits. */
const looks = 4;
/** How long a peer may take to close its side once everything is said, ms. */
const lingerMs = 2_000;

/**
 * Serves HTTP/2 (RFC 9113) on a connected stream: TLS with ALPN `h2`, or plain with prior knowledge. A request that breaks
 * the rules is answered with 400, and the connection takes no further ones.
 */
export const serveHttp2: ServeHttp = (stream, limits, onCall, signal) =>
  new Promise((resolve, reject) => {
    const connection = new Connection(stream, limits, onCall, (bug) => {
      signal?.removeEventListener('abort', stop);
      if (bug === undefined) resolve();
      else reject(bug.error);
    });
    const stop = () => connection.stop();
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });

class Connection {
  readonly #stream: Duplex;
  readonly #limits: HttpLimits;
  readonly #onCall: (call: ServerCall) => void;
  readonly #onClosed: (bug: { readonly error: unknown } | undefined) => void;
  readonly #session: ServerHttp2Session;
  readonly #calls = new Set<Http2ServerCall>();
  readonly #watch: NodeJS.Timeout;
  /** When the connection last had a request on it, ms of the monotonic clock. */
  #idleSince = performance.now();
  #used = false;
  #taken = false;
  #bug: { readonly error: unknown } | undefined;
  #closed = false;

  constructor(
    stream: Duplex,
    limits: HttpLimits,
    onCall: (call: ServerCall) => void,
    onClosed: (bug: { readonly error: unknown } | undefined) => void,
  ) {
    this.#stream = stream;
    this.#limits = limits;
    this.#onCall = onCall;
    this.#onClosed = onClosed;
    // A stream that fails takes its session with it; nobody else's.
    stream.on('error', () => undefined);
    stream.once('close', () => this.#onStreamClosed());
    const settings = { ...sessionSettings(limits, firstWindow), maxConcurrentStreams: limits.concurrent };
    this.#session = performServerHandshake(stream, {
      ...sessionOptions(limits),
      settings: { ...settings, enableConnectProtocol: true },
    });
    this.#session.setLocalWindowSize(connectionWindow);
    this.#session.on('stream', (one: ServerHttp2Stream, _fields: unknown, flags: number, list: unknown) =>
      this.#onRequest(one, flags, list as string[]),
    );
    this.#session.on('error', () => undefined); // nghttp2 has said GOAWAY; `close` follows.
    const period = Math.min(limits.headMs, limits.bodyIdleMs, limits.idleMs) / looks;
    this.#watch = setInterval(() => this.#look(), period).unref();
    if (stream.destroyed) process.nextTick(() => this.#onStreamClosed());
  }

  /** Finishes what is under way and takes nothing more. */
  stop(): void {
    this.#session.close();
  }

  #onRequest(stream: ServerHttp2Stream, flags: number, list: readonly string[]): void {
    this.#used = true;
    const read = readRequest(list, this.#limits);
    if ('wrong' in read) {
      this.#refuse(stream, read.wrong);
      return;
    }
    const call = new Http2ServerCall(stream, read.good, {
      ended: (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0,
      limits: this.#limits,
      onTaken: () => this.#trust(),
      onBug: (error) => {
        this.#bug ??= { error };
      },
    });
    this.#calls.add(call);
    stream.on('close', () => {
      this.#calls.delete(call);
      this.#idleSince = performance.now();
    });
    try {
      this.#onCall(call);
    } catch (error) {
      this.#bug ??= { error };
      this.#session.destroy();
    }
  }

  #refuse(stream: ServerHttp2Stream, wrong: string): void {
    stream.on('error', () => undefined);
    if (!stream.destroyed && !stream.closed) {
      const body = Buffer.from(`bad request: ${wrong}\n`);
      stream.respond({ ':status': 400, 'content-type': 'text/plain; charset=utf-8', 'content-length': body.length });
      stream.end(body);
    }
    this.#session.close();
  }

  /** Somebody who knows the caller reads a body: from now on there may be more of it under way. */
  #trust(): void {
    if (this.#taken || this.#session.destroyed) return;
    this.#taken = true;
    this.#session.settings({ ...sessionSettings(this.#limits, streamWindow) });
  }

  #look(): void {
    const { headMs, idleMs, bodyIdleMs } = this.#limits;
    if (this.#calls.size === 0) {
      const idle = performance.now() - this.#idleSince;
      if (this.#session.closed || this.#session.destroyed) {
        // Everything is said. A peer that does not hang up is left.
        if (idle >= Math.min(lingerMs, idleMs)) this.#stream.destroy();
        return;
      }
      // Before the first request this is the time for a head; a head that never ends looks the same as none.
      if (idle >= (this.#used ? idleMs : headMs)) this.stop();
      return;
    }
    const period = Math.min(headMs, bodyIdleMs, idleMs) / looks;
    for (const call of this.#calls) if (call.stalled(Math.ceil(bodyIdleMs / period))) call.giveUp();
  }

  #onStreamClosed(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#watch);
    this.#onClosed(this.#bug);
  }
}
