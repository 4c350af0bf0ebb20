import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { PeerError } from '../../model/errors.ts';
import { httpLimits } from '../connection.ts';
import { Http2Connection } from './client.ts';
import {
  endHeaders,
  endStream,
  fieldBlock,
  frame,
  getFields,
  type RawPeer,
  rawServer,
  types,
  word,
} from './raw-frames.fixture.ts';
import { openBody, outgoing, TestCall, until } from './sent.fixture.ts';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** What becomes of a request to a target that, once it has heard it, does this. */
async function asked(onRequest: (peer: RawPeer, id: number) => void, changes = {}) {
  const { connection, call } = await underWay(onRequest, changes);
  await call.done;
  return { connection, call };
}

async function underWay(onRequest: (peer: RawPeer, id: number) => void, changes = {}) {
  const connection = await connectedTo(
    await rawServer(async (peer) => {
      closing.push(() => peer.socket.destroy());
      const { id } = await peer.until(({ type }) => type === types.headers);
      onRequest(peer, id);
    }),
  );
  const call = new TestCall().send(connection, outgoing(changes));
  return { connection, call };
}

async function connectedTo(server: Server): Promise<Http2Connection> {
  closing.push(() => server.close());
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  closing.push(() => socket.destroy());
  const connection = new Http2Connection(socket, httpLimits);
  await connection.ready;
  return connection;
}

function answer(id: number, fields: readonly (readonly [string, string])[], flags = endHeaders): Buffer {
  return frame(types.headers, flags, id, fieldBlock(fields));
}

const ok = [[':status', '200']] as const;

describe('an answer', () => {
  it.each([0, 1, 2, 5, 7, 8, 11, 13])('that is reset in its middle with code %d has failed', async (code) => {
    const { call } = await asked((peer, id) =>
      peer.send(answer(id, ok), frame(types.data, 0, id, 'half'), frame(types.rst, 0, id, word(code))),
    );
    expect(call.error?.kind).toBe('UPSTREAM_PROTOCOL');
    expect(call.events.at(-1)).toBe('fail');
    expect(call.events).not.toContain('end');
  });

  it('that is complete, and whose stream is reset with NO_ERROR then, is complete', async () => {
    const { call } = await asked((peer, id) =>
      peer.send(answer(id, ok), frame(types.data, endStream, id, 'all'), frame(types.rst, 0, id, word(0))),
    );
    expect(call.body).toBe('all');
    expect(call.events).toEqual(['head', 'end']);
  });

  it('that has every announced byte is complete, though a reset without an error takes the place of its end', async () => {
    const { call } = await asked((peer, id) =>
      peer.send(
        answer(id, [...ok, ['content-length', '3']]),
        frame(types.data, 0, id, 'all'),
        frame(types.rst, 0, id, word(0)),
      ),
    );
    expect(call.body).toBe('all');
    expect(call.events).toEqual(['head', 'end']);
  });

  it.each([
    ['longer than its content-length', '2'],
    ['shorter than its content-length', '9'],
  ])('%s has failed', async (_name, length) => {
    const { call } = await asked((peer, id) =>
      peer.send(answer(id, [...ok, ['content-length', length]]), frame(types.data, endStream, id, 'four')),
    );
    expect(call.error?.kind).toBe('UPSTREAM_PROTOCOL');
    expect(call.events).not.toContain('end');
  });

  const malformed: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
    ['no status', [['x', '1']]],
    ['two statuses', [...ok, ...ok]],
    ['status 101', [[':status', '101']]],
    ['status 99', [[':status', '099']]],
    ['status 600', [[':status', '600']]],
    ['status 2000', [[':status', '2000']]],
    ['a status that is no number', [[':status', 'two']]],
    ['an upper-case name', [...ok, ['X-Upper', '1']]],
    ['transfer-encoding', [...ok, ['transfer-encoding', 'chunked']]],
    ['connection', [...ok, ['connection', 'close']]],
    ['upgrade', [...ok, ['upgrade', 'h2c']]],
    ['two content-lengths', [...ok, ['content-length', '0'], ['content-length', '0']]],
    ['a content-length with a sign', [...ok, ['content-length', '-0']]],
    ['a pseudo-header field of requests', [...ok, [':path', '/x']]],
    ['too many fields', [...ok, ...Array.from({ length: 260 }, (_, index) => [`x-${index}`, '1'] as const)]],
    [
      'too large fields',
      [...ok, ...Array.from({ length: 5 }, (_, index) => [`x-${index}`, 'y'.repeat(15_000)] as const)],
    ],
  ];
  it.each(malformed)('with %s has failed', async (_name, fields) => {
    const { call } = await asked((peer, id) => {
      const block = fieldBlock(fields);
      const [first, ...rest] = Array.from({ length: Math.ceil(block.length / 16_000) }, (_, index) =>
        block.subarray(index * 16_000, (index + 1) * 16_000),
      );
      const parts = rest.map((part, index) =>
        frame(types.continuation, index === rest.length - 1 ? endHeaders : 0, id, part),
      );
      peer.send(frame(types.headers, endStream | (rest.length === 0 ? endHeaders : 0), id, first!), ...parts);
    });
    expect(call.error?.kind).toBe('UPSTREAM_PROTOCOL');
    expect(call.events).toEqual(['fail']);
  });

  it.each([
    ['set-cookie', 'a=b'],
    ['content-length', '3'],
    [':status', '200'],
    ['transfer-encoding', 'chunked'],
  ])('with %s among its trailers has failed', async (name, value) => {
    const { call } = await asked((peer, id) =>
      peer.send(answer(id, ok), frame(types.data, 0, id, 'abc'), answer(id, [[name, value]], endStream | endHeaders)),
    );
    expect(call.error?.kind).toBe('UPSTREAM_PROTOCOL');
    expect(call.events).not.toContain('end');
  });

  it('with endless interim ones has failed', async () => {
    const { call } = await asked((peer, id) => {
      for (let index = 0; index < 200; index++) peer.send(answer(id, [[':status', '103']]));
    });
    expect(call.error?.kind).toBe('UPSTREAM_PROTOCOL');
    expect(call.interim.length).toBeLessThan(50);
  });

  it('with a body though there can be none has failed', async () => {
    const { call } = await asked(
      (peer, id) => peer.send(answer(id, ok), frame(types.data, endStream, id, 'smuggled')),
      { method: 'HEAD' },
    );
    expect(call.body).toBe('');
    expect(call.error?.kind).toBe('UPSTREAM_PROTOCOL');
  });

  it('to nobody, a push, is refused', async () => {
    let refused: Promise<unknown> | undefined;
    const { call } = await asked((peer, id) => {
      refused = peer.until((one) => one.type === types.rst && one.id === 2);
      peer.send(frame(types.push, endHeaders, id, Buffer.concat([word(2), fieldBlock(getFields)])));
      peer.send(answer(2, ok), frame(types.data, endStream, 2, 'pushed'));
      peer.send(answer(id, ok), frame(types.data, endStream, id, 'asked for'));
    });
    await refused;
    expect(call.body).toBe('asked for');
  });
});

