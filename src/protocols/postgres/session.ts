import type { Socket } from 'node:net';
import type { Permit } from '../../audit/permit.ts';
import type { Limits, Line } from '../../gateway/protocol.ts';
import { PeerError, Refusal } from '../../model/errors.ts';
import { ClientWriter } from './client-writer.ts';
import {
  Client,
  clientCaps,
  describe,
  type Field,
  Found,
  formatOf,
  MessageReader,
  parseBind,
  parseEmpty,
  parseExecute,
  parseFunctionCall,
  parse as parseMessage,
  parseNamed,
  parseParse,
  parseQuery,
  query as queryMessage,
  readyForQuery,
  type TransactionStatus,
} from './codec.ts';
import { Outbox } from './outbox.ts';
import { planFor } from './plan.ts';
import { Names, type Portal, type Statement } from './prepared.ts';
import { refusalReport } from './refusals.ts';
import { Replies } from './replies.ts';
import { StatementExchange, type StatementRoute } from './statement-exchange.ts';
import type { TargetState } from './target-state.ts';
import { resolveExecute, type Understood, unread } from './understand.ts';
import type { Run, Unit } from './units.ts';
import type { Upstream } from './upstream.ts';

/** More messages than this on their way and the client has to wait. */
const maxInFlight = 4096;
/** Prepared statements and portals a client may keep open. */
const maxNames = 20_000;

/** The client is gone, or going: there is nobody to tell. */
export class HungUp extends Error {}

/** What a pipeline has collected before an Execute, a Sync or a Flush sends it on. */
interface Prelude {
  bytes: Buffer[];
  units: Unit[];
  /** The first statement it parses: what its permit is asked for when nothing is executed. */
  parsed: Statement | undefined;
  portals: Set<Portal>;
}

/**
 * One logged-in client and its server. Decodes what the client sends, in order, into commands and housekeeping; commands go
 * down the line, housekeeping goes after them; both leave in the order they came (outbox.ts). What the server sends is
 * matched to them by `Replies`.
 */
export class PostgresSession {
  readonly #line: Line;
  readonly #target: TargetState;
  readonly #upstream: Upstream;
  readonly #client: ClientWriter;
  readonly #reader: MessageReader;
  readonly #replies: Replies;
  readonly #outbox = new Outbox();
  readonly #statements = new Names<Statement>();
  readonly #portals = new Names<Portal>();
  /** SQL-level PREPARE: name → what it runs. */
  readonly #sqlPrepared = new Map<string, { readonly understood: Understood; readonly text: string }>();
  /** Relations that this session made. */
  readonly #created = new Set<string>();
  #changedSchema = false;
  #prelude: Prelude = emptyPrelude();
  /** Counts Syncs: a pipeline is a period. */
  #period = 0;
  #status: TransactionStatus = 'I';
  /** Nothing has been sent that a Sync or ReadyForQuery has not closed. */
  #sinceSync = 0;
  #cancelled = new AbortController();
  #copyIn = false;
  /** An error of our own in the extended protocol: what was decoded before its Sync is not sent. */
  #refusing = false;
  #stalled: Promise<void> | undefined;
  #chunks: Buffer[] = [];
  #corked = false;
  readonly #end: (reason: Error) => void;

