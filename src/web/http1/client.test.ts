import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { PeerError, Refusal } from '../../model/errors.ts';
import type { BodySink } from '../message.ts';
import {
  Answered,
  bodyOf,
  Collected,
  client,
  Loopback,
  outgoing,
  permit,
  quiet,
  RawPeer,
  until,
} from './harness.fixture.ts';

/** A target that hands each connection to the test. */
async function target() {
  const peers: RawPeer[] = [];
  const loopback = await new Loopback((socket: Socket) => {
    socket.setNoDelay();
    peers.push(new RawPeer(socket));
  }).listen();
  const peer = async (index = 0): Promise<RawPeer> => {
    await until(() => peers.length > index, `connection ${index}`);
    return peers[index] as RawPeer;
  };
  return Object.assign(loopback, { peers, peer });
}

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** A body that the test feeds. */
function fedBody(length?: number) {
  const fed = { sink: undefined as BodySink | undefined, cancelled: false };
  const body = {
    length,
    pipe: (sink: BodySink) => {
      fed.sink = sink;
    },
    cancel: () => {
      fed.cancelled = true;
    },
  };
  return { fed, body, sink: () => fed.sink as BodySink };
}

describe('a request', () => {
  it.each([
    ['GET', '', ''],
    ['HEAD', '', ''],
    ['DELETE', '', ''],
    ['POST', '', 'content-length: 0\r\n'],
    ['POST', 'abc', 'content-length: 3\r\n'],
    ['GET', 'abc', 'content-length: 3\r\n'],
  ])('%s with body %j leaves in one write, with the framing that it needs', async (method, text, framing) => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    const reads: number[] = [];
    peer.socket.on('data', (chunk) => reads.push(chunk.length));
    connection.send(
      permit(),
      outgoing({ method, target: '/a?b', fields: ['x', 'y'], body: bodyOf(text) }),
      new Answered(),
    );
    await peer.hears(new RegExp(`\\r\\n\\r\\n${text}$`));
    expect(peer.heard).toBe(`${method} /a?b HTTP/1.1\r\nhost: a.test\r\nx: y\r\n${framing}\r\n${text}`);
    expect(reads.length).toBe(1);
  });

  it('with a body of unknown length goes in chunks, with its trailers', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    const { body, sink } = fedBody();
    connection.send(permit(), outgoing({ method: 'POST', body }), new Answered());
    sink().data(Buffer.from('abc'));
    await peer.hears(/\r\n3\r\nabc\r\n$/);
    sink().data(Buffer.from('de'));
    sink().end(['x-sum', '1']);
    await peer.hears(/2\r\nde\r\n0\r\nx-sum: 1\r\n\r\n$/);
    expect(peer.heard).toContain('transfer-encoding: chunked\r\n');
  });

  it('whose body turns out longer or shorter than announced is never complete', async () => {
    for (const text of ['ab', 'abcd']) {
      await using server = await target();
      using connection = await client(server.port);
      const peer = await server.peer();
      const answer = new Answered();
      connection.send(permit(), outgoing({ method: 'POST', body: bodyOf(text, 3) }), answer);
      expect(answer.error).toBeUndefined();
      await answer.done;
      expect(answer.error).toBeInstanceOf(PeerError);
      await peer.over();
      expect(peer.heard).not.toMatch(/\r\n\r\nabc/);
      expect(connection.free).toBe(0);
    }
  });

  it('whose body breaks off is never complete, and fails with the body’s error', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    const answer = new Answered();
    const { body, sink } = fedBody();
    connection.send(permit(), outgoing({ method: 'POST', body }), answer);
    sink().data(Buffer.from('abc'));
    await peer.hears(/abc\r\n$/);
    const error = new PeerError('CLIENT_PROTOCOL', 'the caller is gone');
    sink().fail(error);
    await answer.done;
    expect(answer.error).toBe(error);
    await peer.over();
    expect(peer.heard).not.toContain('0\r\n\r\n');
  });

  it('that cannot be written is refused, not sent, and the connection goes on', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const bad = [
      { fields: ['x', 'a\r\nb: c'] },
      { target: '/ HTTP/1.1\r\n' },
      { method: 'GET / HTTP/1.1\r\nX:' },
      { authority: 'a\r\n' },
      { method: 'CONNECT' },
      { upgrade: 'a\r\nb' },
    ];
    for (const more of bad) {
      const answer = new Answered();
      connection.send(permit(), outgoing(more), answer);
      expect(answer.error).toBeUndefined();
      await answer.done;
      expect((answer.error as Refusal).kind).toBe('UNSUPPORTED');
      expect(connection.free).toBe(1);
    }
    const answer = new Answered();
    connection.send(permit(), outgoing({ target: '/last' }), answer);
    const peer = await server.peer();
    await peer.hears(/\r\n\r\n$/);
    expect(peer.heard).toBe('GET /last HTTP/1.1\r\nhost: a.test\r\n\r\n');
  });

  it('waits for its turn', async () => {
    await using server = await target();
    using connection = await client(server.port);
    connection.send(permit(), outgoing(), new Answered());
    expect(connection.free).toBe(0);
    expect(() => connection.send(permit(), outgoing(), new Answered())).toThrow(TypeError);
  });
});

