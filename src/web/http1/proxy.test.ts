import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, type RequestListener, request, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { testAuthority } from '../../../test/support/certificates.ts';
import { httpLimits } from '../connection.ts';
import { forwardOver, forwardTo, Loopback, listen, quiet, RawPeer, until } from './harness.fixture.ts';
import { serveHttp1 } from './server.ts';

/** Real clients, through our server and our client, to a real server. */

async function origin(
  listener: RequestListener,
): Promise<AsyncDisposable & { readonly port: number; readonly http: Server }> {
  const http = createServer(listener);
  const sockets = new Set<Socket>();
  http.on('connection', (socket) => sockets.add(socket.on('close', () => sockets.delete(socket))));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    http,
    port: (http.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      http.close();
      for (const socket of sockets) socket.destroy();
      await once(http, 'close');
    },
  };
}

const echo: RequestListener = (incoming, response) => {
  const digest = createHash('sha256');
  let bytes = 0;
  incoming.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    digest.update(chunk);
  });
  incoming.on('end', () => {
    const { method, url, headers, trailers } = incoming;
    response.setHeader('x-echo', 'yes');
    response.end(JSON.stringify({ method, url, headers, trailers, bytes, sha256: digest.digest('hex') }));
  });
};

async function gateway(port: number): Promise<Loopback & { readonly bugs: unknown[] }> {
  return listen(forwardTo(port));
}

const curl = async (...args: string[]): Promise<string> =>
  (await promisify(execFile)('curl', ['-s', '-S', '--max-time', '20', ...args], { maxBuffer: 1 << 26 })).stdout;

describe('curl', () => {
  it('gets, posts with and without a length, asks for 100, and keeps its connection', async () => {
    await using target = await origin(echo);
    await using front = await gateway(target.port);
    const url = `http://127.0.0.1:${front.port}`;
    const got = await curl('-i', `${url}/a?b=c`, `${url}/d`);
    expect(got.match(/HTTP\/1\.1 200 OK/g)?.length).toBe(2);
    expect(got).toContain('x-echo: yes');
    const text = 'x'.repeat(3_000_000);
    const posted = JSON.parse(await curl('--data-binary', text.slice(0, 100_000), '-H', 'Expect: 100-continue', url));
    expect(posted).toMatchObject({ method: 'POST', bytes: 100_000 });
    expect(posted.headers).toMatchObject({ 'content-length': '100000', host: `127.0.0.1:${front.port}` });
    expect(posted.headers.expect).toBeUndefined();
    const chunked = JSON.parse(
      await curl('-T', '/etc/hostname', '-H', 'Transfer-Encoding: chunked', '-H', 'Content-Length:', url),
    );
    expect(chunked.headers['transfer-encoding']).toBe('chunked');
    expect(chunked.headers['content-length']).toBeUndefined();
    expect(await curl('-I', url)).toMatch(/^HTTP\/1.1 200 OK/);
    expect(await curl('-0', url)).toContain('"method":"GET"');
    expect(front.bugs).toEqual([]);
  });
});

describe('fetch', () => {
  it('streams both ways, and takes back what it does not want', async () => {
    await using target = await origin((incoming, response) => {
      if (incoming.url === '/endless') {
        response.write('begin');
        return;
      }
      if (incoming.url === '/pipe') incoming.pipe(response);
      else echo(incoming, response);
    });
    await using front = await gateway(target.port);
    const url = `http://127.0.0.1:${front.port}`;
    const bytes = randomBytes(1_000_000);
    const answer = await fetch(`${url}/pipe`, { method: 'POST', body: bytes });
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
    const many = await Promise.all(
      Array.from(
        { length: 50 },
        async (_, index) => (await fetch(`${url}/${index}`)).json() as Promise<{ url: string }>,
      ),
    );
    expect(many.map(({ url: path }) => path)).toEqual(Array.from({ length: 50 }, (_, index) => `/${index}`));
    const abort = new AbortController();
    let upstreamClosed = false;
    target.http.once('request', (incoming: IncomingMessage) =>
      incoming.socket.once('close', () => {
        upstreamClosed = true;
      }),
    );
    const endless = await fetch(`${url}/endless`, { signal: abort.signal });
    expect(endless.status).toBe(200);
    abort.abort();
    await until(() => upstreamClosed);
    expect(front.bugs).toEqual([]);
  });
});

describe('an agent of node:http', () => {
  it('keeps its connections, and gets interim answers and trailers', async () => {
    let connections = 0;
    await using target = await origin((_incoming, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' }, () => {
        response.writeHead(200, { trailer: 'x-sum' });
        response.write('body');
        response.addTrailers({ 'x-sum': '7' });
        response.end();
      });
    });
    target.http.on('connection', () => connections++);
    await using front = await gateway(target.port);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let early: string | undefined;
    for (let count = 0; count < 5; count++) {
      const sent = request({ port: front.port, host: '127.0.0.1', agent }).end();
      sent.on('information', ({ headers }) => {
        early = headers.link as string;
      });
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      let text = '';
      for await (const chunk of response) text += chunk;
      expect([text, response.trailers]).toEqual(['body', { 'x-sum': '7' }]);
    }
    agent.destroy();
    expect(early).toBe('</a.css>; rel=preload');
    expect([connections, front.connections <= 1]).toEqual([1, true]);
  });
});

