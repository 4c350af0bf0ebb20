import { connect, createServer, type Server, type Socket } from 'node:net';

/** Frames of HTTP/2 by hand (RFC 9113 §4.1), for peers that do what no library lets them do. */
export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

export const types = {
  data: 0,
  headers: 1,
  priority: 2,
  rst: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;
export const endStream = 1;
export const endHeaders = 4;
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export function frame(type: number, flags: number, id: number, payload: Buffer | string = ''): Buffer {
  const body = Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, body]);
}

/** Field lines as literals without indexing, names and values as they are (RFC 7541 §6.2.2). */
export function fieldBlock(fields: readonly (readonly [string, string])[]): Buffer {
  const text = (value: string) => {
    const bytes = Buffer.from(value, 'latin1');
    return Buffer.concat([integer(bytes.length, 7), bytes]);
  };
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

function integer(value: number, bits: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([value]);
  const bytes = [most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

export const word = (...numbers: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(4 * numbers.length);
  for (const [index, number] of numbers.entries()) bytes.writeUInt32BE(number, 4 * index);
  return bytes;
};

/** A peer on a socket, with what it was sent. */
export class RawPeer {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  /** The other side closed, or the connection broke. */
  closed = false;
  #rest: Buffer = Buffer.alloc(0);
  #skip: number;
  readonly #waiting: (() => void)[] = [];

  constructor(socket: Socket, skip = 0) {
    this.socket = socket;
    this.#skip = skip;
    socket.on('data', (bytes) => this.#onData(bytes));
    socket.on('error', () => undefined);
    const over = () => {
      this.closed = true;
      this.#changed();
    };
    socket.on('end', over);
    socket.on('close', over);
  }

  send(...parts: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(parts));
  }

  /** The first frame that fits, as soon as there is one. Rejects when the connection ends without. */
  async until(fits: (frame: RawFrame) => boolean): Promise<RawFrame> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined) return found;
      if (this.closed) throw new Error(`closed; got frames of types ${this.frames.map(({ type }) => type).join(' ')}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async untilClosed(): Promise<void> {
    while (!this.closed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #onData(bytes: Buffer): void {
    const skipped = Math.min(this.#skip, bytes.length);
    this.#skip -= skipped;
    this.#rest = Buffer.concat([this.#rest, bytes.subarray(skipped)]);
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) break;
      const id = this.#rest.readUInt32BE(5);
      this.frames.push({ type: this.#rest[3]!, flags: this.#rest[4]!, id, payload: this.#rest.subarray(9, end) });
      this.#rest = this.#rest.subarray(end);
    }
    this.#changed();
  }

  #changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** A client that has said hello. */
export async function rawClient(
  port: number,
  settings: Buffer = Buffer.alloc(0),
  first: (hello: Buffer) => Buffer = (hello) => hello,
): Promise<RawPeer> {
  const socket = connect(port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  const peer = new RawPeer(socket);
  peer.send(first(Buffer.concat([preface, frame(types.settings, 0, 0, settings)])));
  return peer;
}

export const getFields: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'gate.test'],
];

/** A server for one connection at a time, which says hello and leaves the rest to the test. */
export async function rawServer(onPeer: (peer: RawPeer) => void, settings: Buffer = Buffer.alloc(0)): Promise<Server> {
  const server = createServer((socket) => {
    const peer = new RawPeer(socket, preface.length);
    peer.send(frame(types.settings, 0, 0, settings));
    onPeer(peer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