describe('a connection', () => {
  it('is used again after an answer that left nothing', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    let freed = 0;
    connection.onFree(() => freed++);
    for (let count = 1; count <= 3; count++) {
      const answer = new Answered();
      connection.send(permit(), outgoing({ target: `/${count}` }), answer);
      await peer.hears(new RegExp(`GET /${count} `));
      peer.say(ok);
      await answer.done;
      expect([answer.text, connection.free, freed]).toEqual(['ok', 1, count]);
    }
  });

  it('is free for the next request before the answer is told to be over', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    const second = new Answered();
    const first = Object.assign(new Answered(), {
      end: () => connection.send(permit(), outgoing({ target: '/second' }), second),
    });
    connection.send(permit(), outgoing(), first);
    await peer.hears(/GET \/ /);
    peer.say(ok);
    await peer.hears(/GET \/second /);
    peer.say(ok);
    await second.done;
    expect(second.text).toBe('ok');
  });

  it('is closed by bytes that nobody asked for', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    let closed = 0;
    connection.onClosed(() => closed++);
    peer.say(ok);
    await peer.over();
    expect([connection.free, closed]).toEqual([0, 1]);
    let late = 0;
    connection.onClosed(() => late++);
    await until(() => late === 1);
  });

  it('is over when the target ends it, in order or not', async () => {
    for (const end of [(peer: RawPeer) => peer.socket.end(), (peer: RawPeer) => peer.socket.resetAndDestroy()]) {
      await using server = await target();
      using connection = await client(server.port);
      let closed = 0;
      connection.onClosed(() => closed++);
      end(await server.peer());
      await until(() => closed === 1);
      expect(connection.free).toBe(0);
    }
  });

  it('closes when it is told to, after what is under way', async () => {
    await using server = await target();
    using idle = await client(server.port);
    using busy = await client(server.port);
    const answer = new Answered();
    busy.send(permit(), outgoing(), answer);
    const peer = await server.peer(1);
    await peer.hears(/\r\n\r\n$/);
    idle.close();
    busy.close();
    expect([idle.free, busy.free]).toEqual([0, 0]);
    await (await server.peer(0)).over();
    expect(peer.ended).toBe(false);
    peer.say(ok);
    await answer.done;
    expect(answer.text).toBe('ok');
    await peer.over();
  });

  it('that ends before a byte of the answer is unavailable, and afterwards has broken off', async () => {
    const cases = [
      ['', 'UPSTREAM_UNAVAILABLE'],
      ['HTTP/1.1 2', 'UPSTREAM_PROTOCOL'],
      ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no', 'UPSTREAM_PROTOCOL'],
    ] as const;
    for (const [said, kind] of cases) {
      for (const reset of [true, false]) {
        await using server = await target();
        using connection = await client(server.port);
        const peer = await server.peer();
        const answer = new Answered();
        connection.send(permit(), outgoing(), answer);
        await peer.hears(/\r\n\r\n$/);
        peer.say(said);
        await quiet(10);
        if (reset) peer.socket.resetAndDestroy();
        else peer.socket.end();
        await answer.done;
        expect(answer.error?.kind).toBe(kind);
      }
    }
  });
});