describe('a WebSocket client', () => {
  it('gets its connection, and its bytes', async () => {
    await using target = await origin(echo);
    target.http.on('upgrade', (incoming, socket) => {
      const key = incoming.headers['sec-websocket-key'];
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
      socket.write(Buffer.from([0x81, 5, ...Buffer.from('hello')]));
      socket.on('error', () => socket.destroy());
    });
    await using front = await gateway(target.port);
    const socket = new WebSocket(`ws://127.0.0.1:${front.port}/chat`);
    const message = await new Promise<string>((resolve, reject) => {
      socket.onmessage = ({ data }) => resolve(data as string);
      socket.onerror = () => reject(new Error('no connection'));
    });
    expect(message).toBe('hello');
    socket.close();
    expect(front.bugs).toEqual([]);
  });
});

describe('TLS', () => {
  it('makes no difference, on either side', async () => {
    const authority = await testAuthority();
    const { certificate: cert, key } = await authority.server('a.test', '127.0.0.1');
    const https = createTlsServer({ cert, key }, echo);
    https.listen(0, '127.0.0.1');
    await once(https, 'listening');
    const calls: string[] = [];
    const bugs: unknown[] = [];
    const forward = forwardOver(() =>
      connectTls({ port: (https.address() as AddressInfo).port, host: '127.0.0.1', ca: authority.certificate }),
    );
    await using front = await new Loopback((socket) => {
      const secure = new TLSSocket(socket, { isServer: true, cert, key });
      serveHttp1(secure, httpLimits, (call) => {
        calls.push(call.request.target);
        forward(call);
      }).catch((error) => bugs.push(error));
    }).listen();
    const resolved = ['--resolve', `a.test:${front.port}:127.0.0.1`, '-k'];
    const url = `https://a.test:${front.port}`;
    const sent = JSON.parse(await curl(...resolved, '--data-binary', 'x'.repeat(50_000), `${url}/a`));
    expect(sent).toMatchObject({ method: 'POST', bytes: 50_000, url: '/a' });
    expect(await curl(...resolved, '--request-target', `${url}/b`, url)).toContain('"url":"/b"');
    expect(await curl(...resolved, '-i', '--request-target', `http://a.test:${front.port}/c`, url)).toMatch(
      /^HTTP\/1.1 400/,
    );
    expect(await curl(...resolved, '-0', url)).toContain('"method":"GET"');
    expect([calls, bugs]).toEqual([['/a', '/b', '/'], []]);
    https.closeAllConnections();
    https.close();
  });
});

describe('a large body', () => {
  const size = 200_000_000;
  const chunk = randomBytes(1_000_000);

  /** More than what the system holds for four sockets, and far less than all of it. */
  const most = 60_000_000;

  it('goes down to a slow reader without being held', async () => {
    let sent = 0;
    let got = 0;
    let held = 0;
    await using target = await origin(async (_incoming, response) => {
      response.setHeader('content-length', size);
      for (; sent < size; sent += chunk.length) {
        held = Math.max(held, sent - got);
        if (!response.write(chunk)) await once(response, 'drain');
      }
      response.end();
    });
    await using front = await gateway(target.port);
    const asked = request({ port: front.port, host: '127.0.0.1' }).end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    await quiet(300);
    for await (const piece of response) got += (piece as Buffer).length;
    expect(got).toBe(size);
    expect(held).toBeLessThan(most);
  });

  it('goes up to a slow target without being held', async () => {
    let sent = 0;
    let got = 0;
    let held = 0;
    await using target = await origin(async (incoming, response) => {
      await quiet(300);
      for await (const piece of incoming) got += (piece as Buffer).length;
      response.end('done');
    });
    await using front = await gateway(target.port);
    const asked = request({ port: front.port, host: '127.0.0.1', method: 'POST' });
    for (; sent < size; sent += chunk.length) {
      held = Math.max(held, sent - got);
      if (!asked.write(chunk)) await once(asked, 'drain');
    }
    asked.end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    expect(got).toBe(size);
    expect(held).toBeLessThan(most);
  });
});

describe('a target that lies or leaves', () => {
  it('is never taken for complete by the caller', async () => {
    await using target = await origin((incoming, response) => {
      response.writeHead(200, incoming.url === '/length' ? { 'content-length': 100 } : {});
      response.write('part');
      setTimeout(() => response.destroy(), 10);
    });
    await using front = await gateway(target.port);
    for (const path of ['/length', '/chunks']) {
      const answer = await fetch(`http://127.0.0.1:${front.port}${path}`);
      await expect(answer.text()).rejects.toThrow();
    }
    using old = await RawPeer.to(front.port);
    old.say('GET /chunks HTTP/1.0\r\nHost: a.test\r\n\r\n');
    await until(() => old.closed);
    expect(old.error).toBe('ECONNRESET');
  });

  it('gets no second request by way of a first one', async () => {
    const urls: (string | undefined)[] = [];
    await using target = await origin((incoming, response) => {
      urls.push(incoming.url);
      incoming.resume().on('end', () => response.end('ok'));
    });
    await using front = await gateway(target.port);
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n';
    using peer = await RawPeer.to(front.port);
    peer.say(`POST /1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`);
    await peer.hears(/ok$/);
    using other = await RawPeer.to(front.port);
    const size = smuggled.length.toString(16);
    other.say(
      `POST /2 HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\n${smuggled}\r\n0\r\n\r\n`,
    );
    await other.hears(/ok/);
    using third = await RawPeer.to(front.port);
    third.say('GET /3 HTTP/1.1\r\nHost: a.test\r\n\r\n');
    await third.hears(/ok/);
    expect(urls).toEqual(['/1', '/2', '/3']);
  });
});
