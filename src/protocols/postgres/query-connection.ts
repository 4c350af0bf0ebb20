import type { Permit } from '../../audit/permit.ts';
import { PeerError, Refusal } from '../../model/errors.ts';
import { formatAddress } from './address.ts';
import {
  Found,
  MessageReader,
  parseDataRow,
  parseReadyForQuery,
  parseReport,
  parseRowDescription,
  query,
  Server,
  serverCaps,
} from './codec.ts';
import { type ConnectOptions, connectUpstream, type UpstreamConnection } from './connect.ts';
import { Upstream } from './upstream.ts';

export type Row = readonly (string | null)[];

interface Pending {
  readonly rows: Row[];
  columns: number;
  bytes: number;
  failure: Error | undefined;
  resolve(rows: readonly Row[]): void;
  reject(error: Error): void;
}

const mostBytes = 256 * 2 ** 20;

/** A connection of the gateway's own, for the few questions it has about a target. One query at a time; the first failure ends it. */
export class QueryConnection {
  readonly connection: UpstreamConnection;
  readonly #permit: Permit;
  readonly #upstream: Upstream;
  readonly #reader = new MessageReader('server', serverCaps, Number.POSITIVE_INFINITY);
  #pending: Pending | undefined;
  #over: Error | undefined;

  private constructor(connection: UpstreamConnection, permit: Permit) {
    this.connection = connection;
    this.#permit = permit;
    this.#upstream = new Upstream(
      connection,
      (chunk) => this.#take(chunk),
      () => this.#end(this.#lost()),
    );
    this.#upstream.resume();
  }

  /** Rejects as connectUpstream does. */
  static async open(options: ConnectOptions): Promise<QueryConnection> {
    return new QueryConnection(await connectUpstream(options), options.permit);
  }

  get usable(): boolean {
    return this.#over === undefined;
  }

  /**
   * Runs SQL text of our own over the simple protocol; returns the rows of all its statements. Rejects with Refusal
   * UPSTREAM_UNAVAILABLE (the server said no, hung up or was too slow) or PeerError, and the connection is over then.
   */
  async run(sql: string, timeoutMs: number): Promise<readonly Row[]> {
    if (this.#over !== undefined) throw this.#over;
    if (this.#pending !== undefined) throw new Error('the query before is still running');
    const timer = setTimeout(() => this.#end(this.#unavailable(`no answer within ${timeoutMs} ms`)), timeoutMs);
    try {
      return await new Promise<readonly Row[]>((resolve, reject) => {
        this.#pending = { rows: [], columns: 0, bytes: 0, failure: undefined, resolve, reject };
        this.#upstream.housekeeping(this.#permit, query(sql));
      });
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#over ??= this.#lost();
    this.#upstream.end(this.#permit);
  }

  #take(chunk: Buffer): void {
    if (this.#over !== undefined) return;
    try {
      this.#reader.feed(chunk);
      while (this.#reader.next() !== Found.Nothing) this.#message();
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #message(): void {
    const { type, buffer, start, end } = this.#reader;
    const pending = this.#pending;
    if (type === Server.NoticeResponse || type === Server.ParameterStatus || type === Server.NotificationResponse)
      return;
    if (type === Server.ErrorResponse) {
      const { sqlstate, message } = parseReport(buffer, start, end);
      const failure = this.#unavailable(`${message.replace(/[\p{C}\s]+/gu, ' ').slice(0, 200)} (${sqlstate})`);
      if (pending === undefined) throw failure;
      pending.failure = failure;
      return;
    }
    if (pending === undefined) throw new PeerError('UPSTREAM_PROTOCOL', 'the server answers what was not asked');
    switch (type) {
      case Server.RowDescription:
        pending.columns = parseRowDescription(buffer, start, end).length;
        return;
      case Server.DataRow:
        pending.bytes += end - start;
        if (pending.bytes > mostBytes)
          throw new PeerError('UPSTREAM_PROTOCOL', 'the server answers a small question with too much');
        pending.rows.push(readRow(buffer, start, end, pending.columns));
        return;
      case Server.CommandComplete:
      case Server.EmptyQueryResponse:
        pending.columns = 0;
        return;
      case Server.ReadyForQuery:
        parseReadyForQuery(buffer, start, end);
        this.#pending = undefined;
        if (pending.failure === undefined) pending.resolve(pending.rows);
        else {
          pending.reject(pending.failure);
          this.close();
        }
        return;
      default:
        throw new PeerError('UPSTREAM_PROTOCOL', 'the server answers a query with something that is no answer');
    }
  }

  #end(error: Error): void {
    const pending = this.#pending;
    this.#over ??= error;
    this.#pending = undefined;
    this.#upstream.destroy();
    pending?.reject(pending.failure ?? error);
  }

  #lost(): Refusal {
    return this.#unavailable('the connection is over');
  }

  #unavailable(why: string): Refusal {
    const { address } = this.connection.target.settings;
    return new Refusal('UPSTREAM_UNAVAILABLE', `the database at ${formatAddress(address)} could not be asked: ${why}`);
  }
}

function readRow(buffer: Buffer, start: number, end: number, columns: number): Row {
  const values = parseDataRow(buffer, start, end);
  if (values.length !== columns || columns === 0)
    throw new PeerError('UPSTREAM_PROTOCOL', `row has ${values.length} values, its description has ${columns}`);
  return values.map((value) => (value === null ? null : value.toString('utf8')));
}
