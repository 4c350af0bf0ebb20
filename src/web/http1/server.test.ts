import { duplexPair, PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { PacketReader } from '../../wire/packets.ts';
import { httpLimits } from '../connection.ts';
import type { ServerCall } from '../message.ts';
import { Collected, Loopback, listen, quiet, RawPeer, reply, until } from './harness.fixture.ts';
import { serveHttp1 } from './server.ts';

const get = (target = '/', more = '') => `GET ${target} HTTP/1.1\r\nHost: a.test\r\n${more}\r\n`;
const post = (length: number, body = '', more = '') =>
  `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${length}\r\n${more}\r\n${body}`;

/** A server that leaves each call to the test. */
async function held(...options: Parameters<typeof listen> extends [unknown, ...infer Rest] ? Rest : never) {
  const calls: ServerCall[] = [];
  const server = await listen((call) => calls.push(call), ...options);
  const call = async (index: number): Promise<ServerCall> => {
    await until(() => calls.length > index, `call ${index}`);
    return calls[index] as ServerCall;
  };
  return Object.assign(server, { calls, call });
}

describe('an answer', () => {
  it('of a known length leaves head and body together, and the connection goes on', async () => {
    await using server = await listen((call) => reply(call, 'hello', ['x', 'y']));
    using peer = await RawPeer.to(server.port);
    const writes: number[] = [];
    peer.socket.on('data', (chunk) => writes.push(chunk.length));
    peer.say(get());
    const first = 'HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 5\r\n\r\nhello';
    await peer.hears(/hello$/);
    expect(peer.heard).toBe(first);
    expect(writes).toEqual([first.length]);
    peer.say(get());
    await peer.hears(/hello.*hello$/s);
    expect(peer.heard).toBe(first + first);
  });

  it('of unknown length goes in chunks, with its trailers', async () => {
    await using server = await listen((call) => {
      call.answer({ status: 200, fields: [] });
      call.write(Buffer.from('abc'));
      call.write(Buffer.from(''));
      call.write(Buffer.from('0123456789'));
      call.end(['x-sum', '1', 'content-length', '3']);
    });
    using peer = await RawPeer.to(server.port);
    peer.say(get());
    await peer.hears(/x-sum: 1\r\n\r\n$/);
    expect(peer.heard).toBe(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\na\r\n0123456789\r\n0\r\nx-sum: 1\r\n\r\n',
    );
  });

  it('to HTTP/1.0 ends with the connection, and breaks off with a reset', async () => {
    await using server = await held();
    const http10 = 'GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n';
    using peer = await RawPeer.to(server.port);
    peer.say(http10);
    const whole = await server.call(0);
    whole.inform(103, []);
    whole.answer({ status: 200, fields: [] });
    whole.write(Buffer.from('abc'));
    whole.end();
    await peer.over();
    expect(peer.heard).toBe('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc');
    using other = await RawPeer.to(server.port);
    other.say(http10);
    const broken = await server.call(1);
    broken.answer({ status: 200, fields: [] });
    broken.write(Buffer.from('abc'));
    await other.hears(/abc$/);
    broken.abort();
    await other.over();
    expect(other.error).toBe('ECONNRESET');
  });

  it.each([
    ['HEAD', 200, 'content-length: 5\r\n'],
    ['GET', 304, 'content-length: 5\r\n'],
    ['GET', 204, ''],
  ])('to %s with %i has no body, whatever is written', async (method, status, framing) => {
    await using server = await listen((call) => reply(call, 'hello', [], status));
    using peer = await RawPeer.to(server.port);
    peer.say(`${method} / HTTP/1.1\r\nHost: a.test\r\n\r\n`.repeat(2));
    await peer.hears(/HTTP.*HTTP.*\r\n\r\n$/s);
    const one = peer.heard.slice(0, peer.heard.length / 2);
    expect(peer.heard).toBe(one + one);
    expect(one.replace(/^HTTP\/1.1 \d+ [A-Za-z ]+\r\n/, '')).toBe(`${framing}\r\n`);
  });

  it('that is not as long as announced breaks off', async () => {
    for (const body of ['ab', 'abcd']) {
      await using server = await listen(async (call) => {
        call.answer({ status: 200, fields: [], length: 3 });
        call.write(Buffer.from(body));
        await quiet();
        call.end();
      });
      using peer = await RawPeer.to(server.port);
      peer.say(get());
      await until(() => peer.closed || peer.ended);
      expect(peer.heard).not.toMatch(/abcd/);
    }
  });

  it('that breaks off never looks complete', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    peer.say(get());
    const call = await server.call(0);
    call.answer({ status: 200, fields: [] });
    call.write(Buffer.from('abc'));
    await peer.hears(/abc\r\n$/);
    call.abort();
    await peer.over();
    expect(peer.heard).toMatch(/3\r\nabc\r\n$/);
  });

  it('with a line break in a field is not sent at all', async () => {
    await using server = await listen((call) => {
      call.answer({ status: 200, fields: ['x', 'a\r\nset-cookie: b'], length: 0 });
      call.end();
    });
    using peer = await RawPeer.to(server.port);
    peer.say(get());
    await peer.over();
    expect(peer.heard).toBe('');
  });

  it('may be preceded by interim ones', async () => {
    await using server = await listen((call) => {
      call.inform(103, ['link', '</a>']);
      reply(call, '');
      call.inform(103, []);
    });
    using peer = await RawPeer.to(server.port);
    peer.say(get());
    await peer.hears(/200 OK/);
    expect(peer.heard).toMatch(/^HTTP\/1.1 103 Early Hints\r\nlink: <\/a>\r\n\r\nHTTP\/1.1 200 OK\r\n/);
  });
});

