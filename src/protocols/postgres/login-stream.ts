import type { Socket } from 'node:net';
import { PeerError } from '../../model/errors.ts';
import { PacketReader } from '../../wire/packets.ts';
import { serverCaps } from './codec.ts';

/** One whole message of the server, type byte and length included. */
export interface LoginMessage {
  readonly type: number;
  readonly bytes: Buffer;
}

/** Far above what a login needs; a server that is not logged in to yet may not fill our memory. */
const longest = 65_536;
const mostMessages = 1000;

/** Reads messages one at a time and not a byte beyond, so that what follows login is left in the socket for its next reader. */
export class LoginStream implements Disposable {
  readonly #socket: Socket;
  readonly #reader: PacketReader;
  #messages = 0;

  constructor(socket: Socket, signal: AbortSignal) {
    this.#socket = socket;
    this.#reader = new PacketReader(socket, signal);
  }

  /** Leaves the socket to its next reader. */
  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]();
  }

  send(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Undefined when the server hung up between messages or inside one. */
  async next(): Promise<LoginMessage | undefined> {
    if (++this.#messages > mostMessages) throw new PeerError('UPSTREAM_PROTOCOL', 'the login does not come to an end');
    const header = await this.#reader.exactly(5);
    if (header === undefined) return undefined;
    const type = header[0]!;
    const length = header.readInt32BE(1);
    const cap = Math.min(serverCaps.length[type]!, longest);
    if (length < 4 || length > cap)
      throw new PeerError(
        'UPSTREAM_PROTOCOL',
        'the server does not speak the PostgreSQL protocol, or lies about a length',
      );
    const body = length === 4 ? Buffer.alloc(0) : await this.#reader.exactly(length - 4);
    return body === undefined ? undefined : { type, bytes: Buffer.concat([header, body]) };
  }
}
