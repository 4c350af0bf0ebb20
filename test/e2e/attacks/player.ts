import type { Socket } from 'node:net';
import {
  bind,
  close,
  copyData,
  copyDone,
  copyFail,
  describe,
  execute,
  Found,
  flush,
  functionCall,
  MessageReader,
  parse,
  parseReport,
  passwordMessage,
  protocol30,
  query,
  serverCaps,
  startupMessage,
  sync,
  terminate,
} from '../../../src/protocols/postgres/codec.ts';
import { dial, type Message } from '../../support/raw-postgres.ts';

/** What a client does, as the data files say it. */
export type Step =
  | 'sync'
  | 'flush'
  | 'wait'
  | 'copyDone'
  | 'terminate'
  | 'hang up'
  | { readonly query: string }
  | { readonly parse: readonly [name: string, text: string, types?: readonly number[]] }
  | {
      readonly bind: readonly [
        portal: string,
        statement: string,
        parameters?: readonly (string | null)[],
        formats?: readonly (0 | 1)[],
        results?: readonly (0 | 1)[],
      ];
    }
  | { readonly execute: readonly [portal: string, rows?: number] }
  | { readonly describe: readonly ['statement' | 'portal', string] }
  | { readonly close: readonly ['statement' | 'portal', string] }
  | { readonly copyData: string }
  | { readonly copyFail: string }
  | { readonly call: readonly [oid: number, ...parameters: string[]] }
  /** Bytes as they are, in hex, white space ignored; `text:` parts and `zeros:N` stand for more. */
  | { readonly bytes: readonly (string | { readonly text: string } | { readonly zeros: number })[] }
  /** Wait for a message of this type. */
  | { readonly until: string }
  /** Nothing comes, or what comes does not matter: ms. */
  | { readonly pause: number }
  /** Somebody in group dba approves the open request for this text. */
  | { readonly approve: string }
  /** Past the gateway. */
  | { readonly direct: string };

/** A client that sends exactly what it is told, and keeps every byte that comes back. */
export class Player {
  readonly socket: Socket;
  readonly #reader = new MessageReader('server', serverCaps);
  readonly got: Message[] = [];
  closed = false;
  #due = 0;
  #ready = 0;
  #unsent: Buffer[] = [];
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#reader.feed(chunk);
      for (let found = this.#reader.next(); found !== Found.Nothing; found = this.#reader.next()) {
        const { type, buffer, start, end } = this.#reader;
        const letter = found === Found.LargePiece ? '+' : String.fromCharCode(type);
        this.got.push({ type: letter, bytes: Buffer.from(buffer.subarray(start, end)) });
        if (letter === 'Z') this.#ready += 1;
      }
      this.#wake();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  static async login(
    port: number,
    token: string,
    database: string,
    parameters: Readonly<Record<string, string>> = {},
  ): Promise<Player> {
    const player = new Player(await dial(port));
    player.socket.write(startupMessage(protocol30, { user: 'anyone', database, ...parameters }));
    player.socket.write(passwordMessage(token));
    player.#due = 1;
    await player.settled(5000);
    return player;
  }

  /** The transaction status that the last ReadyForQuery told. */
  get status(): string {
    return this.got.findLast(({ type }) => type === 'Z')?.bytes.toString('latin1', 5) ?? '?';
  }

  add(bytes: Buffer, readies = 0): void {
    this.#unsent.push(bytes);
    this.#due += readies;
  }

  send(): void {
    if (this.#unsent.length > 0 && !this.socket.destroyed) this.socket.write(Buffer.concat(this.#unsent));
    this.#unsent = [];
  }

  /** Sends what was added and waits for as many ReadyForQuery as are due. False when they do not come. */
  async settled(ms = 4000): Promise<boolean> {
    this.send();
    return this.#while(() => this.#ready < this.#due && !this.closed, ms);
  }

  async until(type: string, ms = 4000): Promise<boolean> {
    this.send();
    const from = this.got.length;
    return this.#while(() => !this.got.slice(from).some((message) => message.type === type) && !this.closed, ms);
  }

  async #while(waiting: () => boolean, ms: number): Promise<boolean> {
    for (const deadline = Date.now() + ms; waiting(); ) {
      const left = deadline - Date.now();
      if (left <= 0) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return true;
  }
}

/** What a step puts on the wire, and how many ReadyForQuery will come of it; undefined for steps that are no messages. */
export function messageOf(step: Step): { readonly bytes: Buffer; readonly readies: number } | undefined {
  const quiet = (bytes: Buffer) => ({ bytes, readies: 0 });
  if (step === 'sync') return { bytes: sync, readies: 1 };
  if (step === 'flush') return quiet(flush);
  if (step === 'copyDone') return quiet(copyDone);
  if (step === 'terminate') return quiet(terminate);
  if (typeof step === 'string') return undefined;
  if ('query' in step) return { bytes: query(step.query), readies: 1 };
  if ('parse' in step) return quiet(parse(step.parse[0], step.parse[1], step.parse[2]));
  if ('bind' in step) {
    const [portal, statement, given = [], formats = [], resultFormats = []] = step.bind;
    const parameters = given.map((value, i) =>
      value !== null && (formats.length === 1 ? formats[0] : formats[i]) === 1 ? Buffer.from(value, 'hex') : value,
    );
    return quiet(bind({ portal, statement, parameters, formats, resultFormats }));
  }
  if ('execute' in step) return quiet(execute(step.execute[0], step.execute[1]));
  if ('describe' in step) return quiet(describe(...step.describe));
  if ('close' in step) return quiet(close(...step.close));
  if ('copyData' in step) return quiet(copyData(Buffer.from(step.copyData)));
  if ('copyFail' in step) return quiet(copyFail(step.copyFail));
  if ('call' in step) return { bytes: functionCall(step.call[0], step.call.slice(1) as string[]), readies: 1 };
  if ('bytes' in step) {
    const parts = step.bytes.map((part) => {
      if (typeof part === 'string') return Buffer.from(part.replaceAll(/\s/g, ''), 'hex');
      return 'text' in part ? Buffer.from(part.text) : Buffer.alloc(part.zeros);
    });
    return quiet(Buffer.concat(parts));
  }
  return undefined;
}

/** OIDs of tables that a conversation makes are whatever number is next in each database. */
function withoutOrigins(sent: Buffer): Buffer {
  const description = Buffer.from(sent);
  for (let field = description.readInt16BE(5), at = 7; field > 0; field--) {
    at = description.indexOf(0, at) + 1;
    description.fill(0, at, at + 4);
    at += 18;
  }
  return description;
}

/** Replies as they can be compared: without what differs between any two runs. */
export function comparable(messages: readonly Message[], world: string): string {
  const shown = messages
    .filter(({ type }) => !'RSK'.includes(type))
    .map(({ type, bytes }) => {
      if (type === 'A') bytes.fill(0, 5, 9);
      if (type === 'T') return `${type} ${withoutOrigins(bytes).toString('latin1', 5)}`;
      if (type !== 'E' && type !== 'N') return `${type} ${bytes.toString('latin1', 5)}`;
      const { fields } = parseReport(bytes, 0, bytes.length);
      return `${type} ${[...fields].map(([field, value]) => `${field}=${value}`).join(' ')}`;
    });
  return shown
    .join('\n')
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}/g, '(id)')
    .replaceAll(/(?<=Time: |actual time=|\.\.)\d+\.\d+(?= ms| rows|\.\.)/g, '(time)')
    .replaceAll(new RegExp(`-?\\b${world}\\b`, 'g'), '(world)');
}
