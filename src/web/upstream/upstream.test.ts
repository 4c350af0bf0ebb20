import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import {
  createServer as createHttp1,
  type Server as Http1Server,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttp2, createSecureServer, type Http2Session } from 'node:http2';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { testAuthority } from '../../../test/support/certificates.ts';
import { Permit } from '../../audit/permit.ts';
import { httpLimits, type OutgoingRequest } from '../connection.ts';
import { bodyOf, outgoing, TestCall, until } from '../http2/sent.fixture.ts';
import { readHost } from './addresses.ts';
import { openUpstream, type Upstream, type UpstreamOptions } from './upstream.ts';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Target {
  readonly port: number;
  /** Connections that were ever opened. */
  readonly sockets: Socket[];
}

async function listening(server: Server | Http1Server): Promise<Target> {
  const sockets: Socket[] = [];
  server.on('connection', (socket: Socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

function http1(onRequest: (request: IncomingMessage, response: ServerResponse) => void): Promise<Target> {
  return listening(createHttp1({ keepAliveTimeout: 60_000 }, onRequest));
}

function to(target: Target, changes: Partial<UpstreamOptions> = {}): Upstream {
  const upstream = openUpstream({
    name: 'api',
    scheme: 'http',
    host: readHost('127.0.0.1')!,
    port: target.port,
    http: '1.1',
    ...changes,
  });
  closing.push(() => upstream.close());
  return upstream;
}

function ask(upstream: Upstream, request: Partial<OutgoingRequest> = {}): TestCall {
  return new TestCall().send(upstream, outgoing(request));
}

const hello = (_request: IncomingMessage, response: ServerResponse) => void response.end('hello');

describe('a connection', () => {
  it('is used again', async () => {
    const target = await http1(hello);
    const upstream = to(target);
    for (let index = 0; index < 5; index++) {
      const call = ask(upstream);
      await call.done;
      expect(call.body).toBe('hello');
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(target.sockets).toHaveLength(1);
  });

  it('is opened for each request at once, up to the limit; the others wait', async () => {
    const waiting: ServerResponse[] = [];
    const target = await http1((_request, response) => waiting.push(response));
    const upstream = to(target, { maxConnections: 3 });
    const calls = Array.from({ length: 8 }, () => ask(upstream));
    await until(() => waiting.length === 3);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(waiting).toHaveLength(3);
    for (let index = 0; index < 8; index++) {
      await until(() => waiting.length > index);
      waiting[index]!.end('done');
    }
    await Promise.all(calls.map(({ done }) => done));
    expect(calls.every(({ body }) => body === 'done')).toBe(true);
    expect(target.sockets).toHaveLength(3);
  });

  it('is closed when it is not needed for long', async () => {
    const target = await http1(hello);
    const upstream = to(target, { idleMs: 40 });
    await ask(upstream).done;
    await until(() => target.sockets[0]!.destroyed);
    await ask(upstream).done;
    expect(target.sockets).toHaveLength(2);
  });

  it('is given up, and its place free again, when its target hangs up', async () => {
    const target = await http1((_request, response) => {
      response.setHeader('connection', 'close');
      response.end('bye');
    });
    const upstream = to(target, { maxConnections: 1 });
    for (let index = 0; index < 3; index++) {
      const call = ask(upstream);
      await call.done;
      expect(call.body).toBe('bye');
    }
    expect(target.sockets).toHaveLength(3);
  });
});

describe('a request that waits', () => {
  async function busy(changes: Partial<UpstreamOptions> = {}) {
    const served: string[] = [];
    const waiting: ServerResponse[] = [];
    const target = await http1((request, response) => {
      served.push(String(request.url));
      waiting.push(response);
    });
    const upstream = to(target, { maxConnections: 1, ...changes });
    const first = ask(upstream, { target: '/first' });
    await until(() => waiting.length === 1);
    return { upstream, waiting, served, first };
  }

  it('takes turns with those of other sources', async () => {
    const { upstream, waiting, served } = await busy();
    const calls = ['/a1', '/a2', '/a3', '/b1'].map((path) => {
      const call = new TestCall();
      upstream.send(Permit.issue('command', 1), outgoing({ target: path }), call, path[1]);
      return call;
    });
    for (let index = 0; index < 5; index++) {
      await until(() => waiting.length > index);
      waiting[index]!.end();
    }
    await Promise.all(calls.map(({ done }) => done));
    expect(served).toEqual(['/first', '/a1', '/b1', '/a2', '/a3']);
  });

  it('waits no longer than it should', async () => {
    const { upstream } = await busy({ waitMs: 40 });
    const call = ask(upstream);
    await call.done;
    expect(call.error).toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE', message: expect.stringContaining('busy') });
  });

  it('is refused where too many wait already, of all or of one source', async () => {
    const { upstream } = await busy({ maxWaiting: 3, maxWaitingOfOne: 2 });
    const from = (source: string) => {
      const call = new TestCall();
      upstream.send(Permit.issue('command', 1), outgoing(), call, source);
      return call;
    };
    const kept = [from('a'), from('a'), from('b')];
    const refused = [from('a'), from('c')];
    expect(refused.every(({ events }) => events.length === 0)).toBe(true); // Never during the call itself.
    await Promise.all(refused.map(({ done }) => done));
    expect(refused.every(({ error }) => error?.kind === 'UPSTREAM_UNAVAILABLE')).toBe(true);
    expect(kept.every(({ events }) => events.length === 0)).toBe(true);
  });

  it('can be taken back, and is never sent then', async () => {
    const { upstream, waiting, served, first } = await busy();
    const call = ask(upstream, { target: '/never' });
    call.call!.cancel();
    const last = ask(upstream, { target: '/last' });
    waiting[0]!.end();
    await first.done;
    await until(() => waiting.length === 2);
    waiting[1]!.end();
    await last.done;
    expect(served).toEqual(['/first', '/last']);
    expect(call.events).toEqual([]);
  });

  it('fails when the upstream is closed, while what is under way goes on', async () => {
    const { upstream, waiting, first } = await busy();
    const call = ask(upstream);
    upstream.close();
    await call.done;
    expect(call.error?.kind).toBe('UPSTREAM_UNAVAILABLE');
    waiting[0]!.end('whole');
    await first.done;
    expect(first.body).toBe('whole');
    const late = ask(upstream);
    await late.done;
    expect(late.error?.kind).toBe('UPSTREAM_UNAVAILABLE');
  });

  it('fails with those beside it where the target cannot be reached', async () => {
    const target = await listening(createTcp());
    const upstream = to({ ...target, port: 1 });
    const calls = [ask(upstream), ask(upstream), ask(upstream)];
    await Promise.all(calls.map(({ done }) => done));
    for (const { error } of calls) expect(error).toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE' });
  });
});

describe('a request on a connection that died meanwhile', () => {
  /** A target that answers the first request of its first connection, and hangs up at the second. */
  async function mortal() {
    const requests: string[] = [];
    let connections = 0;
    const target = await listening(
      createTcp((socket) => {
        const first = connections++ === 0;
        let answered = 0;
        socket.on('error', () => undefined);
        socket.on('data', (bytes) => {
          requests.push(bytes.toString('latin1').split(' ')[0]!);
          if (first && answered++ > 0) socket.destroy();
          else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        });
      }),
    );
    const upstream = to(target);
    await ask(upstream).done;
    await new Promise((resolve) => setImmediate(resolve));
    return { upstream, requests };
  }

  it.each(['GET', 'HEAD', 'DELETE', 'PUT'])('goes out once more when it is a %s without a body', async (method) => {
    const { upstream, requests } = await mortal();
    const call = ask(upstream, { method });
    await call.done;
    expect(call.events).toEqual(['head', 'end']);
    expect(requests).toEqual(['GET', method, method]);
  });

  it.each([
    ['POST', bodyOf()],
    ['PATCH', bodyOf()],
    ['PUT', bodyOf('x')],
  ])('fails when it is a %s that might be done twice', async (method, body) => {
    const { upstream, requests } = await mortal();
    const call = ask(upstream, { method, body });
    await call.done;
    expect(call.error?.kind).toBe('UPSTREAM_UNAVAILABLE');
    expect(requests).toEqual(['GET', method]);
  });

  it('does not go out again where the connection was a new one', async () => {
    let requests = 0;
    const target = await listening(
      createTcp((socket) => {
        socket.on('error', () => undefined);
        socket.on('data', () => {
          requests++;
          socket.destroy();
        });
      }),
    );
    const call = ask(to(target));
    await call.done;
    expect(call.error?.kind).toBe('UPSTREAM_UNAVAILABLE');
    expect(requests).toBe(1);
  });

  it('goes out twice at most, and not again once something was heard', async () => {
    let requests = 0;
    const target = await listening(
      createTcp((socket) => {
        socket.on('error', () => undefined);
        socket.on('data', (bytes) => {
          requests++;
          const path = bytes.toString('latin1').split(' ')[1];
          if (path === '/ok') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
          else if (path === '/half') socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
          else socket.destroy();
        });
      }),
    );
    const upstream = to(target);
    await ask(upstream, { target: '/ok' }).done;
    await new Promise((resolve) => setImmediate(resolve));
    const silent = ask(upstream, { target: '/silent' });
    await silent.done;
    expect(silent.error?.kind).toBe('UPSTREAM_UNAVAILABLE');
    expect(requests).toBe(3);
    await ask(upstream, { target: '/ok' }).done;
    await new Promise((resolve) => setImmediate(resolve));
    const half = ask(upstream, { target: '/half' });
    await half.done;
    expect(half.error?.kind).toBe('UPSTREAM_PROTOCOL');
    expect(requests).toBe(5);
  });
});

describe('HTTP/2', () => {
  it('without TLS carries many requests on one connection', async () => {
    const server = createHttp2();
    server.on('stream', (stream) => {
      stream.respond({ ':status': 200 });
      setTimeout(() => stream.end('two'), 10);
    });
    const target = await listening(server as unknown as Server);
    const upstream = to(target, { http: '2' });
    const calls = Array.from({ length: 40 }, () => ask(upstream));
    await Promise.all(calls.map(({ done }) => done));
    expect(calls.every(({ body }) => body === 'two')).toBe(true);
    expect(target.sockets).toHaveLength(1);
  });

  it('opens further connections when the target allows few requests on one', async () => {
    const server = createHttp2({ settings: { maxConcurrentStreams: 2 } });
    let most = 0;
    let now = 0;
    server.on('stream', (stream) => {
      most = Math.max(most, ++now);
      stream.respond({ ':status': 200 });
      setTimeout(() => {
        now--;
        stream.end();
      }, 20);
    });
    const target = await listening(server as unknown as Server);
    const upstream = to(target, { http: '2', maxConnections: 3 });
    await ask(upstream).done;
    const calls = Array.from({ length: 12 }, () => ask(upstream));
    await Promise.all(calls.map(({ done }) => done));
    expect(calls.every(({ answered }) => answered?.status === 200)).toBe(true);
    expect(target.sockets.length).toBeLessThanOrEqual(3);
    expect(most).toBeLessThanOrEqual(6);
  });

  it('is agreed on by ALPN, or not, as the target likes; an upgrade gets HTTP/1.1', async () => {
    const authority = await testAuthority();
    const { certificate, key } = await authority.server('localhost');
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-upstream-'));
    closing.push(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'ca.pem'), authority.certificate);
    const server = createSecureServer({ cert: certificate, key, allowHTTP1: true }, (request, response) =>
      response.end(request.httpVersion),
    );
    server.on('upgrade', (_request, socket: Socket) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    });
    const target = await listening(server as unknown as Server);
    const tls = { ca: join(folder, 'ca.pem') };
    const versions: string[] = [];
    for (const http of ['auto', '2', '1.1'] as const) {
      const upstream = to(target, { scheme: 'https', host: readHost('localhost')!, tls, http });
      const call = ask(upstream, { scheme: 'https' });
      await call.done;
      versions.push(call.body);
      if (http !== 'auto') continue;
      const upgrade = ask(upstream, { scheme: 'https', upgrade: 'websocket' });
      await upgrade.done;
      expect(upgrade.events).toEqual(['switched']);
      upgrade.tunnel?.abort();
    }
    expect(versions).toEqual(['2.0', '2.0', '1.1']);
  });

  it('goes on with a new connection after a goodbye', async () => {
    const server = createHttp2();
    const sessions: Http2Session[] = [];
    server.on('session', (session) => sessions.push(session));
    server.on('stream', (stream) => {
      stream.respond({ ':status': 200 });
      stream.end('ok');
    });
    const target = await listening(server as unknown as Server);
    const upstream = to(target, { http: '2' });
    await ask(upstream).done;
    sessions[0]!.close();
    await until(() => target.sockets[0]!.destroyed);
    const call = ask(upstream);
    await call.done;
    expect(call.body).toBe('ok');
    expect(target.sockets).toHaveLength(2);
  });
});

describe('a permit', () => {
  it('is spent by the request it was given for', async () => {
    const target = await http1(hello);
    const upstream = to(target);
    const permit = Permit.issue('command', 1);
    const call = new TestCall();
    upstream.send(permit, outgoing(), call);
    await call.done;
    expect(() => upstream.send(permit, outgoing(), new TestCall())).toThrow('spent');
    expect(() => upstream.send(Permit.issue('session', 2), outgoing(), new TestCall())).toThrow('not a command permit');
    expect(() => upstream.housekeeping(Permit.issue('command', 3), outgoing(), new TestCall())).toThrow(
      'not a session permit',
    );
    const session = Permit.issue('session', 4);
    for (let index = 0; index < 2; index++) {
      const own = new TestCall();
      upstream.housekeeping(session, outgoing(), own);
      await own.done;
      expect(own.body).toBe('hello');
    }
  });
});

describe('a request that cannot be sent', () => {
  it('fails alone', async () => {
    const target = await http1(hello);
    const upstream = to(target);
    const bad = ask(upstream, { fields: ['x', 'a\r\nb'] });
    const good = ask(upstream);
    await Promise.all([bad.done, good.done]);
    expect(bad.error?.kind).toBe('UNSUPPORTED');
    expect(good.body).toBe('hello');
  });
});

describe('limits', () => {
  it('are those of the connections', async () => {
    const target = await http1((_request, response) => {
      response.setHeader('x-large', 'y'.repeat(3000));
      response.end();
    });
    const upstream = to(target, { limits: { ...httpLimits, headBytes: 1000 } });
    const call = ask(upstream);
    await call.done;
    expect(call.error?.kind).toBe('UPSTREAM_PROTOCOL');
  });
});