describe('an answer', () => {
  it('that is complete before the body stops the body, and ends the connection', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    const answer = new Answered();
    const { body, fed, sink } = fedBody(1_000_000);
    connection.send(permit(), outgoing({ method: 'POST', body }), answer);
    sink().data(Buffer.from('abc'));
    await peer.hears(/abc$/);
    peer.say('HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno');
    await answer.done;
    expect([answer.response?.status, answer.text, fed.cancelled, connection.free]).toEqual([413, 'no', true, 0]);
    expect(sink().data(Buffer.alloc(1000))).toBeUndefined();
    sink().end([]);
    await peer.over();
    expect(peer.heard).toMatch(/abc$/);
  });

  it('may begin before the body has ended', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    const answer = new Answered();
    const { body, sink } = fedBody();
    connection.send(permit(), outgoing({ method: 'POST', body }), answer);
    peer.say('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n');
    await until(() => answer.text === 'ab');
    sink().data(Buffer.from('xyz'));
    await peer.hears(/xyz\r\n$/);
    sink().end([]);
    peer.say('0\r\n\r\n');
    await answer.done;
    expect([answer.error, connection.free]).toEqual([undefined, 1]);
  });

  it('that nobody waits for any more reaches nobody, and ends the connection', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    const answer = new Answered();
    const { body, fed } = fedBody();
    const call = connection.send(permit(), outgoing({ method: 'POST', body }), answer);
    await peer.hears(/\r\n\r\n$/);
    call.cancel();
    call.cancel();
    peer.say(ok);
    await peer.over();
    await quiet();
    expect([answer.response, answer.error, answer.trailers]).toEqual([undefined, undefined, undefined]);
    expect([fed.cancelled, connection.free]).toEqual([true, 0]);
  });

  it('is not read while its taker is slower', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    const size = 30_000_000;
    let taken = 0;
    let go: (() => void) | undefined;
    const answer = new Answered();
    answer.data = (bytes) => {
      taken += bytes.length;
      return taken < 100_000 || go !== undefined
        ? undefined
        : new Promise((resolve) => {
            go = resolve;
          });
    };
    connection.send(permit(), outgoing(), answer);
    await peer.hears(/\r\n\r\n$/);
    peer.say(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
    peer.say(Buffer.alloc(size));
    await until(() => go !== undefined);
    const before = taken;
    await quiet(100);
    expect(taken).toBe(before);
    expect(connection.socket.bytesRead).toBeLessThan(1_000_000);
    go?.();
    await answer.done;
    expect(taken).toBe(size);
    expect(connection.free).toBe(1);
  });

  it('until the end of the connection is whole even when its taker is slower than that end', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    const answer = new Answered();
    let go = () => {};
    const pieces: string[] = [];
    answer.data = (bytes) => {
      pieces.push(bytes.toString());
      return new Promise((resolve) => {
        go = resolve;
      });
    };
    connection.send(permit(), outgoing(), answer);
    await peer.hears(/\r\n\r\n$/);
    peer.say('HTTP/1.1 200 OK\r\n\r\nabc');
    await until(() => pieces.length === 1);
    peer.say('def');
    peer.socket.end();
    await quiet();
    expect(answer.trailers).toBeUndefined();
    go();
    await until(() => pieces.length === 2);
    go();
    await answer.done;
    expect([pieces.join(''), answer.error]).toEqual(['abcdef', undefined]);
  });

  it('until the end of the connection is broken off by a reset', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    const answer = new Answered();
    connection.send(permit(), outgoing(), answer);
    await peer.hears(/\r\n\r\n$/);
    peer.say('HTTP/1.1 200 OK\r\n\r\nabc');
    await until(() => answer.text === 'abc');
    peer.socket.resetAndDestroy();
    await answer.done;
    expect(answer.error?.kind).toBe('UPSTREAM_PROTOCOL');
  });

  it('that stops in the middle of its head or its body is given up in time', async () => {
    for (const said of ['HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab']) {
      await using server = await target();
      using connection = await client(server.port, { headMs: 50, bodyIdleMs: 50 });
      const peer = await server.peer();
      const answer = new Answered();
      connection.send(permit(), outgoing(), answer);
      await quiet(100);
      expect(answer.error).toBeUndefined();
      peer.say(said);
      await answer.done;
      expect(answer.error?.kind).toBe('UPSTREAM_PROTOCOL');
      await peer.over();
    }
  });

  it('that a bug of ours cannot take fails alone', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    const answer = new Answered();
    answer.data = () => {
      throw new Error('a bug');
    };
    connection.send(permit(), outgoing(), answer);
    await peer.hears(/\r\n\r\n$/);
    peer.say(ok);
    await answer.done;
    expect((answer.error as Refusal).kind).toBe('INTERNAL');
    expect(answer.error?.cause).toBeInstanceOf(Error);
  });
});

