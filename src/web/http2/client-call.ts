import { type ClientHttp2Stream, constants } from 'node:http2';
import { PeerError, Refusal } from '../../model/errors.ts';
import { websocketAccept } from '../../wire/websocket/handshake.ts';
import type { HttpLimits, OutgoingCall, OutgoingRequest } from '../connection.ts';
import { type AnswerSink, type BodySink, type Fields, field, type Tunnel } from '../message.ts';
import { readResponse } from './head.ts';
import { Incoming } from './incoming.ts';
import { Outgoing } from './outgoing.ts';

/** Interim answers to one request that are passed on; more are an attack. */
const maxInterim = 32;

/** One request under way on a connection of HTTP/2, and what comes back. */
export class Http2ClientCall implements OutgoingCall {
  readonly #request: OutgoingRequest;
  readonly #answer: AnswerSink;
  readonly #limits: HttpLimits;
  readonly #onOver: () => void;
  #stream: ClientHttp2Stream | undefined;
  #outgoing: Outgoing | undefined;
  #incoming: Incoming | undefined;
  /** What node:http2 says of the stream's end. */
  #error: string | undefined;
  #heard = false;
  #interim = 0;
  #over = false;
  #choked = false;
  #tunnel = false;
  /** The target said that it will not process this one. */
  #unprocessed = false;
  /** Long silences are what such an answer is made of. */
  #quiet = false;
  #idleLooks = 0;

  constructor(request: OutgoingRequest, answer: AnswerSink, limits: HttpLimits, onOver: () => void) {
    this.#request = request;
    this.#answer = answer;
    this.#limits = limits;
    this.#onOver = onOver;
  }

  get over(): boolean {
    return this.#over;
  }

