import { constants, type ServerHttp2Stream, type ServerStreamResponseOptions } from 'node:http2';
import { PeerError } from '../../model/errors.ts';
import type { HttpLimits } from '../connection.ts';
import type { Body, Fields, RequestHead, ResponseHead, ServerCall, Tunnel } from '../message.ts';
import { grouped, type RequestRead } from './head.ts';
import { Incoming } from './incoming.ts';
import { Outgoing, whenSent } from './outgoing.ts';

export interface ServerCallOptions {
  /** END_STREAM was on the request's fields. */
  readonly ended: boolean;
  readonly limits: HttpLimits;
  /** Whoever takes the body threw. */
  onBug(error: unknown): void;
  /** Somebody takes the body: the caller is no stranger any more. */
  onTaken(): void;
}

/** `sendDate` is documented, and missing in the types: the answer is somebody else's, with the date it came with. */
type ResponseOptions = ServerStreamResponseOptions & { readonly sendDate: false };

/** In HTTP/2 the handshake of a WebSocket is the stream itself (RFC 8441 §5). */
const notInHttp2: ReadonlySet<string> = new Set(['sec-websocket-accept']);

/** One request and its answer, as one stream of HTTP/2. */
export class Http2ServerCall implements ServerCall {
  readonly request: RequestHead;
  readonly body: Body;
  readonly #stream: ServerHttp2Stream;
  readonly #incoming: Incoming;
  readonly #expectsContinue: boolean;
  #gone: AbortController | undefined;
  #isGone = false;
  #whenGone: (() => void) | undefined;
  #outgoing: Outgoing | undefined;
  /** An answer without a body, until it is known whether trailers follow: END_STREAM belongs on its fields. */
  #held: ResponseHead | undefined;
  #answered = false;
  #done = false;
  #tunnel = false;
  #idleLooks = 0;