describe('requests sent ahead', () => {
  it('are taken one after the other, in order, as the answers go out', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    peer.say(get('/1') + post(3, 'abc') + get('/3'));
    const first = await server.call(0);
    await quiet();
    expect(server.calls.map(({ request }) => request.target)).toEqual(['/1']);
    reply(first, 'one');
    const second = await server.call(1);
    const body = new Collected();
    second.body.pipe(body);
    expect(body.text).toBe('abc');
    reply(second, 'two');
    reply(await server.call(2), 'three');
    await peer.hears(/one.*two.*three$/s);
  });

  it('wait in the caller’s memory when they are many', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    peer.say(get().repeat(600_000));
    await server.call(0);
    await quiet(100);
    expect(server.calls.length).toBe(1);
    expect(peer.socket.writableNeedDrain).toBe(true);
  });

  it('are not taken after the last one, nor after the gateway began to stop', async () => {
    const stop = new AbortController();
    await using server = await held({}, stop.signal);
    using peer = await RawPeer.to(server.port);
    peer.say(get('/1') + get('/2'));
    const call = await server.call(0);
    using idle = await RawPeer.to(server.port);
    await quiet();
    stop.abort();
    await idle.over();
    reply(call, 'done');
    await peer.over();
    expect(peer.heard).toMatch(/connection: close\r\n[\s\S]*done$/);
    expect(server.calls.length).toBe(1);
  });
});