describe('a body for a target that takes nothing', () => {
  it('is slowed down, and given up in time', async () => {
    await using server = await target();
    using connection = await client(server.port, { bodyIdleMs: 100 });
    const peer = await server.peer();
    peer.socket.pause();
    const answer = new Answered();
    const { body, sink } = fedBody();
    connection.send(permit(), outgoing({ method: 'POST', body }), answer);
    let slowed = false;
    while (answer.error === undefined) {
      const slower = sink().data(Buffer.alloc(64 * 1024));
      slowed ||= slower !== undefined;
      await (slower ?? quiet(0));
    }
    expect(slowed).toBe(true);
    expect(answer.error).toBeInstanceOf(Refusal);
  });
});

describe('an upgrade', () => {
  const accepted = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nX: y\r\n\r\n';

  it('lets bytes flow both ways, those too that came at once', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    let closed = 0;
    connection.onClosed(() => closed++);
    const answer = new Answered();
    connection.send(permit(), outgoing({ upgrade: 'websocket' }), answer);
    await peer.hears(/connection: Upgrade\r\nupgrade: websocket\r\n\r\n$/);
    peer.say(`${accepted}early`);
    const tunnel = await answer.upgraded;
    expect([connection.free, closed]).toEqual([0, 1]);
    const got = new Collected();
    tunnel.pipe(got);
    tunnel.write(Buffer.from('hello'));
    await peer.hears(/hello$/);
    peer.say(' late');
    peer.socket.end();
    await got.done;
    expect([got.text, got.error]).toEqual(['early late', undefined]);
    tunnel.end();
    await peer.over();
  });

  it('that is refused is an answer like others', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    const answer = new Answered();
    connection.send(permit(), outgoing({ upgrade: 'websocket' }), answer);
    await peer.hears(/\r\n\r\n$/);
    peer.say('HTTP/1.1 400 No\r\ncontent-length: 2\r\n\r\nno');
    await answer.done;
    expect([answer.response?.status, answer.tunnel, connection.free]).toEqual([400, undefined, 1]);
  });

  it('is not taken while the request is still being sent', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    const answer = new Answered();
    const { body } = fedBody();
    connection.send(permit(), outgoing({ method: 'POST', upgrade: 'websocket', body }), answer);
    peer.say(accepted);
    await answer.done;
    expect(answer.error?.kind).toBe('UPSTREAM_PROTOCOL');
  });

  it('breaks off when the target does', async () => {
    await using server = await target();
    using connection = await client(server.port);
    const peer = await server.peer();
    const answer = new Answered();
    connection.send(permit(), outgoing({ upgrade: 'websocket' }), answer);
    peer.say(accepted);
    const tunnel = await answer.upgraded;
    const got = new Collected();
    tunnel.pipe(got);
    peer.socket.resetAndDestroy();
    await got.done;
    expect(got.error?.kind).toBe('UPSTREAM_PROTOCOL');
    tunnel.write(Buffer.from('x'));
    tunnel.end();
    tunnel.abort();
  });
});
