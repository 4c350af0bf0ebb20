import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from 'node:http2';
import { createServer as createTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { testAuthority } from '../../../test/support/certificates.ts';
import { type HttpLimits, httpLimits } from '../connection.ts';
import type { ServerCall } from '../message.ts';
import { collect, type Gate, openGate } from './gate.fixture.ts';
import { endHeaders, endStream, fieldBlock, frame, getFields, rawClient, types } from './raw-frames.fixture.ts';
import { serveHttp2 } from './server.ts';

const run = promisify(execFile);
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function gate(
  onCall: (call: ServerCall) => void,
  limits: Partial<HttpLimits> = {},
  signal?: AbortSignal,
): Promise<Gate> {
  const opened = await openGate(onCall, limits, signal);
  closing.push(() => opened.close());
  return opened;
}

function client(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
  closing.push(() => session.destroy());
  return session;
}

interface Answer {
  readonly status: number;
  readonly fields: Record<string, unknown>;
  readonly body: string;
  readonly trailers: Record<string, unknown>;
  readonly endedOnHead: boolean;
}

function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let head: Record<string, unknown> = {};
    let trailers = {};
    let endedOnHead = false;
    const parts: Buffer[] = [];
    stream.on('response', (fields, flags) => {
      head = fields;
      endedOnHead = (flags & 1) !== 0;
    });
    stream.on('trailers', (fields) => {
      trailers = fields;
    });
    stream.on('data', (bytes) => parts.push(bytes));
    stream.on('error', reject);
    stream.on('close', () => {
      if (stream.rstCode !== 0) reject(new Error(`reset with ${stream.rstCode}`));
      resolve({
        status: Number(head[':status']),
        fields: head,
        body: Buffer.concat(parts).toString(),
        trailers,
        endedOnHead,
      });
    });
  });
}

