import { connect } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { HttpLimits } from '../connection.ts';
import type { ServerCall } from '../message.ts';
import { collect, type Gate, openGate } from './gate.fixture.ts';
import {
  endHeaders,
  endStream,
  fieldBlock,
  frame,
  getFields,
  preface,
  type RawFrame,
  RawPeer,
  rawClient,
  types,
  word,
} from './raw-frames.fixture.ts';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function gate(onCall: (call: ServerCall) => void = ok, limits: Partial<HttpLimits> = {}): Promise<Gate> {
  const opened = await openGate(onCall, limits);
  closing.push(() => opened.close());
  return opened;
}

async function raw(port: number): Promise<RawPeer> {
  const peer = await rawClient(port);
  closing.push(() => peer.socket.destroy());
  return peer;
}

function ok(call: ServerCall): void {
  call.answer({ status: 200, fields: [], length: 0 });
  call.end();
}

function request(id: number, fields: readonly (readonly [string, string])[], flags = endStream | endHeaders): Buffer {
  return frame(types.headers, flags, id, fieldBlock(fields));
}

/** The well-formed request with some of its fields replaced (`undefined` takes one out), and others behind them. */
function changed(changes: Record<string, string | undefined>, ...more: (readonly [string, string])[]) {
  const kept = getFields.flatMap(([name, value]): (readonly [string, string])[] => {
    if (!(name in changes)) return [[name, value]];
    const other = changes[name];
    return other === undefined ? [] : [[name, other]];
  });
  return [...kept, ...more];
}

/** `:status` 200 and 400 from the static table (RFC 7541 Appendix A). */
const status = (answer: RawFrame) => ({ 136: 200, 140: 400 })[answer.payload[0]!];

/** Everything that was sent has been read. */
async function heard(peer: RawPeer): Promise<void> {
  peer.send(frame(types.ping, 0, 0, word(7, 7)));
  await peer.until(({ type, flags }) => type === types.ping && flags === 1);
  await new Promise((resolve) => setImmediate(resolve));
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 30));
}

