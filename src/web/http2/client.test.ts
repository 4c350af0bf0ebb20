import { createServer, type Http2Server, type Http2Session, type ServerHttp2Stream, type Settings } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type HttpLimits, httpLimits } from '../connection.ts';
import { Http2Connection } from './client.ts';
import { bodyOf, openBody, outgoing, TestCall, until } from './sent.fixture.ts';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

type Handler = (stream: ServerHttp2Stream, fields: Record<string, unknown>) => void;

async function target(
  onStream: Handler,
  settings: Settings = {},
): Promise<{ server: Http2Server; sessions: Http2Session[]; port: number }> {
  const server = createServer({ settings });
  const sessions: Http2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream, fields) => {
    stream.on('error', () => undefined);
    onStream(stream, fields);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { server, sessions, port: (server.address() as AddressInfo).port };
}

async function connected(port: number, limits: Partial<HttpLimits> = {}): Promise<Http2Connection> {
  const socket = connect(port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  closing.push(() => socket.destroy());
  const connection = new Http2Connection(socket, { ...httpLimits, ...limits });
  await connection.ready;
  return connection;
}

const echo: Handler = (stream, fields) => {
  stream.respond({ ':status': 200, 'x-method': String(fields[':method']), 'set-cookie': ['a=1', 'b=2'] });
  stream.pipe(stream);
};

describe('a request', () => {
  it('arrives as it was meant', async () => {
    let seen: Record<string, unknown> = {};
    const { port } = await target((stream, fields) => {
      seen = fields;
      echo(stream, fields);
    });
    const call = new TestCall().send(
      await connected(port),
      outgoing({
        method: 'POST',
        target: '/a%2Fb?c=%20',
        fields: [
          'x-one',
          '1',
          'x-two',
          'a',
          'x-two',
          'b',
          'authorization',
          'Bearer t',
          'connection',
          'x',
          'host',
          'evil',
        ],
        body: bodyOf('hello ', 'there'),
      }),
    );
    await call.done;
    expect(seen).toMatchObject({
      ':method': 'POST',
      ':path': '/a%2Fb?c=%20',
      ':authority': 'target.test',
      ':scheme': 'http',
      'x-one': '1',
      'x-two': 'a, b',
      te: 'trailers',
      'content-length': '11',
    });
    expect(seen).not.toHaveProperty('host');
    expect(call.answered).toMatchObject({ status: 200, fields: expect.arrayContaining(['set-cookie', 'a=1', 'b=2']) });
    expect(call.body).toBe('hello there');
    expect(call.events).toEqual(['head', 'end']);
  });

  it('without a body ends at once, and says length 0 only where one was to be expected', async () => {
    const lengths: unknown[] = [];
    const { port } = await target((stream, fields) => {
      lengths.push(fields['content-length'], stream.endAfterHeaders);
      stream.respond({ ':status': 204 }, { endStream: true });
    });
    const connection = await connected(port);
    for (const method of ['GET', 'POST']) await new TestCall().send(connection, outgoing({ method })).done;
    expect(lengths).toEqual([undefined, true, '0', true]);
  });

  it('of unknown length has its trailers', async () => {
    const seen: unknown[] = [];
    const { port } = await target((stream, fields) => {
      stream.on('trailers', (trailers) => seen.push(trailers['x-sum']));
      stream.on('end', () => stream.respond({ ':status': 200 }, { endStream: true }));
      stream.resume();
      seen.push(fields['content-length']);
    });
    const { body, sink } = openBody();
    const call = new TestCall().send(await connected(port), outgoing({ method: 'PUT', body }));
    const to = await sink;
    to.data(Buffer.from('x'));
    to.end(['x-sum', 'abc']);
    await call.done;
    expect(seen).toEqual([undefined, 'abc']);
  });

  it.each([
    ['more', 3, 'abcd'],
    ['fewer', 5, 'abcd'],
  ])('with %s bytes than announced never looks complete', async (_name, length, text) => {
    let code = -1;
    const { port } = await target((stream) => {
      stream.on('close', () => {
        code = stream.rstCode;
      });
      stream.resume();
    });
    const { body, sink } = openBody(length);
    const call = new TestCall().send(await connected(port), outgoing({ method: 'PUT', body }));
    const to = await sink;
    to.data(Buffer.from(text));
    to.end([]);
    await call.done;
    await until(() => code !== -1);
    expect(call.error?.kind).toBe('CLIENT_PROTOCOL');
    expect(code).not.toBe(0);
  });

  it('whose sender breaks off is taken back', async () => {
    let code = -1;
    const { port } = await target((stream) => {
      stream.on('close', () => {
        code = stream.rstCode;
      });
      stream.resume();
    });
    const { body, sink } = openBody();
    const call = new TestCall().send(await connected(port), outgoing({ method: 'PUT', body }));
    (await sink).fail(Object.assign(new Error('gone'), { kind: 'CLIENT_PROTOCOL' }) as never);
    await call.done;
    await until(() => code !== -1);
    expect(code).toBe(8);
  });

  it('that is cancelled is reset, and nothing comes back any more', async () => {
    let code = -1;
    const { port } = await target((stream) => {
      stream.respond({ ':status': 200 });
      stream.write('begun');
      stream.on('close', () => {
        code = stream.rstCode;
      });
    });
    const connection = await connected(port);
    const call = new TestCall().send(connection);
    await until(() => call.bytes > 0);
    call.call?.cancel();
    call.call?.cancel();
    await until(() => code !== -1);
    expect(code).toBe(8);
    expect(call.events).toEqual(['head']);
    await until(() => connection.free === 100);
  });

  it('whose answer comes early is not sent to its end', async () => {
    const { port } = await target((stream) => {
      stream.respond({ ':status': 413 });
      stream.end('too large');
    });
    const opened = openBody();
    const connection = await connected(port);
    const call = new TestCall().send(connection, outgoing({ method: 'PUT', body: opened.body }));
    (await opened.sink).data(Buffer.alloc(1000));
    await call.done;
    expect(call.answered?.status).toBe(413);
    expect(call.body).toBe('too large');
    expect(call.events).toEqual(['head', 'end']);
    expect(opened.cancelled).toBe(true);
    await until(() => connection.free === 100);
  });

  it('that cannot be sent as it is throws, and nothing is sent', async () => {
    const { port } = await target(echo);
    const connection = await connected(port);
    for (const wrong of [
      { fields: ['x', 'a\r\nb'] },
      { fields: ['x y', 'a'] },
      { fields: [':path', '/other'] },
      { target: '/a b' },
      { method: 'GET\0' },
      { authority: 'x\ny' },
    ]) {
      expect(() => new TestCall().send(connection, outgoing(wrong))).toThrow(TypeError);
    }
    expect(connection.free).toBe(100);
  });
});

describe('an answer', () => {
  it('has its interim ones before it and its trailers behind it, as gRPC needs', async () => {
    const { port } = await target((stream) => {
      stream.additionalHeaders({ ':status': 100 });
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'fine' }));
      stream.end('data');
    });
    const call = new TestCall().send(await connected(port), outgoing({ method: 'POST', body: bodyOf('x') }));
    await call.done;
    expect(call.interim).toEqual([{ status: 103, fields: ['link', '</a>'] }]);
    expect(call.trailers).toEqual(['grpc-status', '0', 'grpc-message', 'fine']);
    expect(call.answered?.length).toBeUndefined();
    expect(call.events).toEqual(['informed', 'head', 'end']);
  });

  it('that ends on its head has length 0, but for HEAD and 304', async () => {
    const { port } = await target((stream, fields) => {
      const status = Number(String(fields[':path']).slice(1));
      stream.respond({ ':status': status, ...(status === 200 ? {} : { 'content-length': '77' }) }, { endStream: true });
    });
    const connection = await connected(port);
    const ask = async (changes: object) => {
      const call = new TestCall().send(connection, outgoing(changes));
      await call.done;
      return call.answered?.length;
    };
    expect(await ask({ target: '/200' })).toBe(0);
    expect(await ask({ target: '/304' })).toBe(77);
    expect(await ask({ target: '/200', method: 'HEAD' })).toBeUndefined();
  });

  it('waits in the target while the taker is slow', async () => {
    let written = 0;
    const { port } = await target((stream) => {
      stream.respond({ ':status': 200 });
      const more = () => {
        while (written < 300) {
          written++;
          if (!stream.write(Buffer.alloc(16 * 1024))) return void stream.once('drain', more);
        }
        stream.end();
      };
      more();
    });
    const call = new TestCall();
    let release = () => {};
    call.take = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    call.send(await connected(port));
    await until(() => call.bytes > 0);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(written).toBeLessThan(100);
    expect(call.bytes).toBeLessThan(100_000);
    while (!call.events.includes('end')) {
      release();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(call.bytes).toBe(300 * 16 * 1024);
  });

  it('is complete for a slow taker though the target hangs up once it has sent it', async () => {
    const { port, sessions } = await target((stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }));
      stream.on('close', () => setTimeout(() => sessions[0]!.destroy(), 10));
      stream.end(Buffer.alloc(200_000, 'x'));
    });
    const call = new TestCall();
    let release = () => {};
    call.take = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const connection = await connected(port);
    call.send(connection);
    await until(() => connection.free === 0);
    while (!call.events.includes('end') && !call.events.includes('fail')) {
      release();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(call.events).toEqual(['head', 'end']);
    expect(call.bytes).toBe(200_000);
    expect(call.trailers).toEqual(['x-sum', '1']);
  });

  it('that its taker chokes on fails, and harms nobody else', async () => {
    const { port } = await target((stream) => {
      stream.respond({ ':status': 200 });
      stream.end('data');
    });
    const connection = await connected(port);
    const mistake = new Error('a bug');
    for (const where of ['head', 'data', 'end'] as const) {
      const call = new TestCall();
      call[where] = () => {
        throw mistake;
      };
      call.send(connection);
      await call.done;
      expect(call.error).toMatchObject({ kind: 'INTERNAL', cause: mistake });
    }
    const good = new TestCall().send(connection);
    await good.done;
    expect(good.body).toBe('data');
  });

  it('fails when its body stands still, and does not when silence is its nature', async () => {
    const { port } = await target((stream, fields) => {
      const type = fields[':path'] === '/events' ? 'text/event-stream; charset=utf-8' : 'text/plain';
      stream.respond({ ':status': 200, 'content-type': type });
      stream.write('begun');
      setTimeout(() => stream.end(), 150);
    });
    const connection = await connected(port, { bodyIdleMs: 60 });
    const plain = new TestCall().send(connection);
    const events = new TestCall().send(connection, outgoing({ target: '/events' }));
    await Promise.all([plain.done, events.done]);
    expect(plain.error?.kind).toBe('UPSTREAM_PROTOCOL');
    expect(events.events).toEqual(['head', 'end']);
  });
});