function ask(session: ClientHttp2Session, fields: OutgoingHttpHeaders = {}, body?: Buffer | string): Promise<Answer> {
  const stream = session.request(fields, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return answerOf(stream);
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

function hello(call: ServerCall): void {
  call.answer({ status: 200, fields: ['content-type', 'text/plain'], length: 5 });
  call.write(Buffer.from('hello'));
  call.end();
}

describe('a request', () => {
  it('arrives as curl sends it, and curl gets the answer', async () => {
    const { port, calls } = await gate(async (call) => {
      const { bytes } = await collect(call.body);
      call.answer({
        status: 201,
        fields: ['x-seen', 'yes', 'set-cookie', 'a=1', 'set-cookie', 'b=2'],
        length: bytes.length,
      });
      call.write(bytes);
      call.end();
    });
    const { stdout } = await run('curl', [
      ...['-si', '--http2-prior-knowledge', '-X', 'PUT', '--data-binary', 'some bytes', '-H', 'X-Case: Kept As Is'],
      `http://127.0.0.1:${port}/a%2fb/../c?q=%20&r=;`,
      '--path-as-is',
    ]);
    expect(stdout).toContain('HTTP/2 201');
    expect(stdout.match(/set-cookie: \w=\d/g)).toEqual(['set-cookie: a=1', 'set-cookie: b=2']);
    expect(stdout).toMatch(/\r\n\r\nsome bytes$/);
    const { request } = calls[0]!;
    expect(request).toMatchObject({ version: '2', method: 'PUT', target: '/a%2fb/../c?q=%20&r=;' });
    expect(request.authority).toBe(`127.0.0.1:${port}`);
    expect(request.fields.join('\n')).toContain('x-case\nKept As Is');
    expect(request.fields).not.toContain('content-length');
  });

  it('is served inside TLS, after ALPN', async () => {
    const authority = await testAuthority();
    const { certificate, key } = await authority.server('localhost');
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-h2-'));
    closing.push(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'ca.pem'), authority.certificate);
    const server = createTlsServer({ cert: certificate, key, ALPNProtocols: ['h2'] }, (socket) => {
      void serveHttp2(socket, httpLimits, hello);
    });
    closing.push(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { stdout } = await run('curl', [
      '-si',
      '--http2',
      '--cacert',
      join(folder, 'ca.pem'),
      `https://localhost:${port}/`,
    ]);
    expect(stdout).toMatch(/^HTTP\/2 200/);
    expect(stdout).toMatch(/hello$/);
  });

  it('has its cookies in one field', async () => {
    const { port, calls } = await gate(hello);
    await ask(client(port), { cookie: ['a=1', 'b=2', 'c=3'], accept: ['x/y', 'z/w'] });
    const { fields } = calls[0]!.request;
    expect(fields[fields.indexOf('cookie') + 1]).toBe('a=1; b=2; c=3');
    expect(fields.filter((text) => text === 'cookie')).toHaveLength(1);
    expect(fields.filter((text) => text === 'accept')).toHaveLength(2);
  });

  it('has no field that is about the connection', async () => {
    const { port, calls } = await gate(hello);
    await ask(client(port), {
      te: 'trailers',
      expect: '100-continue',
      'proxy-authorization': 'Basic eA==',
      'x-mine': '1',
    });
    expect(calls[0]!.request.fields).toEqual(['x-mine', '1']);
  });

  it('has trailers behind its body', async () => {
    let seen: readonly string[] = [];
    const { port } = await gate(async (call) => {
      seen = (await collect(call.body)).trailers;
      hello(call);
    });
    const stream = client(port).request({ ':method': 'POST' }, { endStream: false, waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'abc' }));
    stream.end('body');
    await answerOf(stream);
    expect(seen).toEqual(['x-sum', 'abc']);
  });

  it('that wants to be waved on is, once its body is taken', async () => {
    const { port } = await gate(async (call) => {
      await collect(call.body);
      hello(call);
    });
    const stream = client(port).request({ ':method': 'POST', expect: '100-continue' }, { endStream: false });
    stream.on('continue', () => stream.end('body'));
    expect((await answerOf(stream)).status).toBe(200);
  });

  it('that is taken back fires the signal', async () => {
    const { port, calls } = await gate(() => undefined);
    const stream = client(port).request({});
    await until(() => calls.length === 1);
    expect(calls[0]!.signal.aborted).toBe(false);
    stream.close(8);
    await until(() => calls[0]!.signal.aborted);
  });

  it('whose caller is gone fires the signal, and its body fails', async () => {
    let failure: unknown;
    const { port, calls, served } = await gate((call) => {
      collect(call.body).catch((error) => {
        failure = error;
      });
    });
    const session = client(port);
    session
      .request({ ':method': 'POST' }, { endStream: false })
      .on('error', () => undefined)
      .write('begun');
    await until(() => calls.length === 1);
    session.destroy();
    await until(() => calls[0]!.signal.aborted);
    await served[0];
    expect(failure).toMatchObject({ kind: 'CLIENT_PROTOCOL' });
  });

  it('can be one of many at once', async () => {
    const waiting: ServerCall[] = [];
    const { port } = await gate((call) => {
      waiting.push(call);
      if (waiting.length === 50) for (const one of waiting.toReversed()) hello(one);
    });
    const session = client(port);
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(session)));
    expect(answers.every(({ body }) => body === 'hello')).toBe(true);
  });
});