  constructor(
    socket: Socket,
    line: Line,
    limits: Limits,
    target: TargetState,
    upstream: Upstream,
    end: (reason: Error) => void,
  ) {
    this.#line = line;
    this.#target = target;
    this.#upstream = upstream;
    this.#end = end;
    this.#reader = new MessageReader('client', clientCaps(limits.commandBytes));
    this.#client = new ClientWriter(
      socket,
      () => upstream.pause(),
      () => upstream.resume(),
    );
    this.#replies = new Replies({
      toClient: (bytes) => this.#client.push(bytes),
      wait: (until) => this.#client.waitFor(until),
      plan: (fields, run) => this.#plan(fields, run),
      withhold: (run, refusal) => this.#withhold(run, refusal),
      ready: (status) => this.#ready(status),
      failed: (period) => this.#failed(period),
      copyIn: (active) => this.#setCopyIn(active),
      drifted: (name, value) =>
        this.#end(
          new Refusal(
            'UNSUPPORTED',
            `${name} was changed to ${JSON.stringify(value)}; statements are only understood with UTF8 and standard_conforming_strings on`,
          ),
        ),
    });
  }

  /** Bytes from the client. Returns false when no more should be read until `onReadable` of the constructor's caller runs again. */
  fromClient(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    return this.#decode();
  }

  fromServer(chunk: Buffer): void {
    this.#replies.feed(chunk);
    this.#client.flush();
  }

  /** A cancel request for this session: ends a wait for approval, or is passed on. Returns true when the server has to be told. */
  cancel(): boolean {
    // Whatever waits for a person listens to this; what runs at the server is the server's to cancel.
    this.#cancelled.abort(new Refusal('SESSION_ENDED', 'cancelled by the client'));
    this.#cancelled = new AbortController();
    return this.#replies.units.size > 0;
  }

  /** Runs when the client may be read again. */
  onReadable: () => void = () => undefined;

  get atBoundary(): boolean {
    return this.#reader.atBoundary && this.#chunks.length === 0;
  }

  abandon(): void {
    this.#cancelled.abort(new Refusal('SESSION_ENDED', 'the session ended'));
    this.#replies.abandon();
  }

  /** A last word to the client. */
  say(bytes: Buffer): void {
    this.#client.push(bytes);
    this.#client.flush();
  }

  #decode(): boolean {
    while (this.#stalled === undefined && !this.#full()) {
      const stale = this.#target.freshen();
      if (stale !== undefined) {
        // The target's schema is being read again; nothing is decided on what may be out of date.
        this.#stall(stale);
        break;
      }
      const found = this.#reader.next();
      if (found === Found.Nothing) {
        const chunk = this.#chunks.shift();
        if (chunk === undefined) break;
        this.#reader.feed(chunk);
        continue;
      }
      const { type, buffer, start, end } = this.#reader;
      if (found === Found.Message) this.#message(type, buffer, start, end);
      else this.#copyBytes(buffer.subarray(start, end));
    }
    this.#client.flush();
    if (this.#upstream.connection.socket.writableNeedDrain) void this.#upstream.drained().then(() => this.#resume());
    return this.#stalled === undefined && !this.#full();
  }

  #full(): boolean {
    return (
      this.#replies.units.size + this.#outbox.size > maxInFlight || this.#upstream.connection.socket.writableNeedDrain
    );
  }

  /** Goes on decoding when what it waited for is over. */
  #resume(): void {
    if (this.#decode()) this.onReadable();
  }

  #stall(until: Promise<void>): void {
    const stalled: Promise<void> = until.then(
      () => this.#unstall(stalled),
      (error: unknown) => this.#end(error instanceof Error ? error : new Error(String(error))),
    );
    this.#stalled = stalled;
  }

  #unstall(stalled: Promise<void>): void {
    if (this.#stalled !== stalled) return;
    this.#stalled = undefined;
    try {
      this.#resume();
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #message(type: number, buffer: Buffer, start: number, end: number): void {
    if (this.#copyIn) {
      this.#copyMessage(type, buffer, start, end);
      return;
    }
    switch (type) {
      case Client.Query:
        this.#query(buffer, start, end);
        return;
      case Client.Parse:
        this.#parse(buffer, start, end);
        return;
      case Client.Bind:
        this.#bind(buffer, start, end);
        return;
      case Client.Describe:
        this.#describe(buffer, start, end);
        return;
      case Client.Execute:
        this.#execute(buffer, start, end);
        return;
      case Client.Close:
        this.#close(buffer, start, end);
        return;
      case Client.Sync:
      case Client.Flush:
        parseEmpty(buffer, start, end);
        this.#boundary(type === Client.Sync, buffer.subarray(start, end));
        return;
      case Client.FunctionCall:
        this.#call(buffer, start, end);
        return;
      case Client.Terminate:
        this.#end(new HungUp('the client said goodbye'));
        return;
      case Client.CopyData:
      case Client.CopyDone:
      case Client.CopyFail:
        return; // Left over from a COPY that failed; the server ignores it too (PostgreSQL manual, “COPY Operations”).
      default:
        throw new PeerError('CLIENT_PROTOCOL', `a message of type “${String.fromCharCode(type)}” is out of order`);
    }
  }

  // ---- simple query

  #query(buffer: Buffer, start: number, end: number): void {
    const text = parseQuery(buffer, start, end);
    const bytes = buffer.subarray(start, end);
    const period = ++this.#period;
    // A simple query ends whatever pipeline was open; what it collected goes first.
    if (this.#prelude.bytes.length > 0) this.#boundary(false, undefined);
    const meaning = this.#understand(text);
    if (meaning instanceof Refusal) {
      this.#refuseUnread(text, meaning, true);
      return;
    }
    const { understood, scope } = meaning;
    if (this.#doubts(understood, () => this.#query(buffer, start, end))) return;
    this.#run(understood, text, undefined, scope, {
      simple: true,
      prepareOnly: false,
      period,
      columns: undefined,
      write: (permit, run) => this.#sendCommand(permit, [bytes], [{ kind: 'query', run }]),
    });
    if (understood.copyIn) this.#stallForCopy();
  }

  // ---- extended query

  #parse(buffer: Buffer, start: number, end: number): void {
    const { statement: name, text, parameterTypes } = parseParse(buffer, start, end);
    const meaning = this.#understand(text);
    if (meaning instanceof Refusal) {
      this.#boundary(false, undefined);
      this.#refuseUnread(text, meaning, false);
      return;
    }
    const { understood, scope } = meaning;
    if (this.#doubts(understood, () => this.#parse(buffer, start, end))) return;
    // A pipeline may parse several statements before it executes any: each is decided on.
    if (this.#prelude.parsed !== undefined) this.#boundary(false, undefined);
    const statement: Statement = {
      kind: 'statement',
      name,
      text,
      parameterTypes,
      understood,
      scope,
      fields: undefined,
    };
    this.#limitNames();
    this.#statements.propose(name, statement, this.#period);
    this.#prelude.parsed = statement;
    this.#collect(buffer.subarray(start, end), {
      kind: 'parse',
      confirm: () => {
        this.#statements.confirm(name, statement);
        this.#sqlPrepared.delete(name); // One name, one statement: the server would have refused a second one.
      },
    });
  }

  #bind(buffer: Buffer, start: number, end: number): void {
    const message = parseBind(buffer, start, end);
    const statement = this.#statements.get(message.statement);
    if (statement === undefined) {
      this.#unknown('prepared statement', message.statement);
      return;
    }
    const { portal: name, parameters, resultFormats } = message;
    const portal: Portal = {
      kind: 'portal',
      name,
      statement,
      parameters,
      resultFormats,
      fields: undefined,
      suspended: false,
    };
    this.#limitNames();
    this.#portals.propose(name, portal, this.#period);
    this.#prelude.portals.add(portal);
    this.#collect(buffer.subarray(start, end), { kind: 'bind', confirm: () => this.#portals.confirm(name, portal) });
  }

  #describe(buffer: Buffer, start: number, end: number): void {
    const { kind, name } = parseNamed(buffer, start, end);
    const of = kind === 'statement' ? this.#statements.get(name) : this.#portals.get(name);
    if (of === undefined) {
      this.#unknown(kind === 'statement' ? 'prepared statement' : 'portal', name);
      return;
    }
    this.#collect(buffer.subarray(start, end), { kind: 'describe', of, hidden: false });
  }

  #close(buffer: Buffer, start: number, end: number): void {
    const { kind, name } = parseNamed(buffer, start, end);
    this.#collect(buffer.subarray(start, end), { kind: 'close' });
    // The name stays known here until it is defined anew: the server refuses it in between, which is safe.
    if (kind === 'portal') this.#portals.forget(name);
    else if (name !== '') this.#statements.forget(name);
  }

  #execute(buffer: Buffer, start: number, end: number): void {
    const { portal: name } = parseExecute(buffer, start, end);
    const portal = this.#portals.get(name);
    if (portal === undefined) {
      this.#unknown('portal', name);
      return;
    }
    const { statement } = portal;
    const prelude = this.#takePrelude();
    const bytes = [...prelude.bytes];
    const units = [...prelude.units];
    const fields =
      portal.fields ?? statement.fields?.map((field, i) => ({ ...field, format: formatOf(portal.resultFormats, i) }));
    const describes = units.some((unit) => unit.kind === 'describe' && unit.of === portal);
    if (statement.understood.touches && fields === undefined && !describes) {
      bytes.push(describe('portal', name));
      units.push({ kind: 'describe', of: portal, hidden: true });
    }
    bytes.push(buffer.subarray(start, end));
    this.#run(statement.understood, statement.text, portal.parameters, scopeOf(statement, portal), {
      simple: false,
      // Going on with a portal that was suspended by its row limit: the decision was made when it began.
      prepareOnly: portal.suspended,
      period: this.#period,
      columns: describes ? undefined : fields?.map((field) => field.name),
      write: (permit, run) => {
        if (fields !== undefined && statement.understood.touches) this.#adopt(run, fields);
        portal.suspended = true;
        this.#sendCommand(permit, bytes, [...units, { kind: 'execute', run }]);
      },
    });
    if (statement.understood.copyIn) this.#stallForCopy();
  }

  /** Sync or Flush: what was collected goes on, then this. */
  #boundary(isSync: boolean, bytes: Buffer | undefined): void {
    const prelude = this.#takePrelude();
    const period = isSync ? this.#period++ : this.#period;
    if (prelude.parsed !== undefined) {
      const { understood, text } = prelude.parsed;
      this.#run(understood, text, undefined, undefined, {
        simple: false,
        prepareOnly: true,
        period,
        columns: undefined,
        write: (permit, run) => {
          this.#sendCommand(permit, prelude.bytes, prelude.units);
          run.ended = true;
          run.reply.end({ status: 'ok' });
        },
      });
    } else if (prelude.bytes.length > 0) {
      this.#outbox.add(() => this.#housekeeping(prelude.bytes, prelude.units));
    }
    if (bytes === undefined) return;
    this.#outbox.add(() => {
      if (isSync) {
        this.#housekeeping([bytes], [{ kind: 'sync', period }], true);
        this.#refusing = false;
      } else this.#housekeeping([bytes], []);
    });
  }

  #collect(bytes: Buffer, unit: Unit): void {
    this.#prelude.bytes.push(bytes);
    this.#prelude.units.push(unit);
  }

  #takePrelude(): Prelude {
    const prelude = this.#prelude;
    this.#prelude = emptyPrelude();
    return prelude;
  }

  #unknown(what: string, name: string): void {
    const refusal = new Refusal('UNSUPPORTED', `${what} ${JSON.stringify(name)} is not known to the gateway`, {
      advice:
        what === 'portal'
          ? 'use FETCH for cursors that were declared in SQL'
          : 'prepare it with a Parse message, or use EXECUTE',
    });
    this.#boundary(false, undefined);
    this.#refuseUnread('', refusal, false);
  }

  #limitNames(): void {
    if (this.#statements.size + this.#portals.size > maxNames) {
      throw new PeerError('CLIENT_PROTOCOL', `more than ${maxNames} prepared statements and portals are open`);
    }
  }

  // ---- fast-path function calls

  #call(buffer: Buffer, start: number, end: number): void {
    const { oid, parameters } = parseFunctionCall(buffer, start, end);
    const bytes = buffer.subarray(start, end);
    const understood = this.#target.functionCall(oid);
    this.#run(understood, `FUNCTION CALL ${oid}`, parameters, undefined, {
      simple: true,
      prepareOnly: false,
      period: ++this.#period,
      columns: undefined,
      write: (permit, run) => this.#sendCommand(permit, [bytes], [{ kind: 'call', run }]),
    });
  }

  // ---- COPY FROM STDIN

  /** Until the server says whether it takes the data, the client's next bytes cannot be told apart from ordinary messages. */
  #stallForCopy(): void {
    if (this.#copyIn) return;
    this.#stall(
      new Promise((resolve) => {
        this.#copyDecided = resolve;
      }),
    );
  }

  #copyDecided: (() => void) | undefined;
  /** Of the last command sent: a COPY's data belongs to it. */
  #copyPermit: Permit | undefined;

  #setCopyIn(active: boolean): void {
    this.#copyIn = active;
    const decided = this.#copyDecided;
    this.#copyDecided = undefined;
    decided?.();
  }

  #copyMessage(type: number, buffer: Buffer, start: number, end: number): void {
    switch (type) {
      case Client.CopyDone:
      case Client.CopyFail:
        this.#copyIn = false;
        this.#upstream.more(this.#copyPermit!, buffer.subarray(start, end));
        return;
      case Client.CopyData:
        this.#copyBytes(buffer.subarray(start, end));
        return;
      case Client.Terminate:
        this.#end(new HungUp('the client said goodbye'));
        return;
      case Client.Sync:
      case Client.Flush:
        return; // Ignored during COPY (PostgreSQL manual, “COPY Operations”).
      default:
        throw new PeerError('CLIENT_PROTOCOL', 'only copy data may be sent during COPY FROM STDIN');
    }
  }

  /** Data of a COPY that the line has let through. */
  #copyBytes(bytes: Buffer): void {
    if (this.#copyIn) this.#upstream.more(this.#copyPermit!, bytes);
  }

  // ---- the line

  #understand(text: string): { readonly understood: Understood; readonly scope?: string } | Refusal {
    try {
      return resolveExecute(
        this.#target.understand(text),
        (name) => this.#sqlPrepared.get(name) ?? this.#statements.get(name),
      );
    } catch (error) {
      if (error instanceof Refusal) return error;
      throw error;
    }
  }

  /** What cannot be followed may be about a schema that has just changed: look again before saying no. True when `again` runs later. */
  #doubts(understood: Understood, again: () => void): boolean {
    if (!understood.doubtful || !this.#target.mayBeOld) return false;
    this.#target.stale();
    const fresh = this.#target.freshen();
    if (fresh === undefined) return false;
    this.#stall(fresh.then(again));
    return true;
  }

  #run(
    understood: Understood,
    text: string,
    parameters: readonly (string | null)[] | undefined,
    scope: string | undefined,
    way: Way,
  ): void {
    const place = this.#outbox.reserve();
    const { classified } = understood;
    const command = {
      classified,
      text,
      ...(parameters === undefined ? {} : { parameters }),
      ...(scope === undefined ? {} : { scope }),
    };
    const route: StatementRoute = {
      command,
      prepareOnly: way.prepareOnly,
      mayWait: this.#status === 'I' && this.#sinceSync === 0 && this.#outbox.size === 1,
      cancelled: this.#cancelled.signal,
      columns: way.columns,
      needsPlan: understood.touches,
      touches: understood.touches,
      ...(way.refusal === undefined ? {} : { refusal: way.refusal }),
      maskable: (obligations) => understood.maskable(obligations, this.#created),
      send: (permit, run) => place.fill(() => way.write(permit, run)),
      refuse: (refusal, permit) => place.fill(() => this.#refuse(refusal, permit, way)),
      toClient: (bytes) => {
        this.#client.push(bytes);
        this.#client.flushSoon();
      },
      withhold: (run, refusal) => this.#withhold(run, refusal),
      done: (run) => this.#done(understood, text, run),
    };
    const held = this.#line.run(new StatementExchange(route));
    if (held !== undefined) this.#stall(held);
  }

  /** A refusal that no decision was needed for: what was sent is not a command the gateway understands. Recorded like any other. */
  #refuseUnread(text: string, refusal: Refusal, simple: boolean): void {
    this.#run(unread, text, undefined, undefined, {
      refusal,
      simple,
      prepareOnly: false,
      period: this.#period,
      columns: undefined,
      write: () => {
        throw new Error('a command that was not understood was let through');
      },
    });
  }

  /**
   * Answers with a refusal as if the server had. Where the server has something open for this client (a transaction, a pipeline),
   * it is sent a statement that fails, so that its state is exactly what it would be after an error of its own.
   */
  #refuse(refusal: Refusal, permit: Permit, way: Way): void {
    if (this.#copyDecided !== undefined) this.#setCopyIn(false);
    if (this.#replies.skipping || this.#refusing) return; // Already failed: the client is owed nothing before its Sync.
    const report = refusalReport(refusal);
    const idle = this.#replies.units.size === 0 && this.#sinceSync === 0 && this.#status === 'I';
    const cause = `SALLYPORT refused this command (${refusal.code})`;
    if (way.simple) {
      if (idle) this.#replies.push({ kind: 'local', bytes: Buffer.concat([report, readyForQuery('I')]) });
      else this.#sendCommand(permit, [queryMessage(cause)], [{ kind: 'poison', report, simple: true, failed: false }]);
    } else {
      this.#refusing = true;
      if (idle) this.#replies.push({ kind: 'local', bytes: report });
      else
        this.#sendCommand(
          permit,
          [parseMessage('', cause)],
          [{ kind: 'poison', report, simple: false, failed: false }],
        );
      this.#failed(way.period);
    }
    this.#client.flushSoon();
  }

  #sendCommand(permit: Permit, bytes: readonly Buffer[], units: readonly Unit[]): void {
    const poison = units[0]?.kind === 'poison';
    if (!poison && (this.#refusing || this.#replies.skipping)) {
      for (const unit of units) if ('run' in unit) cancel(unit.run);
      return;
    }
    for (const unit of units) this.#replies.push(unit);
    this.#sinceSync += 1;
    this.#copyPermit = permit;
    this.#cork();
    this.#upstream.send(permit, bytes.length === 1 ? bytes[0]! : Buffer.concat(bytes));
  }

  #housekeeping(bytes: readonly Buffer[], units: readonly Unit[], isSync = false): void {
    if (!isSync && (this.#refusing || this.#replies.skipping)) return;
    for (const unit of units) this.#replies.push(unit);
    this.#sinceSync += 1;
    this.#cork();
    this.#upstream.housekeeping(this.#line.permit, bytes.length === 1 ? bytes[0]! : Buffer.concat(bytes));
  }

  /** What one turn sends leaves in one write. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    const { socket } = this.#upstream.connection;
    socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      socket.uncork();
    });
  }

  // ---- what the server's answers mean here

  #plan(fields: readonly Field[], run: Run) {
    const { origins } = this.#target;
    return origins === undefined ? undefined : planFor(fields, origins, run.method);
  }

  #adopt(run: Run, fields: readonly Field[]): void {
    try {
      run.plan = this.#plan(fields, run);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#withhold(run, error);
    }
  }

  #withhold(run: Run, refusal: Refusal): void {
    if (run.withheld !== undefined) return;
    run.withheld = refusalReport(refusal);
    run.status = 'error';
    run.errorCode = refusal.code;
  }

  #ready(status: TransactionStatus): void {
    this.#status = status;
    if (this.#replies.units.size === 0) this.#sinceSync = 0;
    if (status === 'I' && this.#changedSchema) {
      // What a transaction changed shows when it ends.
      this.#changedSchema = false;
      this.#target.stale();
    }
    if (!this.#full() && this.#chunks.length > 0 && this.#stalled === undefined) this.#resume();
    else if (this.#stalled === undefined) this.onReadable();
  }

  #failed(period: number): void {
    this.#statements.fail(period);
    this.#portals.fail(period);
  }

  #done(understood: Understood, text: string, run: Run): void {
    if (understood.changesSchema) {
      this.#changedSchema = true;
      this.#target.stale();
    }
    if (run.status !== 'ok') return;
    for (const name of understood.creates) this.#created.add(name);
    for (const name of understood.prepares) {
      this.#sqlPrepared.set(name, { understood, text });
      this.#statements.forget(name);
    }
  }
}

/** How a command goes on once it is allowed, and what it looks like to the client when it is not. */
interface Way {
  readonly simple: boolean;
  readonly prepareOnly: boolean;
  readonly period: number;
  readonly columns: readonly string[] | undefined;
  /** Set where there is nothing to decide. */
  readonly refusal?: Refusal;
  write(permit: Permit, run: Run): void;
}

function emptyPrelude(): Prelude {
  return { bytes: [], units: [], parsed: undefined, portals: new Set() };
}

/** Two executions are the same command only if the values mean the same: types and result formats are part of an approval. */
function scopeOf(statement: Statement, portal: Portal): string {
  return `types=${statement.parameterTypes.join(',')};results=${portal.resultFormats.join(',')};${statement.scope ?? ''}`;
}

function cancel(run: Run): void {
  if (run.ended) return;
  run.ended = true;
  run.reply.end({ status: 'cancelled', errorCode: 'skipped' });
}
