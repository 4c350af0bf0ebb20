import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BareGateway, startBareGateway } from '../support/gateway.ts';
import { type HttpUpstream, startHttpUpstream } from '../support/http-upstream.ts';

const run = promisify(execFile);

const bytes = (value: Buffer) => value;
const method = (path: string, requestStream: boolean, responseStream: boolean) => ({
  path,
  requestStream,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
});
const service = {
  say: method('/test.Echo/Say', false, false),
  count: method('/test.Echo/Count', false, true),
  chat: method('/test.Echo/Chat', true, true),
  fail: method('/test.Echo/Fail', false, false),
};

/** A real gRPC server, over HTTP/2 without TLS, on loopback. */
async function startGrpcServer(): Promise<{ readonly port: number; readonly server: grpc.Server }> {
  const server = new grpc.Server();
  server.addService(service, {
    say: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => done(null, call.request),
    fail: (_: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) =>
      done({ code: grpc.status.NOT_FOUND, details: 'no such thing' }),
    count(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      for (let i = 0; i < 100; i++) call.write(Buffer.from(`number ${i}`));
      call.end();
    },
    chat(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', (message: Buffer) => call.write(Buffer.from(`you said ${message}`)));
      call.on('end', () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return { port, server };
}

const policies = `
@id("connect") permit (principal, action == Action::"connect", resource);
@id("all") permit (principal, action in Action::"command", resource);
@id("no-fail") forbid (principal, action in Action::"command", resource == Path::"echo//test.Echo/Forbidden");
`;

describe('HTTP/2', () => {
  let gateway: BareGateway;
  let upstream: HttpUpstream;
  let echo: Awaited<ReturnType<typeof startGrpcServer>>;
  let h2: Http2Server;
  let token: string;
  beforeAll(async () => {
    [upstream, echo] = await Promise.all([startHttpUpstream(), startGrpcServer()]);
    h2 = createServer((request, response) => {
      response.setHeader('content-type', 'text/plain');
      response.addTrailers({ 'x-checked': 'yes' });
      response.end(`over ${request.httpVersion}`);
    });
    await new Promise<void>((resolve) => h2.listen(0, '127.0.0.1', resolve));
    const target = (port: number, extra: object = {}) => ({
      protocol: 'http',
      address: `http://127.0.0.1:${port}`,
      internal: true,
      labels: { env: 'test' },
      ...extra,
    });
    gateway = await startBareGateway({
      policies,
      targets: {
        echo: target(echo.port, { http: '2', hosts: ['echo.test'] }),
        api: target(upstream.port),
        two: target((h2.address() as AddressInfo).port, { http: '2' }),
      },
    });
    token = await gateway.tokenOf('agent');
  });
  afterAll(async () => {
    await gateway?.stop();
    echo?.server.forceShutdown();
    h2?.close();
    await upstream?.stop();
  });

  describe('with a gRPC client', () => {
    let client: grpc.Client;
    let metadata: grpc.Metadata;
    beforeAll(() => {
      client = new grpc.Client(
        new URL(gateway.http).host,
        grpc.credentials.createSsl(Buffer.from(gateway.ca), null, null, { checkServerIdentity: () => undefined }),
        { 'grpc.default_authority': 'echo.test', 'grpc.ssl_target_name_override': 'localhost' },
      );
      metadata = new grpc.Metadata();
      metadata.set('authorization', `Bearer ${token}`);
    });
    afterAll(() => client?.close());
    const unary = (path: string, message: string, meta = metadata): Promise<Buffer> =>
      new Promise((resolve, reject) =>
        client.makeUnaryRequest(path, bytes, bytes, Buffer.from(message), meta, (error, value) =>
          error === null ? resolve(value as Buffer) : reject(error),
        ),
      );

    it('answers a call, with its trailers', async () => {
      expect((await unary('/test.Echo/Say', 'hello')).toString()).toBe('hello');
      await expect(unary('/test.Echo/Fail', 'x')).rejects.toMatchObject({
        code: grpc.status.NOT_FOUND,
        details: 'no such thing',
      });
    });

    it('passes a stream of answers', async () => {
      const call = client.makeServerStreamRequest('/test.Echo/Count', bytes, bytes, Buffer.from('x'), metadata);
      const seen: string[] = [];
      for await (const message of call) seen.push(String(message));
      expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => `number ${i}`));
    });

    it('passes both directions at once: each answer comes before the next message goes', async () => {
      const call = client.makeBidiStreamRequest('/test.Echo/Chat', bytes, bytes, metadata);
      for (const word of ['one', 'two', 'three']) {
        call.write(Buffer.from(word));
        const [answer] = (await once(call, 'data')) as [Buffer];
        expect(answer.toString()).toBe(`you said ${word}`);
      }
      call.end();
      await once(call, 'end');
    });

    it('is refused by rule and without a token, and goes on', async () => {
      await expect(unary('/test.Echo/Forbidden', 'x')).rejects.toThrow(/403|PERMISSION_DENIED/);
      await expect(unary('/test.Echo/Say', 'x', new grpc.Metadata())).rejects.toMatchObject({
        code: grpc.status.UNAUTHENTICATED,
      });
      expect((await unary('/test.Echo/Say', 'still here')).toString()).toBe('still here');
    });
  });

  it('carries many requests at once on one connection, to a target that speaks HTTP/1.1', async () => {
    const session = connect(gateway.http, { ca: gateway.ca, servername: 'localhost' });
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const stream = session.request({ ':path': `/api/orders/${i}`, authorization: `Bearer ${token}` });
        return JSON.parse(await text(stream)) as { id: number };
      }),
    );
    expect(answers.map(({ id }) => id)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    session.close();
  });

  it.each([
    ['HTTP/1.1 caller, HTTP/2 target', '--http1.1', '/two/x', 'over 2.0'],
    ['HTTP/2 caller, HTTP/2 target', '--http2', '/two/x', 'over 2.0'],
    ['HTTP/2 caller, HTTP/1.1 target', '--http2', '/api/orders/9', '{"id":9,"status":"paid","method":"GET"}'],
    ['HTTP/1.1 caller, HTTP/1.1 target', '--http1.1', '/api/orders/9', '{"id":9,"status":"paid","method":"GET"}'],
  ])('by curl: %s', async (_, version, path, expected) => {
    const { stdout } = await run('curl', [
      '--silent',
      '--show-error',
      version,
      '--cacert',
      gateway.caFile,
      '--max-time',
      '10',
      '--header',
      `authorization: Bearer ${token}`,
      `${gateway.http}${path}`,
    ]);
    expect(stdout).toBe(expected);
  });
});