describe('an answer', () => {
  it('without a body ends on its head, as gRPC wants its trailers-only answers', async () => {
    const { port } = await gate((call) => {
      call.answer({ status: 200, fields: ['grpc-status', '12'], length: 0 });
      call.end();
    });
    expect(await ask(client(port), { ':method': 'POST' }, 'x')).toMatchObject({ endedOnHead: true, body: '' });
  });

  it('has its trailers, with and without a body', async () => {
    const { port } = await gate((call) => {
      const empty = call.request.target === '/empty';
      call.answer({ status: 200, fields: [], ...(empty ? { length: 0 } : {}) });
      if (!empty) call.write(Buffer.from('data'));
      call.end(['grpc-status', '0', 'x-two', 'a', 'x-two', 'b']);
    });
    const session = client(port);
    for (const path of ['/', '/empty']) {
      const answer = await ask(session, { ':path': path });
      expect(answer.trailers).toMatchObject({ 'grpc-status': '0', 'x-two': 'a, b' });
      expect(answer.endedOnHead).toBe(false);
    }
  });

  it('says only what may be said without a body', async () => {
    const { port } = await gate((call) => {
      const status = Number(call.request.target.slice(1));
      call.answer({ status, fields: [], ...(status === 204 ? {} : { length: 1234 }) });
      call.write(Buffer.from('never seen'));
      call.end();
    });
    const session = client(port);
    expect(await ask(session, { ':path': '/200', ':method': 'HEAD' })).toMatchObject({ status: 200, body: '' });
    expect((await ask(session, { ':path': '/200', ':method': 'HEAD' })).fields['content-length']).toBe('1234');
    expect(await ask(session, { ':path': '/204' })).toMatchObject({ status: 204, body: '' });
    expect(await ask(session, { ':path': '/304' })).toMatchObject({ status: 304, body: '' });
  });

  it('can be announced by interim ones', async () => {
    const { port } = await gate((call) => {
      call.inform(103, ['link', '</a>; rel=preload', 'link', '</b>; rel=preload']);
      hello(call);
      call.inform(103, []); // Too late: nothing happens.
    });
    const stream = client(port).request({});
    const interim: unknown[] = [];
    stream.on('headers', (fields) => interim.push(fields[':status'], fields.link));
    expect((await answerOf(stream)).body).toBe('hello');
    expect(interim).toEqual([103, '</a>; rel=preload, </b>; rel=preload']);
  });

  it('that is aborted is seen to break off', async () => {
    const { port } = await gate((call) => {
      call.answer({ status: 200, fields: [] });
      call.write(Buffer.from('half'));
      setTimeout(() => call.abort(), 20);
    });
    await expect(ask(client(port))).rejects.toThrow();
  });

  it('with more or fewer bytes than announced is seen to break off', async () => {
    const { port } = await gate((call) => {
      call.answer({ status: 200, fields: [], length: 10 });
      call.write(Buffer.alloc(call.request.target === '/more' ? 11 : 9));
      call.end();
    });
    await expect(ask(client(port), { ':path': '/more' })).rejects.toThrow();
    await expect(ask(client(port), { ':path': '/fewer' })).rejects.toThrow();
  });

  it('can come before the request is complete; the rest of it is refused without harm', async () => {
    const { port } = await gate((call) => {
      call.body.cancel();
      call.answer({ status: 413, fields: [], length: 3 });
      call.write(Buffer.from('no!'));
      call.end();
    });
    const session = client(port);
    const stream = session.request({ ':method': 'POST' }, { endStream: false });
    stream.on('error', () => undefined);
    stream.write(Buffer.alloc(500_000));
    const answer = await answerOf(stream);
    expect(answer).toMatchObject({ status: 413, body: 'no!' });
    expect((await ask(session, { ':method': 'POST' }, 'again')).status).toBe(413);
  });

  it('cannot carry a field that breaks out of its place', async () => {
    const thrown: unknown[] = [];
    const { port } = await gate((call) => {
      try {
        call.answer({ status: 200, fields: ['x', call.request.target === '/nul' ? 'a\0b' : 'a\r\nb'] });
      } catch (error) {
        thrown.push(error);
      }
      call.abort();
    });
    const session = client(port);
    for (const path of ['/nul', '/break']) await expect(ask(session, { ':path': path })).rejects.toThrow();
    expect(thrown).toEqual([expect.any(TypeError), expect.any(TypeError)]);
  });

  it('loses fields that are about a connection of HTTP/1.1', async () => {
    const { port } = await gate((call) => {
      call.answer({
        status: 200,
        fields: ['connection', 'x', 'transfer-encoding', 'chunked', 'keep-alive', '1', 'te', 'gzip', 'y', 'z'],
      });
      call.end();
    });
    const { fields } = await ask(client(port));
    expect(Object.keys(fields).toSorted()).toEqual([':status', 'y']);
  });
});