describe('a request’s body', () => {
  it('is asked for with 100 when somebody takes it', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    peer.say(post(3, '', 'Expect: 100-continue\r\n'));
    const call = await server.call(0);
    await quiet();
    expect(peer.heard).toBe('');
    const body = new Collected();
    call.body.pipe(body);
    await peer.hears(/^HTTP\/1.1 100 Continue\r\n\r\n$/);
    peer.say('abc');
    await body.done;
    expect(body.text).toBe('abc');
    reply(call, 'ok');
    await peer.hears(/ok$/);
    peer.say(get());
    reply(await server.call(1), 'again');
    await peer.hears(/again$/);
  });

  it('that was not asked for ends the connection with the answer', async () => {
    await using server = await listen((call) => reply(call, 'no', [], 403));
    using peer = await RawPeer.to(server.port);
    peer.say(post(30, '', 'Expect: 100-continue\r\n'));
    await peer.over();
    expect(peer.heard).toMatch(/^HTTP\/1.1 403 [\s\S]*connection: close[\s\S]*no$/);
  });

  it('that nobody takes is passed over when it is small', async () => {
    await using server = await listen((call) => reply(call, call.request.target));
    using peer = await RawPeer.to(server.port);
    peer.say(post(5, 'ab'));
    await peer.hears(/\/$/);
    peer.say(`cde${get('/next')}`);
    await peer.hears(/\/next$/);
    expect(peer.heard).not.toContain('connection: close');
  });

  it('that nobody takes and is large ends the connection, and the answer is read nevertheless', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    peer.say(post(50_000_000));
    peer.say(Buffer.alloc(20_000_000));
    const call = await server.call(0);
    await quiet(100);
    expect(server.bytesRead).toBeLessThan(1_000_000);
    reply(call, 'too large', [], 413);
    await peer.over();
    expect(peer.heard).toMatch(/^HTTP\/1.1 413 [\s\S]*connection: close[\s\S]*too large$/);
    // A client that reads only when all is sent gets there.
    await until(() => peer.socket.writableLength === 0);
    expect(peer.error).toBeUndefined();
  });

  it('that is taken and then given up leaves the connection usable where that is cheap', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    peer.say(post(6, 'abc'));
    const call = await server.call(0);
    const body = new Collected();
    call.body.pipe(body);
    expect(body.text).toBe('abc');
    call.body.cancel();
    reply(call, 'enough');
    peer.say(`def${get('/next')}`);
    reply(await server.call(1), 'next');
    await peer.hears(/enough.*next$/s);
    expect(body.text).toBe('abc');
    expect(body.trailers ?? body.error).toBeUndefined();
  });

  it('is not read while its taker is slower', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    const size = 30_000_000;
    peer.say(post(size));
    peer.say(Buffer.alloc(size));
    const call = await server.call(0);
    let taken = 0;
    let go: (() => void) | undefined;
    let ended = false;
    call.body.pipe({
      data: (bytes) => {
        taken += bytes.length;
        return taken < 100_000 || go !== undefined ? undefined : new Promise((resolve) => (go = resolve));
      },
      end: () => (ended = true),
      fail: () => undefined,
    });
    await until(() => go !== undefined);
    const before = taken;
    await quiet(100);
    expect(taken).toBe(before);
    expect(server.bytesRead).toBeLessThan(1_000_000);
    go?.();
    await until(() => ended);
    expect(taken).toBe(size);
  });

  it('comes in order to a taker that answers while it takes', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    const chunk = (letter: string) => `bb8\r\n${letter.repeat(3000)}\r\n`;
    peer.say(
      `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('a')}${chunk('b')}${chunk('c')}0\r\n\r\n`,
    );
    const call = await server.call(0);
    const order: string[] = [];
    call.body.pipe({
      data: (bytes) => {
        if (!call.answered) reply(call, 'early');
        order.push(bytes.toString('latin1', 0, 1));
        return undefined;
      },
      end: () => order.push('end'),
      fail: () => order.push('fail'),
    });
    await peer.hears(/early$/);
    expect(order).toEqual(['a', 'b', 'c', 'end']);
    peer.say(get());
    reply(await server.call(1), 'next');
    await peer.hears(/next$/);
  });

  it('is read to its end after the answer, by who takes it', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    peer.say(post(6, 'abc'));
    const call = await server.call(0);
    const body = new Collected();
    call.body.pipe(body);
    reply(call, 'early');
    await peer.hears(/early$/);
    peer.say(`def${get('/next')}`);
    await body.done;
    expect(body.text).toBe('abcdef');
    reply(await server.call(1), 'next');
    await peer.hears(/next$/);
  });

  it('that breaks off fails, and never ends', async () => {
    for (const leave of [(peer: RawPeer) => peer.socket.end(), (peer: RawPeer) => peer.socket.resetAndDestroy()]) {
      for (const take of ['before', 'after'] as const) {
        await using server = await held();
        using peer = await RawPeer.to(server.port);
        peer.say(post(6, 'abc'));
        const call = await server.call(0);
        const body = new Collected();
        if (take === 'before') call.body.pipe(body);
        leave(peer);
        await until(() => call.signal.aborted);
        if (take === 'after') call.body.pipe(body);
        await body.done;
        expect(body.error?.kind).toBe('CLIENT_PROTOCOL');
        expect(server.bugs).toEqual([]);
      }
    }
  });
});

describe('a caller that is gone', () => {
  it('is told about once, and everything for it is dropped', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    peer.say(get());
    const call = await server.call(0);
    const { signal } = call;
    peer.socket.resetAndDestroy();
    await until(() => signal.aborted);
    await until(() => server.connections === 0);
    call.inform(103, []);
    call.answer({ status: 200, fields: [] });
    expect(call.write(Buffer.alloc(10_000_000))).toBeUndefined();
    call.end();
    call.abort();
    expect(server.bugs).toEqual([]);
  });

  it('by ending its half gets an answer that is given nevertheless', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    peer.say(get('/1') + get('/2'));
    peer.socket.end();
    const call = await server.call(0);
    await until(() => call.signal.aborted);
    reply(call, 'late');
    await until(() => peer.ended);
    expect(peer.heard).toMatch(/late$/);
    expect(server.calls.length).toBe(1);
  });

  it('by ending its half does not hold the connection without an answer', async () => {
    await using server = await held({ headMs: 50 });
    using peer = await RawPeer.to(server.port);
    peer.say(get());
    peer.socket.end();
    await server.call(0);
    await until(() => peer.closed);
  });
});