describe('a malformed request', () => {
  const cases: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
    ['an upper-case name', changed({}, ['X-Upper', '1'])],
    ['connection', changed({}, ['connection', 'authorization'])],
    ['keep-alive', changed({}, ['keep-alive', '1'])],
    ['proxy-connection', changed({}, ['proxy-connection', 'keep-alive'])],
    ['transfer-encoding', changed({}, ['transfer-encoding', 'chunked'])],
    ['upgrade', changed({}, ['upgrade', 'websocket'])],
    ['http2-settings', changed({}, ['http2-settings', 'AAAA'])],
    ['te other than trailers', changed({}, ['te', 'gzip'])],
    ['no :method', changed({ ':method': undefined })],
    ['a :method with a blank', changed({ ':method': 'GET /x' })],
    ['an empty :method', changed({ ':method': '' })],
    ['no :path', changed({ ':path': undefined })],
    ['an empty :path', changed({ ':path': '' })],
    ['a :path without a slash', changed({ ':path': 'x' })],
    ['an absolute :path', changed({ ':path': 'http://other/' })],
    ['a :path of an asterisk for GET', changed({ ':path': '*' })],
    ['a :path with a fragment', changed({ ':path': '/a#b' })],
    ['a :path with a blank', changed({ ':path': '/a b' })],
    ['a :path with HTTP/1.1 in it', changed({ ':path': '/ HTTP/1.1\r\nHost: evil\r\n\r\n' })],
    ['a :path with raw UTF-8', changed({ ':path': '/\xc3\xbc' })],
    ['no :scheme', changed({ ':scheme': undefined })],
    ['another :scheme', changed({ ':scheme': 'ftp' })],
    ['a :scheme with a smuggled authority', changed({ ':scheme': 'http://evil/x' })],
    ['no :authority and no host', changed({ ':authority': undefined })],
    ['an empty :authority', changed({ ':authority': '' })],
    ['an :authority with user information', changed({ ':authority': 'user@gate.test' })],
    ['an :authority with a path', changed({ ':authority': 'gate.test/x' })],
    ['an :authority that is a list', changed({ ':authority': 'gate.test,evil.test' })],
    ['an :authority with a bad port', changed({ ':authority': 'gate.test:99999' })],
    [':authority and host that differ', changed({}, ['host', 'evil.test'])],
    ['two host fields', changed({}, ['host', 'gate.test'], ['host', 'gate.test'])],
    ['two :path fields', [...getFields, [':path', '/other']]],
    ['two :method fields', [...getFields, [':method', 'POST']]],
    ['two :authority fields', [...getFields, [':authority', 'evil.test']]],
    ['a pseudo-header field behind others', [...changed({ ':path': undefined }), ['x', '1'], [':path', '/']]],
    ['an unknown pseudo-header field', [...getFields, [':foo', 'bar']]],
    ['a pseudo-header field of answers', [...getFields, [':status', '200']]],
    [
      'CONNECT',
      [
        [':method', 'CONNECT'],
        [':authority', 'inside.test:22'],
      ],
    ],
    ['CONNECT with a path', changed({ ':method': 'CONNECT' })],
    [':protocol without CONNECT', [...getFields, [':protocol', 'websocket']]],
    ['two content-length fields', changed({ ':method': 'POST' }, ['content-length', '0'], ['content-length', '0'])],
    ['a content-length with a sign', changed({}, ['content-length', '+0'])],
    ['a content-length in hex', changed({}, ['content-length', '0x0'])],
    ['a content-length that is a list', changed({}, ['content-length', '0, 0'])],
    ['a content-length without content', changed({ ':method': 'POST' }, ['content-length', '5'])],
    ['another expectation', changed({}, ['expect', '200-ok'])],
  ];
  it.each(cases)('is never seen: %s', async (_name, fields) => {
    const { port, calls } = await gate();
    const peer = await raw(port);
    peer.send(request(1, fields));
    const answer = await peer.until(({ type, id }) => (type === types.headers || type === types.rst) && id === 1);
    expect(answer.type === types.rst || status(answer) === 400).toBe(true);
    expect(calls).toEqual([]);
  });

  it.each([
    ['a name with a blank', ['x y', '1']],
    ['a name with a colon', ['x:y', '1']],
    ['a name with a line break', ['x\r\ny', '1']],
    ['an empty name', ['', '1']],
    ['a value with a line break', ['x', 'a\r\nevil: 1']],
    ['a value with a lone LF', ['x', 'a\nb']],
    ['a value with NUL', ['x', 'a\0b']],
    ['a value with a blank in front', ['x', ' a']],
    ['a value with a tab behind', ['x', 'a\t']],
  ] as const)('loses what could break out of its place: %s', async (_name, field) => {
    const { port, calls } = await gate();
    const peer = await raw(port);
    peer.send(request(1, changed({}, ['x-before', '1'], field, ['x-behind', '2'])));
    expect(status(await peer.until(({ type }) => type === types.headers))).toBe(200);
    expect(calls[0]!.request.fields).toEqual(['x-before', '1', 'x-behind', '2']);
  });

  it('that we find is answered with 400, and the connection takes no more', async () => {
    const { port, calls, served } = await gate();
    const peer = await raw(port);
    peer.send(request(1, changed({ ':path': '/a#b' })));
    expect(status(await peer.until(({ type }) => type === types.headers))).toBe(400);
    await peer.until(({ type }) => type === types.goaway);
    peer.send(request(3, getFields));
    await served[0];
    expect(calls).toEqual([]);
  });

  it('does not harm those beside it', async () => {
    const { port, calls } = await gate(() => undefined);
    const peer = await raw(port);
    peer.send(request(1, getFields), request(3, changed({ ':path': '/a#b' })));
    await peer.until(({ type, id }) => type === types.headers && id === 3);
    ok(calls[0]!);
    expect(status(await peer.until(({ type, id }) => type === types.headers && id === 1))).toBe(200);
  });
});

