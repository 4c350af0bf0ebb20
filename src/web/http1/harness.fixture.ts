import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Permit } from '../../audit/permit.ts';
import type { PeerError, Refusal } from '../../model/errors.ts';
import { type HttpLimits, httpLimits, type OutgoingRequest } from '../connection.ts';
import type { AnswerSink, Body, BodySink, Fields, ResponseHead, ServerCall, Tunnel } from '../message.ts';
import { Http1Connection } from './client.ts';
import { serveHttp1 } from './server.ts';

/** A listener on loopback whose connections `serve` gets; closed, connections and all, when disposed of. */
export class Loopback implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(serve: (socket: Socket) => void, options: { readonly allowHalfOpen?: boolean } = {}) {
    this.#server = createServer({ allowHalfOpen: true, ...options }, (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      serve(socket);
    });
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Of the connections that are open. */
  get bytesRead(): number {
    return [...this.#sockets].reduce((sum, socket) => sum + socket.bytesRead, 0);
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Our server on loopback. `bugs` has what it rejected with. */
export async function listen(
  onCall: (call: ServerCall) => void,
  limits: Partial<HttpLimits> = {},
  signal?: AbortSignal,
): Promise<Loopback & { readonly bugs: unknown[] }> {
  const bugs: unknown[] = [];
  const loopback = new Loopback((socket) => {
    serveHttp1(socket, { ...httpLimits, ...limits }, onCall, signal).catch((error) => bugs.push(error));
  });
  return Object.assign(await loopback.listen(), { bugs });
}

/** A peer that says exactly what it is told to, and keeps what it hears. */
export class RawPeer implements Disposable {
  readonly socket: Socket;
  #heard = Buffer.alloc(0);
  ended = false;
  closed = false;
  error: string | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.#heard = Buffer.concat([this.#heard, chunk]);
    });
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code;
    });
    socket.on('close', () => {
      this.closed = true;
    });
  }

  static async to(port: number): Promise<RawPeer> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    socket.setNoDelay();
    return new RawPeer(socket);
  }

  get heard(): string {
    return this.#heard.toString('latin1');
  }

  say(text: string | Buffer): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }

  /** Resolves when what was heard fits. */
  async hears(what: RegExp): Promise<string> {
    await until(() => what.test(this.heard), `${what} in ${JSON.stringify(this.heard.slice(0, 500))}`);
    return this.heard;
  }

  /** Resolves when the other end has ended the connection, in order or not. */
  async over(): Promise<string> {
    await until(() => this.ended || this.closed, `the end after ${JSON.stringify(this.heard.slice(0, 500))}`);
    return this.heard;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** Looks again until it is so; fails after ten seconds. */
export async function until(holds: () => boolean, what = 'what was waited for'): Promise<void> {
  const last = Date.now() + 10_000;
  while (!holds()) {
    if (Date.now() > last) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Time for what must not happen. */
export function quiet(ms = 40): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** All of a body, or the error that it ended with. */
export class Collected implements BodySink {
  readonly pieces: Buffer[] = [];
  trailers: Fields | undefined;
  error: PeerError | Refusal | undefined;
  readonly #done: () => void;
  readonly done: Promise<void>;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.#done = resolve;
  }

  get text(): string {
    return Buffer.concat(this.pieces).toString('latin1');
  }

  data(bytes: Buffer): Promise<void> | undefined {
    this.pieces.push(bytes);
    return undefined;
  }

  end(trailers: Fields): void {
    if (this.trailers !== undefined || this.error !== undefined) throw new Error('ended twice');
    this.trailers = trailers;
    this.#done();
  }

  fail(error: PeerError | Refusal): void {
    if (this.trailers !== undefined || this.error !== undefined) throw new Error('ended twice');
    this.error = error;
    this.#done();
  }
}

/** All of an answer. */
export class Answered extends Collected implements AnswerSink {
  readonly interim: [number, Fields][] = [];
  response: ResponseHead | undefined;
  tunnel: Tunnel | undefined;
  readonly #switched = Promise.withResolvers<Tunnel>();
  readonly upgraded: Promise<Tunnel> = this.#switched.promise;

  informed(status: number, fields: Fields): void {
    this.interim.push([status, fields]);
  }

  head(response: ResponseHead): void {
    if (this.response !== undefined) throw new Error('two heads');
    this.response = response;
  }

  switched(_fields: Fields, tunnel: Tunnel): void {
    this.tunnel = tunnel;
    this.#switched.resolve(tunnel);
  }
}

/** The bytes of a case in testdata: latin1, in which `{x*3}` stands for `xxx`. */
export function bytesOf(text: string): Buffer {
  const whole = text.replace(/\{([^{}*]+)\*(\d+)\}/g, (_, piece: string, times: string) => piece.repeat(Number(times)));
  return Buffer.from(whole, 'latin1');
}

/** A body that is there already. */
export function bodyOf(text: string, length: number | undefined = Buffer.byteLength(text, 'latin1')): Body {
  return {
    length,
    pipe: (sink) => {
      if (text !== '') sink.data(Buffer.from(text, 'latin1'));
      sink.end([]);
    },
    cancel: () => undefined,
  };
}

export function outgoing(more: Partial<OutgoingRequest> = {}): OutgoingRequest {
  return {
    method: 'GET',
    target: '/',
    authority: 'a.test',
    scheme: 'http',
    fields: [],
    body: bodyOf(''),
    ...more,
  };
}

/** A connection of ours to `port`. */
export async function client(
  port: number,
  limits: Partial<HttpLimits> = {},
): Promise<Http1Connection & Disposable & { readonly socket: Socket }> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const connection = new Http1Connection(socket, { ...httpLimits, ...limits });
  return Object.assign(connection, { socket, [Symbol.dispose]: () => void socket.destroy() });
}

export function permit(): Permit {
  return Permit.issue('command', 1);
}

/** Answers with a text. */
export function reply(call: ServerCall, text: string, fields: Fields = [], status = 200): void {
  call.answer({ status, fields, length: Buffer.byteLength(text, 'latin1') });
  call.write(Buffer.from(text, 'latin1'));
  call.end();
}

/** Sends each request on to `port` and the answer back. */
export function forwardTo(port: number): (call: ServerCall) => void {
  return forwardOver(() => connect(port, '127.0.0.1'));
}

/** Sends each request on over a connection that `open` opens, or one that is free, and the answer back. */
export function forwardOver(open: () => Socket): (call: ServerCall) => void {
  const idle: Http1Connection[] = [];
  return (call) => {
    const { method, target, authority, fields, upgrade } = call.request;
    let connection = idle.pop();
    while (connection !== undefined && connection.free === 0) connection = idle.pop();
    if (connection === undefined) {
      const fresh = new Http1Connection(open(), httpLimits);
      fresh.onFree(() => idle.push(fresh));
      connection = fresh;
    }
    const request = { method, target, authority, scheme: 'http', fields, body: call.body } as const;
    const sent = connection.send(permit(), upgrade === undefined ? request : { ...request, upgrade }, {
      informed: (status, interim) => call.inform(status, interim),
      head: (head) => call.answer(head),
      data: (bytes) => call.write(bytes),
      end: (trailers) => call.end(trailers),
      fail: (error) => (call.answered ? call.abort() : reply(call, `${error.name}: ${error.message}`, [], 502)),
      switched: (accepted, tunnel) => join(tunnel, call.switchProtocols(accepted)),
    });
    call.signal.addEventListener('abort', () => sent.cancel());
  };
}

function join(one: Tunnel, other: Tunnel): void {
  const into = (tunnel: Tunnel): BodySink => ({
    data: (bytes) => tunnel.write(bytes),
    end: () => tunnel.end(),
    fail: () => tunnel.abort(),
  });
  one.pipe(into(other));
  other.pipe(into(one));
}