describe('back-pressure', () => {
  it('slows the source down while the caller does not read', async () => {
    let written = 0;
    const { port } = await gate(async (call) => {
      call.answer({ status: 200, fields: [] });
      while (written < 200 && !call.signal.aborted) {
        written++;
        await call.write(Buffer.alloc(64 * 1024));
      }
      call.end();
    });
    const stream = client(port).request({});
    stream.pause();
    await new Promise((resolve) => stream.once('response', resolve));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const held = written;
    expect(held).toBeLessThan(20);
    let got = 0;
    stream.on('data', (bytes) => {
      got += bytes.length;
    });
    stream.resume();
    await new Promise((resolve) => stream.once('close', resolve));
    expect(got).toBe(200 * 64 * 1024);
  });

  it.each([
    ['an announced length', { length: 300_000 }, [], true],
    ['no announced length', {}, [], true],
    ['trailers', {}, ['x-sum', '1'], true],
    ['an announced length, to a request that goes on', { length: 300_000 }, [], false],
    ['no announced length, to a request that goes on', {}, [], false],
    ['trailers, to a request that goes on', {}, ['x-sum', '1'], false],
  ])('loses no byte of an answer with %s', async (_name, length, trailers, ended) => {
    const { port } = await gate((call) => {
      call.answer({ status: 200, fields: [], ...length });
      for (let index = 0; index < 3; index++) call.write(Buffer.alloc(100_000));
      call.end(trailers);
    });
    const session = client(port);
    for (let round = 0; round < 3; round++) {
      const stream = session.request({ ':method': 'POST' }, { endStream: ended });
      if (!ended) stream.write('more to come');
      let reset = false;
      stream.on('error', () => {
        reset = true;
      });
      let trailed = false;
      stream.on('trailers', () => {
        trailed = true;
      });
      await new Promise((resolve) => stream.once('response', resolve));
      await new Promise((resolve) => setTimeout(resolve, 30));
      let got = 0;
      stream.on('data', (bytes) => {
        got += bytes.length;
      });
      await new Promise((resolve) => stream.once('close', resolve));
      expect([got, reset, trailed]).toEqual([300_000, false, trailers.length > 0]);
    }
  });

  it('keeps a body that nobody takes with the caller', async () => {
    const { port, calls } = await gate(() => undefined);
    const stream = client(port).request({ ':method': 'POST' }, { endStream: false });
    let taken = 0;
    for (let index = 0; index < 100; index++) stream.write(Buffer.alloc(16 * 1024), () => taken++);
    await until(() => calls.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(taken * 16 * 1024).toBeLessThan(200_000);
    const whole = collect(calls[0]!.body);
    stream.end();
    expect((await whole).bytes.length).toBe(100 * 16 * 1024);
    hello(calls[0]!);
  });

  it('keeps a body whose taker is slow with the caller, and gives all of it in the end', async () => {
    let release = () => {};
    let got = 0;
    let ended = false;
    const { port } = await gate((call) => {
      call.body.pipe({
        data(bytes) {
          got += bytes.length;
          return new Promise((resolve) => {
            release = resolve;
          });
        },
        end() {
          ended = true;
          hello(call);
        },
        fail: () => undefined,
      });
    });
    const stream = client(port).request({ ':method': 'POST' }, { endStream: false });
    const answer = answerOf(stream);
    stream.end(Buffer.alloc(2_000_000));
    await until(() => got > 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(got).toBeLessThan(100_000);
    while (!ended) {
      release();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(got).toBe(2_000_000);
    expect((await answer).body).toBe('hello');
  });
});

describe('a WebSocket (RFC 8441)', () => {
  it('is a request for an upgrade, and then bytes both ways', async () => {
    const { port, calls } = await gate((call) => {
      const tunnel = call.switchProtocols(['sec-websocket-protocol', 'chat', 'sec-websocket-accept', 'of HTTP/1.1']);
      tunnel.pipe({
        data: (bytes) => tunnel.write(Buffer.from(bytes.toString().toUpperCase())),
        end: () => tunnel.end(),
        fail: () => undefined,
      });
    });
    const session = client(port);
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    expect(session.remoteSettings.enableConnectProtocol).toBe(true);
    const stream = session.request(
      { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat', 'sec-websocket-version': '13' },
      { endStream: false },
    );
    const answer = answerOf(stream);
    stream.write('one ');
    await new Promise((resolve) => stream.once('data', resolve));
    stream.end('two');
    expect(await answer).toMatchObject({ status: 200, body: 'ONE TWO' });
    expect((await answer).fields).not.toHaveProperty('sec-websocket-accept');
    expect(calls[0]!.request).toMatchObject({ method: 'GET', target: '/chat', upgrade: 'websocket' });
    expect(calls[0]!.body.length).toBe(0);
  });

  it('can be refused like any request', async () => {
    const { port } = await gate((call) => {
      call.answer({ status: 403, fields: [], length: 2 });
      call.write(Buffer.from('no'));
      call.end();
    });
    const session = client(port);
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    const stream = session.request(
      { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/' },
      { endStream: false },
    );
    expect(await answerOf(stream)).toMatchObject({ status: 403, body: 'no' });
  });
});

describe('a connection', () => {
  it('finishes what is under way when it is told to stop, and takes nothing more', async () => {
    const stop = new AbortController();
    const { port, calls, served } = await gate(() => undefined, {}, stop.signal);
    const session = client(port);
    const answer = ask(session);
    await until(() => calls.length === 1);
    stop.abort();
    await new Promise((resolve) => session.once('goaway', resolve));
    hello(calls[0]!);
    expect((await answer).body).toBe('hello');
    await served[0];
  });

  it('is closed when nothing is asked for long', async () => {
    const { port, served } = await gate(hello, { idleMs: 60 });
    const session = client(port);
    expect((await ask(session)).body).toBe('hello');
    await new Promise((resolve) => session.once('close', resolve));
    await served[0];
  });

  it('is closed then also where bodies were left alone', async () => {
    const { port, served } = await gate(
      (call) => {
        if (call.request.target === '/cancelled') call.body.cancel();
        hello(call);
        if (call.request.target === '/late') call.body.cancel();
      },
      { idleMs: 60 },
    );
    const session = client(port);
    for (const path of ['/untouched', '/cancelled', '/late']) {
      const whole = await ask(session, { ':path': path, ':method': 'POST' }, 'all of a small body');
      expect(whole.body).toBe('hello');
      const stream = session.request({ ':path': path, ':method': 'POST' }, { endStream: false });
      stream.write('a part of it');
      expect((await answerOf(stream)).body).toBe('hello');
    }
    await new Promise((resolve) => session.once('close', resolve));
    await served[0];
  });

  it('is not closed while an answer is on its way', async () => {
    const { port } = await gate(
      (call) => {
        call.answer({ status: 200, fields: ['content-type', 'text/event-stream'] });
        setTimeout(() => {
          call.write(Buffer.from('late'));
          call.end();
        }, 200);
      },
      { idleMs: 60, bodyIdleMs: 60 },
    );
    expect((await ask(client(port))).body).toBe('late');
  });

  it('loses a request whose body stands still', async () => {
    let failure: unknown;
    const { port } = await gate(
      (call) => {
        collect(call.body).catch((error) => {
          failure = error;
        });
      },
      { bodyIdleMs: 50 },
    );
    const stream = client(port).request({ ':method': 'POST' }, { endStream: false });
    stream.write('begun');
    await expect(answerOf(stream)).rejects.toThrow();
    await until(() => failure !== undefined);
    expect(failure).toMatchObject({ kind: 'CLIENT_PROTOCOL' });
  });

  it('loses an answer that its caller does not read', async () => {
    const { port, calls } = await gate(
      async (call) => {
        call.answer({ status: 200, fields: [] });
        while (!call.signal.aborted) await call.write(Buffer.alloc(64 * 1024));
      },
      { bodyIdleMs: 60 },
    );
    const stream = client(port).request({});
    stream.on('error', () => undefined);
    stream.pause();
    await until(() => calls[0]?.signal.aborted === true);
  });

  it('says at its end what mistake was made with a body, and loses only that request', async () => {
    const mistake = new Error('a bug');
    const { port, served } = await gate((call) => {
      if (call.request.method === 'GET') return hello(call);
      call.body.pipe({
        data() {
          throw mistake;
        },
        end: () => undefined,
        fail: () => undefined,
      });
    });
    const session = client(port);
    await expect(ask(session, { ':method': 'POST' }, 'body')).rejects.toThrow();
    expect((await ask(session)).body).toBe('hello');
    session.close();
    await expect(served[0]).rejects.toBe(mistake);
  });

  it('of which somebody has read the beginning already is served all the same', async () => {
    const bodies: string[] = [];
    const server = createTcp((socket) => {
      socket.once('readable', () => {
        socket.unshift(socket.read() as Buffer);
        void serveHttp2(socket, httpLimits, async (call) => {
          bodies.push((await collect(call.body)).bytes.toString());
          hello(call);
        });
      });
    });
    closing.push(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const peer = await rawClient((server.address() as { port: number }).port, Buffer.alloc(0), (hello) => {
      const post = getFields.map(([name, value]) => [name, name === ':method' ? 'POST' : value] as const);
      return Buffer.concat([
        hello,
        frame(types.headers, endHeaders, 1, fieldBlock(post)),
        frame(types.data, 0, 1, 'some'),
        frame(types.data, endStream, 1, 'thing'),
        frame(types.headers, endHeaders | endStream, 3, fieldBlock(getFields)),
      ]);
    });
    closing.push(() => peer.socket.destroy());
    await peer.until(({ type, id }) => type === types.data && id === 1);
    await peer.until(({ type, id }) => type === types.data && id === 3);
    expect(bodies.toSorted()).toEqual(['', 'something']);
  });

  it('ends with our own mistake where we make one, and says so', async () => {
    const mistake = new Error('a bug');
    const { port, served } = await gate(() => {
      throw mistake;
    });
    await expect(ask(client(port))).rejects.toThrow();
    await expect(served[0]).rejects.toBe(mistake);
  });
});