  constructor(stream: ServerHttp2Stream, read: RequestRead, options: ServerCallOptions) {
    this.#stream = stream;
    this.request = read.head;
    this.#expectsContinue = read.expectsContinue;
    this.#incoming = new Incoming(stream, {
      ended: options.ended,
      limits: options.limits,
      tunnel: read.head.upgrade !== undefined,
      bug: (error) => {
        options.onBug(error);
        this.abort();
      },
      broke: () => new PeerError('CLIENT_PROTOCOL', 'the caller took the request back before its body was complete'),
      malformed: (what) => new PeerError('CLIENT_PROTOCOL', `the caller's trailers are malformed: ${what}`),
    });
    this.body = this.#bodyOf(read, options);
    stream.on('error', () => undefined); // `close` follows, and says all there is to say.
    stream.on('close', () => this.#onGone());
  }

  get signal(): AbortSignal {
    // Made for those who ask: most calls end without.
    this.#gone ??= new AbortController();
    if (this.#isGone) this.#gone.abort();
    return this.#gone.signal;
  }

  onGone(listener: () => void): void {
    this.#whenGone = listener;
    if (this.#isGone) listener();
  }

  get answered(): boolean {
    return this.#answered;
  }

  inform(status: number, fields: Fields): void {
    if (this.#silent() || this.#answered) return;
    if (status < 100 || status > 199 || status === 101) throw new TypeError(`${status} is no interim answer`);
    this.#stream.additionalHeaders({ ':status': status, ...grouped(fields) });
  }

  answer(head: ResponseHead): void {
    if (this.#answered) throw new TypeError('a request is answered once');
    this.#answered = true;
    if (head.length === 0 && !this.#bodiless(head)) this.#held = head;
    else this.#respond(head, { endStream: false });
  }

  write(bytes: Buffer): Promise<void> | undefined {
    if (!this.#answered) throw new TypeError('an answer begins with its head');
    this.#release({ endStream: false });
    if (this.#silent()) this.#onGone(); // At once: whoever writes in a loop sees the signal.
    if (this.#silent() || this.#outgoing === undefined) return undefined;
    const taken = this.#outgoing.write(bytes);
    if (taken !== false) return taken;
    this.abort();
    return undefined;
  }

  end(trailers: Fields = []): void {
    if (!this.#answered) throw new TypeError('an answer begins with its head');
    if (this.#done) return;
    this.#release({ endStream: trailers.length === 0, trailers: trailers.length > 0 });
    if (this.#outgoing !== undefined && !this.#outgoing.ended && !this.#outgoing.end(trailers)) {
      this.abort();
      return;
    }
    this.#done = true;
    this.#finishStream();
  }

  abort(): void {
    this.#done = true;
    this.#incoming.drop();
    // In answer to CANCEL nobody would be told anything; INTERNAL_ERROR is what every client takes for a failure.
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  switchProtocols(fields: Fields): Tunnel {
    if (this.request.upgrade === undefined || this.#answered) throw new TypeError('nothing to switch to');
    this.#answered = true;
    this.#tunnel = true;
    const outgoing = new Outgoing(this.#stream, undefined, true);
    if (!this.#silent()) {
      this.#stream.respond({ ':status': 200, ...grouped(fields, notInHttp2) }, {
        waitForTrailers: true,
        sendDate: false,
      } as ResponseOptions);
    }
    const end = () => {
      this.#done = true;
      outgoing.end([]);
    };
    return {
      pipe: (sink) => this.#incoming.pipe(sink),
      write: (bytes) => outgoing.write(bytes) || undefined,
      end,
      abort: () => this.abort(),
    };
  }

  /** Asked at regular times: whether the caller has kept somebody waiting for `looks` times in a row. */
  stalled(looks: number): boolean {
    if (this.#tunnel) return false;
    // An answer that runs beside the request (gRPC) makes the request a conversation, which may pause.
    const reading = this.#incoming.stalled() && this.#outgoing === undefined;
    const writing = this.#outgoing?.stalled() === true;
    this.#idleLooks = reading || writing ? this.#idleLooks + 1 : 0;
    return this.#idleLooks >= looks;
  }

  /** The caller kept somebody waiting for too long. */
  giveUp(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
    this.#onGone();
  }

  #onGone(): void {
    if (this.#done) return;
    this.#isGone = true;
    this.#gone?.abort();
    this.#whenGone?.();
  }

  #bodyOf(read: RequestRead, options: ServerCallOptions): Body {
    if (read.head.upgrade !== undefined || options.ended) {
      return { length: 0, pipe: (sink) => sink.end([]), cancel: () => undefined };
    }
    return {
      length: read.length,
      pipe: (sink) => {
        options.onTaken();
        if (this.#expectsContinue && !this.#answered && !this.#silent())
          this.#stream.additionalHeaders({ ':status': 100 });
        this.#incoming.pipe(sink);
      },
      // What comes stays in the stream's window. The stream is closed once it is answered.
      cancel: () => (this.#done ? this.#incoming.discard() : this.#incoming.drop()),
    };
  }

  /** Nobody hears us any more. */
  #silent(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  /** No body is sent with this, whatever its length says. */
  #bodiless(head: ResponseHead): boolean {
    return this.request.method === 'HEAD' || head.status === 204 || head.status === 205 || head.status === 304;
  }

  #release(how: { readonly endStream: boolean; readonly trailers?: boolean }): void {
    const head = this.#held;
    if (head === undefined) return;
    this.#held = undefined;
    this.#respond(head, how);
  }

  #respond(head: ResponseHead, how: { readonly endStream: boolean; readonly trailers?: boolean }): void {
    const bodiless = this.#bodiless(head);
    const fields = grouped(head.fields);
    fields[':status'] = head.status;
    if (head.length !== undefined && (head.length > 0 || bodiless) && head.status !== 204 && head.status !== 205) {
      fields['content-length'] = String(head.length);
    }
    if (this.#silent()) return;
    const endStream = how.endStream || bodiless;
    const waitForTrailers = !endStream && (how.trailers ?? mayHaveTrailers(head));
    if (!endStream) this.#outgoing = new Outgoing(this.#stream, head.length, waitForTrailers);
    this.#stream.respond(fields, { endStream, waitForTrailers, sendDate: false } as ResponseOptions);
  }

  /** The rest of a request that was answered is not wanted (RFC 9113 §8.1). */
  #finishStream(): void {
    if (this.#tunnel) return;
    const incoming = this.#incoming;
    if (incoming.complete) {
      // Whoever is still taking the body gets the rest of it.
      if (!incoming.taken) incoming.discard();
      return;
    }
    const close = () => {
      this.#stream.close(constants.NGHTTP2_NO_ERROR);
      incoming.fail(new PeerError('CLIENT_PROTOCOL', 'the request was answered before its body was complete'));
      incoming.discard();
    };
    whenSent(this.#stream, close);
  }
}

/** With a length, trailers come only where they were announced: then END_STREAM goes on the last DATA frame. */
function mayHaveTrailers(head: ResponseHead): boolean {
  if (head.length === undefined) return true;
  for (let index = 0; index < head.fields.length; index += 2) if (head.fields[index] === 'trailer') return true;
  return false;
}
