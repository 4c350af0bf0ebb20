import { connect, type Socket } from 'node:net';
import { type Analysed, type Aside, Ask } from '../../src/protocols/postgres/certify/ask.ts';
import {
  Found,
  MessageReader,
  parseReport,
  protocol30,
  query,
  Server,
  serverCaps,
  startupMessage,
  type TransactionStatus,
} from '../../src/protocols/postgres/codec.ts';

export interface Answer {
  readonly analysed: Analysed;
  readonly status: TransactionStatus;
  /** What the server sent, as message types. */
  readonly types: string;
}

type Take = (type: number, buffer: Buffer, start: number, end: number) => void;

/** A session with a server that trusts everybody, in which statements are analysed as the gateway has it done. */
export class Analysing {
  readonly #socket: Socket;
  readonly #reader = new MessageReader('server', serverCaps);
  #take: Take = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#reader.feed(chunk);
      while (this.#reader.next() !== Found.Nothing) {
        const { type, buffer, start, end } = this.#reader;
        this.#take(type, buffer, start, end);
      }
    });
  }

  static async open(port: number): Promise<Analysing> {
    const analysing = new Analysing(connect(port, '127.0.0.1'));
    const startup = { user: 'postgres', database: 'postgres', client_encoding: 'UTF8' };
    await analysing.#until(startupMessage(protocol30, startup));
    return analysing;
  }

  /** Runs SQL; the values of the first column of what comes back, and error messages. */
  async run(text: string): Promise<readonly string[]> {
    const got: string[] = [];
    await this.#until(query(text), (type, buffer, start, end) => {
      if (type === Server.DataRow) got.push(buffer.toString('utf8', start + 11, end));
      if (type === Server.ErrorResponse) got.push(parseReport(buffer, start, end).message);
    });
    return got;
  }

  async analyse(text: string, parameterTypes: readonly number[] = []): Promise<Answer> {
    let answer: Omit<Answer, 'types'> | undefined;
    let restore: Aside | undefined;
    const ask = new Ask(text, parameterTypes, (analysed, status, next) => {
      answer = { analysed, status };
      restore = next;
    });
    const types = await this.#aside(ask);
    if (restore !== undefined) await this.#aside(restore);
    return { ...answer!, types };
  }

  close(): void {
    this.#socket.destroy();
  }

  #aside(aside: Aside): Promise<string> {
    return this.#until(aside.bytes, (type, buffer, start, end) => {
      if (type === Server.NoticeResponse) aside.notice(parseReport(buffer, start, end));
      else if (type !== Server.ParameterStatus) aside.message(type, buffer, start, end);
    });
  }

  #until(bytes: Buffer, take: Take = () => undefined): Promise<string> {
    return new Promise((resolve) => {
      let types = '';
      this.#take = (type, buffer, start, end) => {
        types += String.fromCharCode(type);
        take(type, buffer, start, end);
        if (type === Server.ReadyForQuery) resolve(types);
      };
      this.#socket.write(bytes);
    });
  }
}