describe('a body', () => {
  async function bodyOf(send: (peer: RawPeer) => void | Promise<void>) {
    const outcome = Promise.withResolvers<unknown>();
    const { port } = await gate((call) => {
      collect(call.body).then(
        ({ bytes, trailers }) => outcome.resolve({ bytes: bytes.toString(), trailers }),
        (error) => outcome.resolve(error),
      );
    });
    await send(await raw(port));
    return outcome.promise;
  }
  const post = changed({ ':method': 'POST' });

  it('is what was sent', async () => {
    const sent = (peer: RawPeer) =>
      peer.send(
        request(1, [...post, ['content-length', '4']], endHeaders),
        frame(types.data, 0, 1, 'ab'),
        frame(types.data, endStream, 1, 'cd'),
      );
    expect(await bodyOf(sent)).toEqual({ bytes: 'abcd', trailers: [] });
  });

  it('longer than its content-length fails', async () => {
    const sent = (peer: RawPeer) =>
      peer.send(request(1, [...post, ['content-length', '1']], endHeaders), frame(types.data, endStream, 1, 'ab'));
    expect(await bodyOf(sent)).toMatchObject({ kind: 'CLIENT_PROTOCOL' });
  });

  it('shorter than its content-length fails', async () => {
    const sent = (peer: RawPeer) =>
      peer.send(request(1, [...post, ['content-length', '3']], endHeaders), frame(types.data, endStream, 1, 'ab'));
    expect(await bodyOf(sent)).toMatchObject({ kind: 'CLIENT_PROTOCOL' });
  });

  it.each([0, 1, 2, 5, 7, 8])('that is reset with code %d is never complete', async (code) => {
    const sent = async (peer: RawPeer) => {
      peer.send(request(1, post, endHeaders), frame(types.data, 0, 1, 'half'));
      await heard(peer);
      peer.send(frame(types.rst, 0, 1, word(code)));
    };
    expect(await bodyOf(sent)).toMatchObject({ kind: 'CLIENT_PROTOCOL' });
  });

  it('that is reset in the same breath is never complete', async () => {
    const sent = (peer: RawPeer) =>
      peer.send(request(1, post, endHeaders), frame(types.data, 0, 1, 'half'), frame(types.rst, 0, 1, word(0)));
    const outcome = await Promise.race([bodyOf(sent), settled().then(() => 'never asked')]);
    expect(outcome === 'never asked' || (outcome as { kind: string }).kind === 'CLIENT_PROTOCOL').toBe(true);
  });

  it('that breaks off with the connection is never complete', async () => {
    const sent = (peer: RawPeer) => {
      peer.send(request(1, post, endHeaders), frame(types.data, 0, 1, 'half'));
      peer.socket.end();
    };
    expect(await bodyOf(sent)).toMatchObject({ kind: 'CLIENT_PROTOCOL' });
  });

  it.each([
    ['authorization', 'Bearer x'],
    ['content-length', '4'],
    ['host', 'evil.test'],
    ['transfer-encoding', 'chunked'],
    ['cookie', 'a=b'],
    [':path', '/other'],
    ['X-Upper', '1'],
  ])('with %s among its trailers fails', async (name, value) => {
    const sent = (peer: RawPeer) =>
      peer.send(request(1, post, endHeaders), frame(types.data, 0, 1, 'ab'), request(1, [[name, value]]));
    expect(await bodyOf(sent)).toMatchObject({ kind: 'CLIENT_PROTOCOL' });
  });
});

describe('an answer that is broken off', () => {
  it.each(['unknown length', 'a tunnel', 'known length'])('is never said to be complete: %s', async (kind) => {
    const { port } = await gate((call) => {
      if (kind === 'a tunnel') {
        const tunnel = call.switchProtocols([]);
        tunnel.write(Buffer.from('half'));
        setTimeout(() => tunnel.abort(), 10);
        return;
      }
      call.answer({ status: 200, fields: [], ...(kind === 'known length' ? { length: 8 } : {}) });
      call.write(Buffer.from('half'));
      setTimeout(() => call.abort(), 10);
    });
    const peer = await raw(port);
    const connectFields = [...changed({ ':method': 'CONNECT' }), [':protocol', 'websocket'] as const];
    peer.send(request(1, kind === 'a tunnel' ? connectFields : getFields, endHeaders));
    expect((await peer.until(({ type }) => type === types.rst)).payload).toEqual(word(2));
    const ends = peer.frames.filter(({ type, flags }) => type <= types.headers && (flags & endStream) !== 0);
    // With a length, the missing bytes tell.
    if (kind !== 'known length') expect(ends).toEqual([]);
    const sent = peer.frames.filter(({ type }) => type === types.data);
    expect(Buffer.concat(sent.map(({ payload }) => payload)).toString()).toBe('half');
  });
});