  start(stream: ClientHttp2Stream): void {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = error.code; // `close` follows.
    });
    stream.on('close', () => {
      // Once there is an answer, it knows best whether it is complete, even if its taker has not had all of it.
      if (this.#incoming === undefined && !this.#over) this.fail(this.#broke());
      this.#onOver();
    });
    stream.on('headers', (_fields: unknown, _flags: unknown, list: unknown) =>
      this.#guarded(() => this.#onInterim(list as string[])),
    );
    stream.on('response', (_fields: unknown, flags: number, list: unknown) =>
      this.#guarded(() => this.#onResponse(list as string[], flags)),
    );
    const { body, upgrade } = this.#request;
    if (upgrade !== undefined || body.length === 0) return;
    this.#outgoing = new Outgoing(stream, body.length, body.length === undefined);
    body.pipe(this.#bodySink(this.#outgoing));
  }

  cancel(): void {
    if (this.#over) return;
    this.#finish();
    this.#reset(constants.NGHTTP2_CANCEL);
  }

  fail(error: PeerError | Refusal): void {
    if (this.#over) return;
    this.#finish();
    this.#answer.fail(error);
    this.#reset(constants.NGHTTP2_CANCEL);
  }

  onGoaway(last: number): void {
    if (this.#stream?.id === undefined || this.#stream.id > last) this.#unprocessed = true;
  }

  /** Asked at regular times: whether the target has kept somebody waiting for `looks` times in a row. */
  stalled(looks: number): boolean {
    if (this.#tunnel || this.#over) return false;
    const reading = this.#incoming?.stalled() === true && !this.#quiet;
    const writing = this.#outgoing?.stalled() === true;
    this.#idleLooks = reading || writing ? this.#idleLooks + 1 : 0;
    return this.#idleLooks >= looks;
  }

  giveUp(): void {
    this.fail(broken('the target stopped in the middle'));
  }

  #onInterim(list: readonly string[]): void {
    if (this.#over) return;
    this.#heard = true;
    this.#interim++;
    const read = readResponse(list, this.#limits, { ended: false, bodiless: false });
    if ('wrong' in read) {
      this.#refuse(read.wrong);
      return;
    }
    const { status, fields } = read.good;
    if (status === 101 || status >= 200) {
      this.#refuse(`status ${status} out of place`);
      return;
    }
    if (this.#interim > maxInterim) {
      this.#refuse('too many interim answers');
      return;
    }
    if (status !== 100) this.#answer.informed(status, fields);
  }

  #onResponse(list: readonly string[], flags: number): void {
    if (this.#over) return;
    if (this.#incoming !== undefined) {
      this.#refuse('two answers to one request');
      return;
    }
    this.#heard = true;
    const stream = this.#stream as ClientHttp2Stream;
    const ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const read = readResponse(list, this.#limits, { ended, bodiless: this.#request.method === 'HEAD' });
    if ('wrong' in read) {
      this.#refuse(read.wrong);
      return;
    }
    const head = read.good;
    if (head.status < 200) {
      this.#refuse(`status ${head.status} as the final answer`);
      return;
    }
    this.#incoming = new Incoming(stream, {
      ended,
      length: head.length,
      limits: this.#limits,
      broke: () => this.#broke(),
      bug: (error) => this.#failInternally(error),
      malformed: (what) => broken(`the target's trailers are malformed: ${what}`),
    });
    if (this.#request.upgrade !== undefined && head.status < 300 && !ended) {
      this.#switch(stream, head.fields);
      return;
    }
    const type = field(head.fields, 'content-type') ?? '';
    this.#quiet = type.startsWith('text/event-stream') || type.startsWith('application/grpc');
    this.#answer.head(head);
    if (this.#over) return; // The taker had enough.
    if (ended) {
      this.#end([]);
      return;
    }
    this.#incoming.pipe({
      data: (bytes) => (this.#over ? undefined : this.#answer.data(bytes)),
      end: (trailers) => this.#end(trailers),
      fail: (error) => this.fail(error),
    });
  }

  #end(trailers: Fields): void {
    if (this.#over) return;
    this.#finish();
    this.#answer.end(trailers);
    // The answer is here; whatever of the request has not been sent is of no use to anybody (RFC 9113 §8.1).
    if (this.#outgoing?.ended === false) this.#reset(constants.NGHTTP2_CANCEL);
  }

  #switch(stream: ClientHttp2Stream, fields: Fields): void {
    const incoming = this.#incoming as Incoming;
    const outgoing = new Outgoing(stream, undefined, true);
    const key = field(this.#request.fields, 'sec-websocket-key');
    const tunnel: Tunnel = {
      pipe: (sink) => incoming.pipe(sink),
      write: (bytes) => outgoing.write(bytes) || undefined,
      end: () => void outgoing.end([]),
      abort: () => {
        incoming.drop();
        this.#reset(constants.NGHTTP2_CANCEL);
      },
    };
    this.#tunnel = true;
    this.#over = true;
    // HTTP/2 needs no proof that the target understood; whoever asks for it in HTTP/1.1's way gets it.
    const proof = key === undefined ? [] : ['sec-websocket-accept', websocketAccept(key)];
    this.#answer.switched([...fields, ...proof], tunnel);
  }

  /** What the target sends must not throw out of here, whatever the taker makes of it. */
  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#failInternally(error);
    }
  }

  /** The taker's own mistake goes to the taker, who may know whom to tell; it cannot be told twice. */
  #failInternally(error: unknown): void {
    if (this.#choked) return;
    this.#choked = true;
    this.#finish();
    this.#reset(constants.NGHTTP2_CANCEL);
    const refusal = new Refusal('INTERNAL', 'the gateway could not take what the target sent');
    refusal.cause = error;
    this.#guarded(() => this.#answer.fail(refusal));
  }

  #bodySink(outgoing: Outgoing): BodySink {
    const wrongLength = () => {
      this.fail(new PeerError('CLIENT_PROTOCOL', 'the body is not as long as was announced'));
      return undefined;
    };
    return {
      data: (bytes) => {
        if (this.#over) return undefined;
        const taken = outgoing.write(bytes);
        return taken === false ? wrongLength() : taken;
      },
      end: (trailers) => {
        if (!this.#over && !outgoing.end(trailers)) wrongLength();
      },
      fail: (error) => this.fail(error),
    };
  }

  #refuse(what: string): void {
    this.fail(broken(`the target broke the protocol: ${what}`));
  }

  #finish(): void {
    this.#over = true;
    this.#incoming?.drop();
    if (this.#outgoing?.ended === false) this.#request.body.cancel();
  }

  #reset(code: number): void {
    if (this.#stream === undefined) this.#onOver();
    else this.#stream.close(code);
  }

  /** What the end of the stream means. */
  #broke(): PeerError | Refusal {
    const code = this.#stream?.rstCode ?? constants.NGHTTP2_NO_ERROR;
    if (this.#heard) return broken('the target broke off its answer');
    if (this.#unprocessed || code === constants.NGHTTP2_REFUSED_STREAM) {
      return new Refusal('UPSTREAM_UNAVAILABLE', 'the target does not take this request now');
    }
    if (code === constants.NGHTTP2_HTTP_1_1_REQUIRED) return broken('the target wants HTTP/1.1 for this request');
    if (this.#error === 'ERR_HTTP2_ERROR' || code === constants.NGHTTP2_PROTOCOL_ERROR) {
      return broken('the target broke the protocol');
    }
    if (this.#error === 'ERR_HTTP2_SESSION_ERROR') return broken('the target ended the connection with an error');
    if (this.#error === 'ERR_HTTP2_STREAM_ERROR') return broken(`the target reset the request (HTTP/2 error ${code})`);
    return new Refusal('UPSTREAM_UNAVAILABLE', 'the target hung up without an answer');
  }
}

export function broken(what: string): PeerError {
  return new PeerError('UPSTREAM_PROTOCOL', what);
}