describe('a request that is broken off', () => {
  it.each([undefined, 'websocket'])('is never said to be complete (upgrade: %s)', async (upgrade) => {
    let peer: RawPeer | undefined;
    const enableConnect = Buffer.from([0, 8, 0, 0, 0, 1]);
    const connection = await connectedTo(
      await rawServer((one) => {
        peer = one;
        closing.push(() => one.socket.destroy());
      }, enableConnect),
    );
    const opened = openBody();
    const request = outgoing({ method: 'POST', body: opened.body, ...(upgrade === undefined ? {} : { upgrade }) });
    const call = new TestCall().send(connection, request);
    const { id } = await peer!.until(({ type }) => type === types.headers);
    if (upgrade === undefined) {
      const sink = await opened.sink;
      sink.data(Buffer.from('half'));
      sink.fail(new PeerError('CLIENT_PROTOCOL', 'gone'));
    } else {
      peer!.send(answer(id, ok));
      await call.done;
      call.tunnel!.write(Buffer.from('half'));
      call.tunnel!.abort();
    }
    expect((await peer!.until(({ type }) => type === types.rst)).payload).toEqual(word(8));
    expect(peer!.frames.filter(({ type, flags }) => type <= types.headers && (flags & endStream) !== 0)).toEqual([]);
  });
});

