import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { type SecureContextOptions, TLSSocket } from 'node:tls';
import { PacketReader } from '../../wire/packets.ts';
import {
  authenticationOk,
  backendKeyData,
  bindComplete,
  commandComplete,
  dataRow,
  notificationResponse,
  parameterStatus,
  parseStartupPacket,
  readyForQuery,
  rowDescription,
  type StartupPacket,
  textField,
} from './codec.ts';

/**
 * A FAKE PostgreSQL server, for tests only: it runs no SQL. It speaks enough of the protocol to be logged in to, and then
 * does what a script says, mostly what no decent server would.
 */
export interface FakeServer {
  readonly port: number;
  /** Connections so far. */
  readonly connections: number;
  /** What a script got wrong, or was cut off in. */
  readonly errors: readonly unknown[];
  stop(): Promise<void>;
}

/** What a fake server does with one connection; it hangs up when the script is over. */
export type Script = (client: FakeDialogue) => Promise<void> | void;

export async function startFake(script: Script): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  const errors: unknown[] = [];
  let connections = 0;
  const server: NetServer = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    const dialogue = new FakeDialogue(socket);
    Promise.resolve(script(dialogue))
      .catch((error: unknown) => errors.push(error))
      .finally(() => dialogue.socket.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    errors,
    get connections() {
      return connections;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** One connection of a fake server. */
export class FakeDialogue {
  socket: Socket;
  #reader: PacketReader;
  readonly #signal = new AbortController().signal;

  constructor(socket: Socket) {
    this.socket = socket;
    this.#reader = new PacketReader(socket, this.#signal);
  }

  /** Sends bytes exactly as they are. */
  send(...bytes: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(bytes));
  }

  /** The client's next start-up packet. */
  async packet(): Promise<StartupPacket> {
    const length = await this.#exactly(4);
    const body = await this.#exactly(length.readInt32BE(0) - 4);
    const parsed = parseStartupPacket(Buffer.concat([length, body]));
    if (parsed === undefined) throw new Error('the start-up packet is not whole');
    return parsed.packet;
  }

  /** The client's next message, type byte and length included. */
  async message(): Promise<Buffer> {
    const header = await this.#exactly(5);
    const length = header.readInt32BE(1) - 4;
    return length === 0 ? header : Buffer.concat([header, await this.#exactly(length)]);
  }

  /** The next message of this type; others before it are dropped. */
  async until(type: number): Promise<Buffer> {
    for (;;) {
      const message = await this.message();
      if (message[0] === type) return message;
    }
  }

  /** Goes on inside TLS. */
  async secure(options: SecureContextOptions): Promise<void> {
    const secured = new TLSSocket(this.socket, { ...options, isServer: true, ALPNProtocols: ['postgresql'] });
    secured.on('error', () => undefined);
    await new Promise<void>((resolve, reject) =>
      secured.once('secure', resolve).once('close', () => reject(new Error('no TLS'))),
    );
    this.socket = secured;
    this.#reader[Symbol.dispose]();
    this.#reader = new PacketReader(secured, this.#signal);
  }

  /** Refuses TLS and reads the start-up message. */
  async startup(): Promise<StartupPacket & { kind: 'startup' }> {
    for (;;) {
      const packet = await this.packet();
      if (packet.kind === 'startup') return packet;
      if (packet.kind === 'cancel') throw new Error('a cancel request');
      this.send(Buffer.from('N'));
    }
  }

  /** What a good server says after authentication. */
  welcome(parameters: Readonly<Record<string, string>> = goodParameters): void {
    const statuses = Object.entries(parameters).map(([name, value]) => parameterStatus(name, value));
    this.send(
      authenticationOk,
      ...statuses,
      backendKeyData({ processId: 1, secret: Buffer.alloc(4, 1) }),
      readyForQuery('I'),
    );
  }

  /** Waits until the client hangs up. */
  async hungUp(): Promise<void> {
    this.socket.resume();
    if (!this.socket.destroyed) await new Promise((resolve) => this.socket.once('close', resolve));
  }

  async #exactly(size: number): Promise<Buffer> {
    const bytes = await this.#reader.exactly(size);
    if (bytes === undefined) throw new Error('the client hung up');
    return bytes;
  }
}

export const goodParameters: Readonly<Record<string, string>> = {
  server_version: '18.4 (fake)',
  client_encoding: 'UTF8',
  standard_conforming_strings: 'on',
};

/** Lets anybody in, then answers the first message of each round with `reply`, whatever was asked. */
export function loggedIn(reply: (client: FakeDialogue) => Promise<void> | void): Script {
  return async (client) => {
    await client.startup();
    client.welcome();
    for (;;) {
      await client.message();
      await reply(client);
    }
  };
}

const description = rowDescription([textField('a'), textField('b')]);
const complete = [commandComplete('SELECT 1'), readyForQuery('I')];
const header = (type: string, length: number) => {
  const bytes = Buffer.alloc(5, type);
  bytes.writeInt32BE(length, 1);
  return bytes;
};

/** Ways to answer a query that break the protocol, and what a session must survive. */
export const misbehaviours: Readonly<Record<string, Script>> = {
  'a row with more values than its description': loggedIn((client) =>
    client.send(description, dataRow(['1', '2', 'extra']), ...complete),
  ),
  'a row with fewer values than its description': loggedIn((client) =>
    client.send(description, dataRow(['1']), ...complete),
  ),
  'a row without a description': loggedIn((client) => client.send(dataRow(['1', '2']), ...complete)),
  'a value that is longer than its row': loggedIn((client) => {
    const row = dataRow(['1', '2']);
    row.writeInt32BE(1000, 7);
    client.send(description, row, ...complete);
  }),
  'a value with a negative length': loggedIn((client) => {
    const row = dataRow(['1', '2']);
    row.writeInt32BE(-2, 7);
    client.send(description, row, ...complete);
  }),
  'a length below 4': loggedIn((client) => client.send(description, header('D', 3), ...complete)),
  'a negative length': loggedIn((client) => client.send(description, header('D', -1), ...complete)),
  'a length near 2 GiB': loggedIn((client) => client.send(description, header('T', 2 ** 31 - 1))),
  'a type that does not exist': loggedIn((client) => client.send(header('!', 4))),
  'a message that only clients send': loggedIn((client) => client.send(header('Q', 5), Buffer.of(0))),
  'an answer to another kind of message': loggedIn((client) => client.send(bindComplete, ...complete)),
  'a second answer nobody asked for': loggedIn((client) =>
    client.send(description, dataRow(['1', '2']), ...complete, ...complete),
  ),
  'a request for a password in mid-session': loggedIn((client) =>
    client.send(Buffer.from('520000000800000003', 'hex')),
  ),
  'the end of the connection inside a message': loggedIn((client) => {
    client.send(description, dataRow(['1', '2']).subarray(0, 9));
    client.socket.end();
  }),
  'the end of the connection instead of an answer': loggedIn((client) => {
    client.socket.destroy();
  }),
};

/** Odd, but allowed: the session goes on. */
export const oddities: Readonly<Record<string, Script>> = {
  'an error without a SQLSTATE': loggedIn((client) =>
    client.send(Buffer.from('450000000b4d6f6f70730000', 'hex'), readyForQuery('I')),
  ),
  'an error without any field': loggedIn((client) =>
    client.send(Buffer.from('450000000500', 'hex'), readyForQuery('I')),
  ),
  'a notification before the answer': loggedIn((client) =>
    client.send(
      notificationResponse({ processId: 9, channel: 'c', payload: 'p' }),
      description,
      dataRow(['1', '2']),
      ...complete,
    ),
  ),
};

/** Takes the login and never says a word again. */
export const silent: Script = async (client) => {
  await client.startup();
  client.welcome();
  await client.hungUp();
};