describe('time', () => {
  it('ends a head that trickles, however often a byte comes', async () => {
    await using server = await listen((call) => reply(call, ''), { headMs: 80 });
    using peer = await RawPeer.to(server.port);
    peer.say('GET / HTTP/1.1\r\nHost: a.test\r\n');
    const trickle = setInterval(() => peer.say('X: y\r\n'), 10);
    await peer.over();
    clearInterval(trickle);
    expect(peer.heard).toMatch(/^HTTP\/1.1 408 [\s\S]*connection: close/);
  });

  it('ends a connection that says nothing, at first and after an answer', async () => {
    await using server = await listen((call) => reply(call, 'x'), { idleMs: 50, headMs: 50 });
    using silent = await RawPeer.to(server.port);
    await silent.over();
    expect(silent.heard).toBe('');
    using peer = await RawPeer.to(server.port);
    peer.say(get());
    await peer.over();
    expect(peer.heard).toMatch(/x$/);
    await until(() => server.connections === 0);
  });

  it('ends a body that stops', async () => {
    await using server = await held({ bodyIdleMs: 50 });
    using peer = await RawPeer.to(server.port);
    peer.say(post(6, 'abc'));
    const call = await server.call(0);
    const body = new Collected();
    call.body.pipe(body);
    await body.done;
    expect(body.error?.kind).toBe('CLIENT_PROTOCOL');
    reply(call, 'too slow', [], 408);
    await peer.over();
    expect(peer.heard).toMatch(/408 [\s\S]*connection: close[\s\S]*too slow$/);
  });

  it('does not end a body whose taker is the slow one, nor a call that waits for a person', async () => {
    await using server = await held({ bodyIdleMs: 40, headMs: 40, idleMs: 40 });
    using peer = await RawPeer.to(server.port);
    peer.say(post(100_000, 'a'.repeat(50_000)));
    const call = await server.call(0);
    await quiet(100);
    expect(call.signal.aborted).toBe(false);
    let go = () => {};
    const body = new Collected();
    call.body.pipe({
      data: (bytes) => {
        body.data(bytes);
        return body.pieces.length > 1 ? undefined : new Promise((resolve) => (go = resolve));
      },
      end: (trailers) => body.end(trailers),
      fail: (error) => body.fail(error),
    });
    await quiet(100);
    expect(body.error).toBeUndefined();
    peer.say('a'.repeat(50_000));
    go();
    await body.done;
    expect(body.error).toBeUndefined();
    reply(call, 'ok');
    await peer.hears(/ok$/);
  });

  it('ends a connection whose caller takes nothing of its answer', async () => {
    await using server = await held({ bodyIdleMs: 100 });
    using peer = await RawPeer.to(server.port);
    peer.socket.pause();
    peer.say(get());
    const call = await server.call(0);
    call.answer({ status: 200, fields: [] });
    while (!call.signal.aborted) await call.write(Buffer.alloc(64 * 1024));
    await until(() => server.connections === 0);
  });

  it('ends the wait for a caller that goes on sending after the last answer', async () => {
    await using server = await listen((call) => reply(call, 'no'), { headMs: 60 });
    using peer = await RawPeer.to(server.port);
    peer.say(post(1_000_000_000));
    const sending = setInterval(() => peer.say('more of it'), 5);
    await until(() => server.connections === 0);
    clearInterval(sending);
    expect(peer.heard).toMatch(/no$/);
  });
});