describe('a connection', () => {
  it('carries as many requests at once as the target allows, and says when there is room again', async () => {
    const streams: ServerHttp2Stream[] = [];
    const { port } = await target((stream) => streams.push(stream), { maxConcurrentStreams: 3 });
    const connection = await connected(port);
    const first = new TestCall().send(connection);
    await until(() => connection.free === 2);
    const others = [new TestCall().send(connection), new TestCall().send(connection)];
    expect(connection.free).toBe(0);
    expect(() => new TestCall().send(connection)).toThrow(TypeError);
    await until(() => streams.length === 3);
    let freed = 0;
    connection.onFree(() => freed++);
    streams[0]!.respond({ ':status': 200 }, { endStream: true });
    await first.done;
    await until(() => connection.free === 1);
    expect(freed).toBe(1);
    for (const stream of streams.slice(1)) stream.respond({ ':status': 200 }, { endStream: true });
    await Promise.all(others.map(({ done }) => done));
  });

  it('that is to be closed finishes what is under way', async () => {
    const { port } = await target((stream, fields) => setTimeout(() => echo(stream, fields), 30));
    const connection = await connected(port);
    const call = new TestCall().send(connection, outgoing({ method: 'POST', body: bodyOf('x') }));
    let closed = 0;
    connection.onClosed(() => closed++);
    connection.close();
    expect(connection.free).toBe(0);
    await call.done;
    expect(call.body).toBe('x');
    expect(closed).toBe(1);
  });

  it('that is lost fails what was not heard of as unavailable, and what was begun as broken off', async () => {
    const { port, sessions } = await target((stream, fields) => {
      if (fields[':path'] === '/begun') {
        stream.respond({ ':status': 200 });
        stream.write('half');
      }
    });
    const connection = await connected(port);
    let closed = 0;
    connection.onClosed(() => closed++);
    const silent = new TestCall().send(connection);
    const begun = new TestCall().send(connection, outgoing({ target: '/begun' }));
    await until(() => begun.bytes > 0);
    sessions[0]!.socket.destroy();
    await Promise.all([silent.done, begun.done]);
    expect(silent.error?.kind).toBe('UPSTREAM_UNAVAILABLE');
    expect(begun.error?.kind).toBe('UPSTREAM_PROTOCOL');
    expect([closed, connection.free]).toEqual([1, 0]);
  });
});

