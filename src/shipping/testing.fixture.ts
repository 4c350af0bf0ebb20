import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { AuditEvent, EventType, RecordedEvent } from '../model/event.ts';
import { CursorFile } from './cursor.ts';
import { DeadLetters } from './dead-letters.ts';
import { Feed, type LogReader } from './feed.ts';
import { recordOf, type ShippedRecord } from './record.ts';
import { SinkSecret } from './secret.ts';
import { Shipper, type ShipperOptions } from './shipper.ts';
import type { RefusedRecord, Sink } from './sink.ts';

export const log = 'gw.example/audit';

export function eventOf(seq: number, over: Partial<RecordedEvent> = {}): RecordedEvent {
  const time = new Date(Date.UTC(2026, 10, 20, 12) + seq * 1000).toISOString();
  return {
    seq,
    time,
    type: 'session.ended' as EventType,
    session: `s${seq}`,
    principal: 'corp:bot',
    target: 'shop',
    ...over,
  };
}

/** Records 1 … `count`, in native form. */
export function recordsOf(count: number, over: (seq: number) => Partial<RecordedEvent> = () => ({})): ShippedRecord[] {
  return Array.from({ length: count }, (_, i) =>
    recordOf(eventOf(i + 1, over(i + 1)), 'native', { log, after: i }, { recordBytes: 1024 * 1024 }),
  );
}

/** A log in memory that answers as the audit reader does. */
export class MemoryLog implements LogReader {
  readonly events_: RecordedEvent[] = [];
  asked = 0;
  broken = false;

  add(count: number, over: (seq: number) => Partial<RecordedEvent> = () => ({})): void {
    for (let i = 0; i < count; i++) {
      const seq = this.events_.length + 1;
      this.events_.push(eventOf(seq, over(seq)));
    }
  }

  record = async (event: AuditEvent): Promise<number> => {
    const seq = this.events_.length + 1;
    this.events_.push({ ...eventOf(seq), ...event });
    return seq;
  };

  events: LogReader['events'] = async ({ limit, after }) => {
    this.asked += 1;
    if (this.broken) throw new Error('the thread that reads the audit log has stopped');
    if (after === undefined) return { items: this.events_.toReversed().slice(0, limit) };
    const found = this.events_.filter(({ seq }) => seq > Number(after));
    const items = found.slice(0, limit);
    return { items, ...(found.length > limit ? { next: String(items.at(-1)?.seq) } : {}) };
  };

  event: LogReader['event'] = async (seq) => this.events_[seq - 1];

  close = async (): Promise<void> => {};
}

/** Keeps what it is sent, and does as a test says. */
export class ScriptedSink implements Sink {
  readonly limits: Sink['limits'];
  readonly batches: (readonly number[])[] = [];
  readonly taken: ShippedRecord[] = [];
  /** Called before a batch is taken; throws, waits, or returns what is refused. */
  script: (
    batch: readonly ShippedRecord[],
    signal: AbortSignal,
  ) => Promise<readonly RefusedRecord[] | undefined> | readonly RefusedRecord[] | undefined = () => undefined;

  constructor(limits: Partial<Sink['limits']> = {}) {
    this.limits = { records: 10, bytes: 1024 * 1024, recordBytes: 64 * 1024, ...limits };
  }

  async send(batch: readonly ShippedRecord[], signal: AbortSignal): Promise<readonly RefusedRecord[]> {
    this.batches.push(batch.map(({ event }) => event.seq));
    const refused = (await this.script(batch, signal)) ?? [];
    this.taken.push(...batch.filter((record) => !refused.some((one) => one.record === record)));
    return refused;
  }

  async close(): Promise<void> {}
}

/** Folders and things to close of one test file; `clean` after each test. */
export class Scratch {
  readonly #dirs: string[] = [];
  readonly #open: { close(): Promise<void> }[] = [];

  dir(): string {
    const dir = mkdtempSync(join(tmpdir(), 'sallyport-shipping-'));
    this.#dirs.push(dir);
    return dir;
  }

  keep<T extends { close(): Promise<void> }>(thing: T): T {
    this.#open.push(thing);
    return thing;
  }

  async clean(): Promise<void> {
    for (const thing of this.#open.splice(0)) await thing.close();
    for (const dir of this.#dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
  }
}

export interface TestShipper {
  readonly shipper: Shipper;
  readonly warnings: string[];
  readonly deadLetters: DeadLetters;
}

/** A shipper over a log in memory, started; its cursor is in `dir`. */
export async function startShipper(
  source: MemoryLog,
  sink: Sink,
  dir: string,
  over: Partial<ShipperOptions> = {},
): Promise<TestShipper> {
  const warnings: string[] = [];
  const deadLetters = new DeadLetters(dir);
  const shipper = new Shipper({
    name: 'siem',
    kind: 'file',
    format: 'native',
    from: 'beginning',
    timeoutMs: 5000,
    sink,
    feed: new Feed(source),
    cursor: await CursorFile.open(dir, log),
    deadLetters,
    log,
    record: source.record,
    warn: (message, fields) => warnings.push(`${message} ${JSON.stringify(fields)}`),
    now: Date.now,
    random: () => 0.5,
    backoff: { firstMs: 1, mostMs: 5 },
    ...over,
  });
  shipper.start();
  return { shipper, warnings, deadLetters };
}

/** Until something holds. The test's own time-out ends it otherwise. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}

export function secretOf(text: string): SinkSecret {
  return new SinkSecret({ env: 'SECRET', timeoutMs: 1000 }, async () => text);
}

export interface Got {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What a fake receiver answers: a status, a body, or nothing. */
export type Reply =
  | { readonly status: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> }
  | 'hang'
  | 'reset';

/** A fake receiver: real HTTP, answers as the test says. It stands for a product whose protocol it speaks, and is not that product. */
export class FakeReceiver {
  readonly got: Got[] = [];
  reply: (got: Got) => Reply = () => ({ status: 200 });
  readonly #server: Server;

  readonly #tls: boolean;

  private constructor(tls: { readonly cert: string; readonly key: string } | undefined) {
    const take = (request: IncomingMessage, response: ServerResponse): void => void this.#take(request, response);
    this.#tls = tls !== undefined;
    this.#server = tls === undefined ? createServer(take) : createTlsServer(tls, take);
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const body = (await buffer(request).catch(() => Buffer.alloc(0))).toString();
    const got = { method, path: url, headers, body };
    this.got.push(got);
    const reply = this.reply(got);
    if (reply === 'hang') return;
    if (reply === 'reset') {
      request.socket.resetAndDestroy();
      return;
    }
    const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body ?? {});
    response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers }).end(text);
  }

  static async start(tls?: { readonly cert: string; readonly key: string }): Promise<FakeReceiver> {
    const fake = new FakeReceiver(tls);
    fake.#server.listen(0, '127.0.0.1');
    await once(fake.#server, 'listening');
    return fake;
  }

  get url(): URL {
    return new URL(`http${this.#tls ? 's' : ''}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