describe('an upgrade', () => {
  const asks = get('/', 'Connection: Upgrade\r\nUpgrade: WebSocket\r\n');

  it('lets bytes flow both ways, those too that came at once', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    peer.say(`${asks}early`);
    const call = await server.call(0);
    expect(call.request.upgrade).toBe('websocket');
    const tunnel = call.switchProtocols(['sec-websocket-accept', 'x']);
    expect(call.answered).toBe(true);
    const got = new Collected();
    tunnel.pipe(got);
    tunnel.write(Buffer.from('welcome'));
    await peer.hears(/welcome$/);
    expect(peer.heard).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nwelcome',
    );
    peer.say(get());
    await until(() => got.text.endsWith('\r\n\r\n'));
    expect(got.text).toBe(`early${get()}`);
    expect(server.calls.length).toBe(1);
    peer.socket.end();
    await got.done;
    expect(got.error).toBeUndefined();
    tunnel.end();
    await until(() => server.connections === 0);
  });

  it('breaks off when either side does', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    peer.say(asks);
    const got = new Collected();
    (await server.call(0)).switchProtocols([]).pipe(got);
    peer.socket.resetAndDestroy();
    await got.done;
    expect(got.error?.kind).toBe('CLIENT_PROTOCOL');
    using other = await RawPeer.to(server.port);
    other.say(asks);
    (await server.call(1)).switchProtocols([]).abort();
    await other.over();
    using gone = await RawPeer.to(server.port);
    gone.say(asks);
    const call = await server.call(2);
    gone.socket.resetAndDestroy();
    await until(() => call.signal.aborted);
    const late = new Collected();
    call.switchProtocols([]).pipe(late);
    await late.done;
    expect(late.error?.kind).toBe('CLIENT_PROTOCOL');
    expect(server.bugs).toEqual([]);
  });

  it('with a line break in its answer does not happen', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    peer.say(asks);
    const got = new Collected();
    (await server.call(0)).switchProtocols(['x', 'a\r\nb: c']).pipe(got);
    await peer.over();
    expect(peer.heard).toBe('');
    await got.done;
    expect(got.error?.kind).toBe('CLIENT_PROTOCOL');
  });

  it('that is refused ends the connection: what follows may be meant for the other protocol', async () => {
    await using server = await listen((call) => reply(call, 'no', [], 403));
    using peer = await RawPeer.to(server.port);
    peer.say(`${asks}${get('/smuggled')}`);
    await peer.over();
    expect(peer.heard.match(/HTTP\/1\.1 /g)?.length).toBe(1);
  });

  it('makes its sender wait while nobody takes the bytes, or the taker is slower', async () => {
    await using server = await held();
    using peer = await RawPeer.to(server.port);
    peer.say(asks);
    const tunnel = (await server.call(0)).switchProtocols([]);
    await peer.hears(/101/);
    const size = 30_000_000;
    peer.say(Buffer.alloc(size));
    await quiet(100);
    expect(server.bytesRead).toBeLessThan(1_000_000);
    let taken = 0;
    let go: (() => void) | undefined;
    tunnel.pipe({
      data: (bytes) => {
        taken += bytes.length;
        if (go !== undefined) return undefined;
        return new Promise((resolve) => {
          go = resolve;
        });
      },
      end: () => undefined,
      fail: () => undefined,
    });
    await until(() => go !== undefined);
    await quiet(100);
    expect(server.bytesRead).toBeLessThan(1_000_000);
    go?.();
    await until(() => taken === size);
  });
});

describe('a connection', () => {
  it('of which the first bytes were looked at before is taken from its beginning', async () => {
    await using server = await new Loopback(async (socket) => {
      using reader = new PacketReader(socket, AbortSignal.timeout(10_000));
      socket.unshift((await reader.exactly(4)) as Buffer);
      serveHttp1(socket, httpLimits, (call) => reply(call, call.request.target));
    }).listen();
    using peer = await RawPeer.to(server.port);
    peer.say(get('/1').slice(0, 5));
    await quiet(20);
    peer.say(get('/1').slice(5) + get('/2'));
    await peer.hears(/\/1.*\/2$/s);
    using whole = await RawPeer.to(server.port);
    whole.say(get('/3'));
    await whole.hears(/\/3$/);
  });

  it('that is over already is served at once', async () => {
    const over = new PassThrough();
    over.destroy();
    await serveHttp1(over, httpLimits, () => undefined);
    await serveHttp1(over, httpLimits, () => undefined);
  });

  it('may be any stream that goes both ways', async () => {
    const [ours, theirs] = duplexPair();
    const served = serveHttp1(ours, httpLimits, (call) => reply(call, call.request.target));
    let heard = '';
    theirs.on('data', (chunk) => {
      heard += chunk;
    });
    theirs.on('end', () => theirs.end());
    theirs.write(get('/1') + get('/2', 'Connection: close\r\n'));
    await served;
    expect(heard).toMatch(/\/1HTTP.*\/2$/s);
  });
});

describe('a bug of ours', () => {
  it('ends its connection, is reported, and leaves the others alone', async () => {
    await using server = await listen((call) => {
      if (call.request.target === '/bug') throw new Error('a bug');
      reply(call, 'fine');
    });
    using other = await RawPeer.to(server.port);
    using peer = await RawPeer.to(server.port);
    peer.say(get('/bug'));
    await peer.over();
    await until(() => server.bugs.length === 1);
    other.say(get());
    await other.hears(/fine$/);
  });
});
