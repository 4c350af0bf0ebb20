import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { closeFrame, encodeFrame } from './encode-frame.ts';
import type { Frame } from './frame.ts';
import { FrameReader } from './frame-reader.ts';
import { websocketAccept, websocketKey } from './handshake.ts';
import { MessageCollector } from './message-collector.ts';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A server that says what it hears, with our codec; the handshake is by hand. */
async function echoServer(): Promise<{ readonly port: number; readonly frames: Frame[] }> {
  const frames: Frame[] = [];
  const server = createServer((socket) => {
    const reader = new FrameReader('client');
    let head = '';
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      let rest: Buffer | undefined = bytes;
      if (!head.includes('\r\n\r\n')) {
        head += bytes.toString('latin1');
        const key = /^sec-websocket-key: (.*)\r$/im.exec(head)?.[1];
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${websocketAccept(key!)}\r\n\r\n`,
        );
        rest = undefined;
      }
      for (const frame of rest === undefined ? [] : reader.read(rest)) {
        frames.push(frame);
        if (frame.kind !== 'pong') socket.write(encodeFrame(frame, 'client'));
        if (frame.kind === 'close') socket.end();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, frames };
}

describe('Node’s own client', () => {
  it('understands every frame of ours, and we every one of its', async () => {
    const { port, frames } = await echoServer();
    const client = new WebSocket(`ws://127.0.0.1:${port}/`);
    client.binaryType = 'arraybuffer';
    await new Promise((resolve) => client.addEventListener('open', resolve));
    const heard: unknown[] = [];
    const answers = new Promise<void>((resolve) =>
      client.addEventListener('message', ({ data }) => {
        heard.push(typeof data === 'string' ? data : Buffer.from(data as ArrayBuffer).length);
        if (heard.length === 4) resolve();
      }),
    );
    client.send('grüße 🦊');
    client.send('');
    client.send(Buffer.alloc(300, 1));
    client.send(Buffer.alloc(200_000, 2));
    await answers;
    expect(heard).toEqual(['grüße 🦊', '', 300, 200_000]);
    const closed = new Promise<{ code: number; reason: string }>((resolve) =>
      client.addEventListener('close', (event) => resolve(event)),
    );
    client.close(3001, 'enough');
    expect(await closed).toMatchObject({ code: 3001, reason: 'enough' });
    expect(frames.at(-1)).toEqual(closeFrame(3001, 'enough'));
  });
});

describe('another server', () => {
  async function connected(): Promise<{ socket: Socket; reader: FrameReader; next: () => Promise<Frame> }> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    closing.push(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    server.on('connection', (socket) => {
      socket.on('error', () => undefined);
      socket.on('message', (data, binary) => socket.send(data, { binary }));
    });
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    closing.push(() => socket.destroy());
    const key = websocketKey();
    socket.write(
      `GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    const head = String(await new Promise((resolve) => socket.once('data', resolve)));
    expect(head).toContain(`Sec-WebSocket-Accept: ${websocketAccept(key)}`);
    const reader = new FrameReader('server');
    const frames: Frame[] = [];
    let wake = () => {};
    socket.on('data', (bytes) => {
      frames.push(...reader.read(bytes));
      wake();
    });
    const next = async () => {
      while (frames.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return frames.shift()!;
    };
    return { socket, reader, next };
  }

  it('understands our masked frames, whole and in fragments, and answers pings', async () => {
    const { socket, next } = await connected();
    const send = (frame: Frame) => socket.write(encodeFrame(frame, 'server'));
    send({ kind: 'text', first: true, fin: true, payload: Buffer.from('whole') });
    expect(await next()).toMatchObject({ kind: 'text', fin: true, payload: Buffer.from('whole') });
    send({ kind: 'text', first: true, fin: false, payload: Buffer.from('in ') });
    send({ kind: 'ping', first: true, fin: true, payload: Buffer.from('there?') });
    send({ kind: 'text', first: false, fin: true, payload: Buffer.from('parts') });
    expect(await next()).toMatchObject({ kind: 'pong', payload: Buffer.from('there?') });
    expect((await next()).payload.toString()).toBe('in parts');
    send(closeFrame(1000));
    expect((await next()).kind).toBe('close');
  });

  it('sends large messages that come together again', async () => {
    const { socket, next } = await connected();
    const payload = Buffer.alloc(500_000, 'abcdefghij');
    socket.write(encodeFrame({ kind: 'binary', first: true, fin: true, payload }, 'server'));
    const collector = new MessageCollector();
    for (;;) {
      const message = collector.add(await next());
      if (message === undefined) continue;
      expect(message.payload.equals(payload)).toBe(true);
      break;
    }
  });
});