describe('a WebSocket (RFC 8441)', () => {
  it('becomes a tunnel, with the proof that HTTP/1.1 asks for', async () => {
    const { port } = await target(
      (stream, fields) => {
        if (fields['sec-websocket-key'] !== undefined) return stream.close(1);
        stream.respond({ ':status': 200, 'x-protocol': String(fields[':protocol']) });
        stream.pipe(stream);
      },
      { enableConnectProtocol: true },
    );
    const key = 'dGhlIHNhbXBsZSBub25jZQ==';
    const fields = ['sec-websocket-key', key, 'sec-websocket-version', '13'];
    const call = new TestCall().send(await connected(port), outgoing({ upgrade: 'websocket', fields }));
    await call.done;
    expect(call.events).toEqual(['switched']);
    expect(call.switchedFields).toEqual(
      expect.arrayContaining(['x-protocol', 'websocket', 'sec-websocket-accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=']),
    );
    let got = '';
    const ended = new Promise<void>((resolve) =>
      call.tunnel!.pipe({
        data(bytes) {
          got += bytes.toString();
          return undefined;
        },
        end: () => resolve(),
        fail: () => resolve(),
      }),
    );
    call.tunnel!.write(Buffer.from('there and back'));
    call.tunnel!.end();
    await ended;
    expect(got).toBe('there and back');
  });

  it('fails where the target does not take it', async () => {
    const { port } = await target(echo);
    const call = new TestCall().send(await connected(port), outgoing({ upgrade: 'websocket' }));
    await call.done;
    expect(call.error).toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE', message: expect.stringContaining('WebSocket') });
  });

  it('that is refused is an ordinary answer', async () => {
    const { port } = await target(
      (stream) => {
        stream.respond({ ':status': 403 });
        stream.end('no');
      },
      { enableConnectProtocol: true },
    );
    const call = new TestCall().send(await connected(port), outgoing({ upgrade: 'websocket' }));
    await call.done;
    expect(call.answered?.status).toBe(403);
    expect(call.body).toBe('no');
  });
});