describe('a target that', () => {
  it('sends something else in between fails the request, and the connection', async () => {
    const { call, connection } = await asked((peer) => peer.send(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')));
    expect(call.error?.kind).toBe('UPSTREAM_PROTOCOL');
    await until(() => connection.free === 0);
  });

  it('is no HTTP/2 server never becomes ready', async () => {
    const other = createServer((socket) =>
      socket.on('error', () => undefined).write('HTTP/1.1 400 Bad Request\r\n\r\n'),
    );
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    await expect(connectedTo(other)).rejects.toMatchObject({ kind: 'UPSTREAM_PROTOCOL' });
  });

  it('hangs up without a word never becomes ready', async () => {
    const other = createServer((socket) => socket.on('error', () => undefined).end());
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    await expect(connectedTo(other)).rejects.toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE' });
  });

  it('refuses a stream has not processed it', async () => {
    const { call, connection } = await asked((peer, id) => peer.send(frame(types.rst, 0, id, word(7))));
    expect(call.error?.kind).toBe('UPSTREAM_UNAVAILABLE');
    expect(connection.free).toBeGreaterThan(0);
  });

  it('resets a stream with an error is to blame', async () => {
    const { call } = await asked((peer, id) => peer.send(frame(types.rst, 0, id, word(11))));
    expect(call.error?.kind).toBe('UPSTREAM_PROTOCOL');
  });

  it('says goodbye in mid-flight finishes what it took, and the rest is unavailable', async () => {
    let peer: RawPeer | undefined;
    const connection = await connectedTo(
      await rawServer((one) => {
        peer = one;
        closing.push(() => one.socket.destroy());
      }),
    );
    let closed = 0;
    connection.onClosed(() => closed++);
    const taken = new TestCall().send(connection);
    const left = new TestCall().send(connection);
    await until(() => (peer?.frames.filter(({ type }) => type === types.headers).length ?? 0) === 2);
    peer!.send(frame(types.goaway, 0, 0, word(1, 0)));
    await left.done;
    expect(left.error?.kind).toBe('UPSTREAM_UNAVAILABLE');
    expect([connection.free, closed]).toEqual([0, 1]);
    peer!.send(answer(1, ok), frame(types.data, endStream, 1, 'after all'));
    await taken.done;
    expect(taken.body).toBe('after all');
  });

  it('says goodbye with an error fails everything: what it did not take as unavailable', async () => {
    let peer: RawPeer | undefined;
    const connection = await connectedTo(
      await rawServer((one) => {
        peer = one;
        closing.push(() => one.socket.destroy());
      }),
    );
    const taken = new TestCall().send(connection);
    const left = new TestCall().send(connection);
    await until(() => (peer?.frames.filter(({ type }) => type === types.headers).length ?? 0) === 2);
    peer!.send(frame(types.goaway, 0, 0, word(1, 11)));
    await Promise.all([taken.done, left.done]);
    expect(left.error?.kind).toBe('UPSTREAM_UNAVAILABLE');
    expect(taken.error?.kind).toBe('UPSTREAM_PROTOCOL');
  });

  it('never answers leaves the request to whoever asked', async () => {
    const { call, connection } = await underWay(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(call.events).toEqual([]);
    call.call?.cancel();
    await until(() => connection.free === 100);
    expect(call.events).toEqual([]);
  });

  it.each([
    ['PING', (index: number) => frame(types.ping, 0, 0, word(0, index))],
    ['SETTINGS', () => frame(types.settings, 0, 0)],
    ['empty DATA', (_index: number, id: number) => frame(types.data, 0, id)],
  ])('floods us with %s frames costs no memory, and its answer still comes or fails', async (_name, make) => {
    const before = process.memoryUsage().rss;
    const { call } = await asked(async (peer, id) => {
      peer.send(answer(id, ok));
      for (let round = 0; round < 40 && !peer.closed; round++) {
        peer.send(...Array.from({ length: 500 }, (_, index) => make(index, id)));
        await new Promise((resolve) => setImmediate(resolve));
      }
      peer.send(frame(types.data, endStream, id, 'at last'));
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
    expect(call.body === 'at last' || call.error !== undefined).toBe(true);
  });

  it('sends any frames ends in an answer or a failure, once', async () => {
    const anyFrame = fc
      .record({
        type: fc.oneof(fc.nat(10), fc.nat(255)),
        flags: fc.nat(255),
        id: fc.oneof(fc.constant(1), fc.nat(3), fc.nat(2 ** 31 - 1)),
        payload: fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.constant(fieldBlock(ok))),
      })
      .map(({ type, flags, id, payload }) => frame(type, flags, id, Buffer.from(payload)));
    await fc.assert(
      fc.asyncProperty(fc.array(anyFrame, { maxLength: 12 }), async (frames) => {
        const { call } = await asked((peer) => {
          peer.send(...frames);
          peer.socket.end();
        });
        expect(call.events.filter((event) => event === 'end' || event === 'fail')).toHaveLength(1);
        for (const close of closing.splice(0).reverse()) await close();
      }),
      { numRuns: 100 },
    );
  });
});
