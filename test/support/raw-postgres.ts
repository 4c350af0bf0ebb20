import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import {
  type BackendKey,
  Found,
  MessageReader,
  parseBackendKeyData,
  parseReport,
  passwordMessage,
  protocol30,
  Server,
  type ServerReport,
  serverCaps,
  sslRequest,
  startupMessage,
} from '../../src/protocols/postgres/codec.ts';

/** A message as it came: its type as a letter, and its bytes. */
export interface Message {
  readonly type: string;
  readonly bytes: Buffer;
}

export interface RawOptions {
  readonly port: number;
  readonly token: string;
  readonly ca?: string;
  readonly version?: number;
  readonly parameters?: Readonly<Record<string, string>>;
}

/** A PostgreSQL client that sends exactly what a test wants and shows exactly what comes back. */
export class RawPostgres {
  readonly socket: Socket;
  key: BackendKey | undefined;
  readonly #reader = new MessageReader('server', serverCaps);
  readonly #messages: Message[] = [];
  #wake: (() => void) | undefined;
  closed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#reader.feed(chunk);
      for (let found = this.#reader.next(); found !== Found.Nothing; found = this.#reader.next()) {
        if (found === Found.LargePiece) continue;
        const { type, buffer, start, end } = this.#reader;
        this.#messages.push({ type: String.fromCharCode(type), bytes: Buffer.from(buffer.subarray(start, end)) });
      }
      this.#wake?.();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.#wake?.();
    });
  }

  static async login(options: RawOptions): Promise<RawPostgres> {
    const client = new RawPostgres(
      await (options.ca === undefined ? dial(options.port) : dialTls(options.port, options.ca)),
    );
    client.send(
      startupMessage(options.version ?? protocol30, { user: 'anyone', database: 'shop', ...options.parameters }),
    );
    await client.next('R');
    client.send(passwordMessage(options.token));
    for (const message of await client.until('Z')) {
      if (message.type === 'K') client.key = parseBackendKeyData(message.bytes, 0, message.bytes.length);
    }
    return client;
  }

  send(...messages: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(messages));
  }

  /** Messages up to and with the next one of this type. Rejects when the connection ends or 10 s pass before. */
  async until(type: string): Promise<readonly Message[]> {
    const got: Message[] = [];
    for (;;) {
      const message = await this.#shift();
      got.push(message);
      if (message.type === type) return got;
      if (message.type === 'E' && this.closed && this.#messages.length === 0) return got;
    }
  }

  async next(type: string): Promise<Message> {
    return (await this.until(type)).at(-1)!;
  }

  /** The next message; undefined when the connection has ended. */
  async message(): Promise<Message | undefined> {
    try {
      return await this.#shift();
    } catch (error) {
      if (this.closed) return undefined;
      throw error;
    }
  }

  /** Everything until the connection ends. */
  async rest(): Promise<readonly Message[]> {
    const timer = Date.now() + 10_000;
    while (!this.closed && Date.now() < timer) await this.#wait(timer - Date.now());
    if (!this.closed) throw new Error('the connection did not end');
    return this.#messages.splice(0);
  }

  end(): void {
    this.socket.destroy();
  }

  async #shift(): Promise<Message> {
    const deadline = Date.now() + 10_000;
    while (this.#messages.length === 0) {
      if (this.closed) throw new Error('the connection ended');
      if (Date.now() >= deadline) throw new Error('no message within 10 s');
      await this.#wait(deadline - Date.now());
    }
    return this.#messages.shift()!;
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

export function types(messages: readonly Message[]): string {
  return messages.map(({ type }) => type).join('');
}

export function errorOf(messages: readonly Message[]): ServerReport {
  const found = messages.find(({ type }) => type.charCodeAt(0) === Server.ErrorResponse);
  if (found === undefined) throw new Error(`no error in ${types(messages)}`);
  return parseReport(found.bytes, 0, found.bytes.length);
}

export function dial(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true }, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** SSLRequest, then TLS. */
export async function dialTls(port: number, ca: string): Promise<TLSSocket> {
  const socket = await dial(port);
  socket.write(sslRequest());
  await new Promise<void>((resolve) => socket.once('readable', () => resolve()));
  const answer = socket.read(1) as Buffer | null;
  if (answer?.toString() !== 'S') throw new Error(`SSLRequest was answered with ${answer?.toString()}`);
  return new Promise((resolve, reject) => {
    const tls = connectTls({ socket, ca, servername: 'localhost' }, () => resolve(tls));
    tls.once('error', reject);
  });
}
