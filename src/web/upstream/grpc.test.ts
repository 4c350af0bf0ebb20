import {
  type Client,
  credentials,
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gate, openGate } from '../http2/gate.fixture.ts';
import { readHost } from './addresses.ts';
import { relay } from './relay.fixture.ts';
import { openUpstream, type Upstream } from './upstream.ts';

/** Bytes for bytes: what the messages mean is of no interest here. */
const same = (bytes: Buffer) => bytes;
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});
const service: ServiceDefinition = {
  unary: method('Unary', false, false),
  stream: method('Stream', false, true),
  talk: method('Talk', true, true),
};

let server: Server;
let upstream: Upstream;
let gate: Gate;
// biome-ignore lint/suspicious/noExplicitAny: made at run time from the definition, so it has no type.
let client: Client & Record<string, any>;
/** Calls that were cancelled, as the server saw it. */
let cancelled = 0;

beforeAll(async () => {
  const unary: handleUnaryCall<Buffer, Buffer> = (call, reply) => {
    if (call.request.toString() === 'refuse me') {
      reply({ code: status.FAILED_PRECONDITION, details: 'not today', metadata: new Metadata() });
      return;
    }
    const trailers = new Metadata();
    trailers.set('x-user', String(call.metadata.get('x-user')[0]));
    trailers.set('x-bytes-bin', Buffer.from([0, 1, 255]));
    reply(null, call.request, trailers);
  };
  const stream: handleServerStreamingCall<Buffer, Buffer> = (call) => {
    call.on('cancelled', () => cancelled++);
    if (call.request.toString() === 'for ever') {
      call.write(Buffer.from('first'));
      return;
    }
    for (let index = 0; index < 100; index++) call.write(Buffer.alloc(20_000, index));
    call.end();
  };
  const talk: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    call.on('data', (message: Buffer) => call.write(Buffer.from(message.toString().toUpperCase())));
    call.on('end', () => call.end());
  };
  server = new Server();
  server.addService(service, { unary, stream, talk });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  upstream = openUpstream({ name: 'echo', scheme: 'http', host: readHost('127.0.0.1')!, port, http: '2' });
  gate = await openGate((call) => relay(call, upstream));
  client = new (makeGenericClientConstructor(service, 'Echo'))(`127.0.0.1:${gate.port}`, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  upstream.close();
  server.forceShutdown();
  await gate.close();
});

describe('a gRPC client', () => {
  it('gets its answer, with status and metadata in the trailers', async () => {
    const metadata = new Metadata();
    metadata.set('x-user', 'somebody');
    let trailers = new Metadata();
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const call = client.unary(Buffer.from('hello'), metadata, (error: Error | null, reply: Buffer) =>
        error ? reject(error) : resolve(reply),
      );
      call.on('status', (end: { metadata: Metadata }) => {
        trailers = end.metadata;
      });
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(answer.toString()).toBe('hello');
    expect(trailers.get('x-user')).toEqual(['somebody']);
    expect(trailers.get('x-bytes-bin')).toEqual([Buffer.from([0, 1, 255])]);
  });

  it('is refused with the server’s own status', async () => {
    const error = await new Promise<ServiceError>((resolve) => client.unary(Buffer.from('refuse me'), resolve));
    expect(error).toMatchObject({ code: status.FAILED_PRECONDITION, details: 'not today' });
  });

  it('is told of a method that is not there', async () => {
    const error = await new Promise<ServiceError | null>((resolve) =>
      client.makeUnaryRequest('/test.Echo/Nothing', same, same, Buffer.from(''), (failure) => resolve(failure)),
    );
    expect(error?.code).toBe(status.UNIMPLEMENTED);
  });

  it('receives a stream, whole and in order', async () => {
    const got: number[] = [];
    await new Promise((resolve, reject) => {
      const call = client.stream(Buffer.from('go'));
      call.on('data', (message: Buffer) => got.push(message[0]!, message.length));
      call.on('error', reject);
      call.on('end', resolve);
    });
    expect(got.filter((_, index) => index % 2 === 0)).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(got.every((length, index) => index % 2 === 0 || length === 20_000)).toBe(true);
  });

  it('talks and listens at the same time', async () => {
    const call = client.talk();
    const heard: string[] = [];
    const ended = new Promise((resolve, reject) => {
      call.on('end', resolve);
      call.on('error', reject);
    });
    for (const word of ['one', 'two', 'three']) {
      const answer = new Promise((resolve) => call.once('data', resolve));
      call.write(Buffer.from(word));
      heard.push(String(await answer));
    }
    call.end();
    call.resume();
    await ended;
    expect(heard).toEqual(['ONE', 'TWO', 'THREE']);
  });

  it('takes a call back, and the server hears of it', async () => {
    const call = client.stream(Buffer.from('for ever'));
    call.on('error', () => undefined);
    await new Promise((resolve) => call.once('data', resolve));
    const before = cancelled;
    call.cancel();
    while (cancelled === before) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('makes many calls at once', async () => {
    const calls = Array.from(
      { length: 200 },
      (_, index) =>
        new Promise<string>((resolve, reject) =>
          client.unary(Buffer.from(String(index)), (error: Error | null, reply: Buffer) =>
            error ? reject(error) : resolve(reply.toString()),
          ),
        ),
    );
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 200 }, (_, index) => String(index)));
  });
});