describe('a flood', () => {
  it('of requests that are taken back at once ends the connection (rapid reset)', async () => {
    const { port, calls, served } = await gate(() => undefined, { concurrent: 20 });
    const peer = await raw(port);
    for (let id = 1; id < 4000 && !peer.closed; id += 2) {
      peer.send(request(id, getFields), frame(types.rst, 0, id, word(8)));
      if (id % 100 === 1) await new Promise((resolve) => setImmediate(resolve));
    }
    await peer.until(({ type, payload }) => type === types.goaway && payload.readUInt32BE(4) !== 0);
    await served[0];
    // What one read of the socket brings is looked at before anything is done about it.
    expect(calls.length).toBeLessThan(700);
    expect(calls.every(({ signal }) => signal.aborted)).toBe(true);
  });

  it('of requests that we have to reset ends the connection', async () => {
    const { port, calls, served } = await gate();
    const peer = await raw(port);
    for (let id = 1; id < 8000 && !peer.closed; id += 2) {
      peer.send(request(id, changed({ ':method': 'POST' }), endHeaders), frame(types.window, 0, id, word(0)));
      if (id % 100 === 1) await new Promise((resolve) => setImmediate(resolve));
    }
    await peer.untilClosed();
    await served[0];
    expect(calls.length).toBeLessThan(3000);
  });

  it('of more requests at once than allowed is refused beyond that', async () => {
    const { port, calls } = await gate(() => undefined, { concurrent: 10 });
    const peer = await raw(port);
    await peer.until(({ type, flags }) => type === types.settings && flags === 1);
    peer.send(...Array.from({ length: 15 }, (_, index) => request(2 * index + 1, getFields)));
    await heard(peer);
    expect(calls).toHaveLength(10);
    expect(peer.frames.some(({ type, id }) => type === types.rst && id > 20) || peer.closed).toBe(true);
  });

  it.each([
    ['PING', (index: number) => frame(types.ping, 0, 0, word(0, index))],
    ['SETTINGS', (index: number) => frame(types.settings, 0, 0, Buffer.from([0, 4, 0, 0, 255, index & 255]))],
    ['empty DATA', () => frame(types.data, 0, 1)],
    ['PRIORITY', (index: number) => frame(types.priority, 0, 2 * index + 101, Buffer.alloc(5))],
    ['WINDOW_UPDATE', () => frame(types.window, 0, 0, word(1))],
    ['unknown frames', () => frame(200, 0, 0, 'x'.repeat(100))],
  ])('of %s frames costs no memory and stalls nobody', async (_name, make) => {
    const { port, served } = await gate(() => undefined);
    const flooder = await raw(port);
    flooder.send(request(1, changed({ ':method': 'POST' }), endHeaders));
    const before = process.memoryUsage().rss;
    for (let round = 0; round < 40 && !flooder.closed; round++) {
      flooder.send(...Array.from({ length: 500 }, (_, index) => make(round * 500 + index)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const other = await gate();
    const peer = await raw(other.port);
    peer.send(request(1, getFields));
    expect(status(await peer.until(({ type }) => type === types.headers))).toBe(200);
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
    flooder.socket.destroy();
    await served[0];
  });

  it('of CONTINUATION frames without end is cut off', async () => {
    const { port, calls, served } = await gate();
    const peer = await raw(port);
    peer.send(frame(types.headers, endStream, 1, fieldBlock(getFields)));
    for (let index = 0; index < 2000 && !peer.closed; index++) {
      peer.send(frame(types.continuation, 0, 1, fieldBlock([[`x-${index}`, 'y'.repeat(200)]])));
      if (index % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await peer.untilClosed();
    await served[0];
    expect(calls).toEqual([]);
  });

  it('of fields beyond the limits is refused', async () => {
    const { port, calls } = await gate(ok, { headFields: 20, headBytes: 4096 });
    const many = [...getFields, ...Array.from({ length: 40 }, (_, index) => [`x-${index}`, '1'] as const)];
    const large = [...getFields, ['x', 'y'.repeat(8000)] as const];
    for (const fields of [many, large]) {
      const peer = await raw(port);
      peer.send(request(1, fields));
      const answer = await peer.until(({ type, id }) => (type === types.rst || type === types.headers) && id === 1);
      expect(answer.type === types.rst || status(answer) === 400).toBe(true);
    }
    expect(calls).toEqual([]);
  });

  it('of one field repeated out of the compression table is refused (HPACK bomb)', async () => {
    const { port, calls } = await gate(ok);
    const peer = await raw(port);
    const entry = Buffer.concat([
      Buffer.from([0x40, 1]),
      Buffer.from('x'),
      Buffer.from([0x7f, 0xa1, 0x1d]),
      Buffer.alloc(3872, 0x79),
    ]);
    const bomb = Buffer.concat([fieldBlock(getFields), entry, Buffer.alloc(10_000, 0x80 | 62)]);
    peer.send(frame(types.headers, endStream | endHeaders, 1, bomb.subarray(0, 16_000)));
    await Promise.race([peer.until(({ type, id }) => type === types.rst && id === 1), peer.untilClosed()]);
    expect(calls).toEqual([]);
  });
});

describe('a connection', () => {
  it('that says nothing is closed after the time for a head', async () => {
    const { port, served } = await gate(ok, { headMs: 60 });
    const socket = connect(port, '127.0.0.1');
    closing.push(() => socket.destroy());
    socket.on('error', () => undefined);
    await served[0];
    await new Promise<void>((resolve) => {
      if (socket.closed) resolve();
      socket.resume().on('close', () => resolve());
    });
  });

  it('whose head never ends is closed after the time for a head, whatever else it sends', async () => {
    const { port, served, calls } = await gate(ok, { headMs: 80 });
    const peer = await raw(port);
    peer.send(frame(types.headers, endStream, 1, fieldBlock(getFields).subarray(0, 10)));
    await peer.untilClosed();
    await served[0];
    expect(calls).toEqual([]);
  });

  it('that only sends pings is closed all the same', async () => {
    const { port, served } = await gate(ok, { headMs: 80 });
    const peer = await raw(port);
    const timer = setInterval(() => peer.send(frame(types.ping, 0, 0, word(1, 2))), 10);
    await peer.untilClosed();
    clearInterval(timer);
    await served[0];
  });

  it('that does not hang up when all is said is left', async () => {
    const { port, served } = await gate(ok, { idleMs: 80 });
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    closing.push(() => socket.destroy());
    const peer = new RawPeer(socket);
    peer.send(preface, frame(types.settings, 0, 0), request(1, getFields));
    await peer.until(({ type }) => type === types.headers);
    await served[0]; // Our side is gone, though theirs never ended.
  });

  it('of another protocol is ended', async () => {
    for (const text of [
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      '\x16\x03\x01\x02\x00\x01\x00',
      'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n',
    ]) {
      const { port, served, calls } = await gate(ok);
      const peer = new RawPeer(connect(port, '127.0.0.1'));
      closing.push(() => peer.socket.destroy());
      peer.send(Buffer.from(text, 'latin1'));
      await peer.untilClosed();
      await served[0];
      expect(calls).toEqual([]);
    }
  });

  it('survives any frames', async () => {
    const anyFrame = fc
      .record({
        type: fc.oneof(fc.nat(10), fc.nat(255)),
        flags: fc.nat(255),
        id: fc.oneof(fc.nat(5), fc.nat(2 ** 31 - 1)),
        payload: fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.constant(fieldBlock(getFields))),
      })
      .map(({ type, flags, id, payload }) => frame(type, flags, id, Buffer.from(payload)));
    const { port, served } = await gate((call) => {
      collect(call.body).then(
        () => ok(call),
        () => call.abort(),
      );
    });
    await fc.assert(
      fc.asyncProperty(fc.array(anyFrame, { maxLength: 12 }), async (frames) => {
        const peer = await rawClient(port);
        peer.send(...frames);
        peer.socket.end();
        await peer.untilClosed();
        peer.socket.destroy();
        await served.at(-1);
      }),
      { numRuns: 150 },
    );
    const peer = await raw(port);
    peer.send(request(1, getFields));
    expect(status(await peer.until(({ type }) => type === types.headers))).toBe(200);
  });
});
