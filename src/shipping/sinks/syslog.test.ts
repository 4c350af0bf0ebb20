import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type TestAuthority, testAuthority } from '../../../test/support/certificates.ts';
import { recordOf } from '../record.ts';
import { eventOf, log, recordsOf } from '../testing.fixture.ts';
import { SyslogSink, type SyslogSinkOptions } from './syslog.ts';

let authority: TestAuthority;
beforeAll(async () => {
  authority = await testAuthority();
});
const servers: Server[] = [];
const sockets = new Set<Socket>();
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) {
    server.close();
    await once(server, 'close');
  }
});

async function listening(server: Server): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

function sinkAt(port: number, over: Partial<SyslogSinkOptions> = {}): SyslogSink {
  const own = { host: '127.0.0.1', port, transport: 'tcp', tls: {}, messageBytes: 8192 } as const;
  return new SyslogSink({ ...own, facility: 13, hostname: 'gw', structuredData: 'sallyport@32473', ...over });
}

/** Takes octet-counted messages as a receiver does. */
function collector(texts: string[]) {
  return (socket: Socket): void => {
    const chunks: Buffer[] = [];
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => {
      for (let bytes = Buffer.concat(chunks); bytes.length > 0; ) {
        const space = bytes.indexOf(0x20);
        const length = Number(bytes.toString('latin1', 0, space));
        texts.push(bytes.toString('utf8', space + 1, space + 1 + length));
        bytes = bytes.subarray(space + 1 + length);
      }
      socket.end();
    });
  };
}

const signal = (ms = 5000): AbortSignal => AbortSignal.timeout(ms);

describe('the syslog sink', () => {
  it('has a batch acknowledged by the receiver’s end of the connection', async () => {
    const texts: string[] = [];
    const port = await listening(createServer({ allowHalfOpen: true }, collector(texts)));
    expect(await sinkAt(port).send(recordsOf(300), signal())).toEqual([]);
    expect(texts).toHaveLength(300);
    expect(texts[299]).toContain(' seq="300" after="299" ');
  });

  it('speaks TLS, to a receiver with the right certificate and name only', async () => {
    const { certificate: cert, key } = await authority.server('127.0.0.1', 'logs.example');
    const texts: string[] = [];
    const server = createTlsServer({ cert, key, allowHalfOpen: true }, collector(texts));
    const port = await listening(server);
    const ca = authority.certificate;
    await sinkAt(port, { transport: 'tls', tls: { ca } }).send(recordsOf(3), signal());
    await sinkAt(port, { transport: 'tls', tls: { ca, servername: 'logs.example' } }).send(recordsOf(1), signal());
    expect(texts).toHaveLength(4);
    const strangers = [{}, { ca: (await testAuthority()).certificate }, { ca, servername: 'other.example' }];
    for (const tls of strangers)
      await expect(sinkAt(port, { transport: 'tls', tls }).send(recordsOf(1), signal())).rejects.toThrow(
        /CERT|VERIFY|ALTNAME/,
      );
    expect(texts).toHaveLength(4);
  });

  it('does not take for acknowledged what was reset, cut short, or never read', async () => {
    const ways: readonly ((socket: Socket) => void)[] = [
      (socket) => socket.resetAndDestroy(),
      (socket) => socket.once('data', () => socket.resetAndDestroy()),
      (socket) => socket.end(),
      (socket) => socket.destroy(),
      (socket) => socket.once('data', () => socket.end()),
      (socket) => socket.once('readable', () => socket.destroy()),
      (socket) => {
        socket.pause();
      },
    ];
    for (const way of ways) {
      const port = await listening(
        createServer({ allowHalfOpen: true }, (socket) => {
          socket.on('error', () => undefined);
          way(socket);
        }),
      );
      await expect(sinkAt(port).send(recordsOf(200), signal(200))).rejects.toThrow();
    }
  });

  it('fails when nobody listens, and is usable again afterwards', async () => {
    const server = createServer();
    const port = await listening(server);
    server.close();
    const sink = sinkAt(port);
    await expect(sink.send(recordsOf(1), signal())).rejects.toThrow('ECONNREFUSED');
    const texts: string[] = [];
    const again = createServer({ allowHalfOpen: true }, collector(texts));
    servers.push(again);
    again.on('connection', (socket: Socket) => sockets.add(socket));
    again.listen(port, '127.0.0.1');
    await once(again, 'listening');
    await sink.send(recordsOf(1), signal());
    expect(texts).toHaveLength(1);
  });

  it('keeps every message within the receiver’s size, whatever is in it', async () => {
    const texts: string[] = [];
    const port = await listening(createServer({ allowHalfOpen: true }, collector(texts)));
    const sink = sinkAt(port, { messageBytes: 4096 });
    const text = 'é漢\u{1f600}"\\'.repeat(2000);
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`field${i}`, 'y'.repeat(200)]));
    const events = [eventOf(1, { text, principal: ']"\\漢'.repeat(400) }), eventOf(2, many)];
    const batch = events.map((event) => recordOf(event, 'native', { log, after: event.seq - 1 }, sink.limits));
    await sink.send(batch, signal());
    expect(texts).toHaveLength(2);
    for (const message of texts.slice(1)) expect(Buffer.byteLength(message)).toBeLessThanOrEqual(4096);
    const [, second] = texts.map((message) => JSON.parse(message.slice(message.indexOf('] {') + 2)) as object);
    expect(second).toMatchObject({ seq: 2, session: 's2', leftOut: { bytes: expect.any(Number) } });
  });

  it('sends a datagram for each record where it has to be UDP', async () => {
    const receiver = createSocket('udp4');
    receiver.bind(0, '127.0.0.1');
    await once(receiver, 'listening');
    const got: string[] = [];
    const all = new Promise<void>((resolve) => {
      receiver.on('message', (message) => {
        got.push(message.toString());
        if (got.length === 3) resolve();
      });
    });
    await sinkAt(receiver.address().port, { transport: 'udp' }).send(recordsOf(3), signal());
    await all;
    receiver.close();
    expect(got.every((message) => message.startsWith('<110>1 2026-'))).toBe(true);
  });
});
