import { PeerError, Refusal } from '../../model/errors.ts';
import type { Aside } from './certify/ask.ts';
import {
  errorResponse,
  Found,
  MessageReader,
  noticeResponse,
  parseParameterStatus,
  parseReadyForQuery,
  parseReport,
  Server,
  type ServerReport,
  serverCaps,
  type TransactionStatus,
} from './codec.ts';
import type { Plan } from './rows.ts';
import { Queue, type Run, type Unit } from './units.ts';

/** What the server side tells the session. */
export interface ReplyEvents {
  /** Bytes for the client, in order. */
  toClient(bytes: Buffer): void;
  /** The source must pause until the promise resolves. */
  wait(until: Promise<void>): void;
  /** What rows of this description (the whole message) may show; throws Refusal MASK_IMPOSSIBLE. */
  plan(description: Buffer, run: Run): Plan;
  withhold(run: Run, refusal: Refusal): void;
  ready(status: TransactionStatus): void;
  /** A pipeline failed: everything up to its Sync was skipped by the server. */
  failed(period: number): void;
  /** The server takes the data of this command's COPY FROM STDIN. */
  copyIn(run: Run): void;
  /** The client sees these bytes, and they belong to no command's reply. */
  shown(bytes: Buffer): void;
  /** A setting that statements are read by has changed at the server. */
  drifted(name: string, value: string): void;
  /** The search_path has changed at the server; PostgreSQL 18 and newer tell. */
  moved(): void;
}

/** Messages outside a command's reply that tell the client something: errors, notices, notifications, descriptions. */
const telling: ReadonlySet<number> = new Set([
  Server.ErrorResponse,
  Server.NoticeResponse,
  Server.NotificationResponse,
  Server.RowDescription,
]);

const settled = { N: Server.NoticeResponse, A: Server.NotificationResponse, S: Server.ParameterStatus };

/**
 * The server's half of a session: takes what it sends, knows by the queue of units what each message answers, and passes
 * batches of frames to the exchange they belong to. A message that fits nothing is a PeerError: the server is not trusted.
 */
export class Replies {
  readonly units = new Queue<Unit>();
  readonly #reader = new MessageReader('server', serverCaps);
  readonly #events: ReplyEvents;
  /** The batch being collected: `#batch[#from..#to)` of the first unit's run. */
  #batch: Buffer | undefined;
  #from = 0;
  #to = 0;
  #rows = 0;
  /** An error in the extended protocol, and the Sync that ends it has not been sent: nothing is answered before. */
  #skipping = false;
  /** A reply was withheld in the extended protocol: nothing more is shown before its Sync's ReadyForQuery. */
  #muted = false;
  #large: Run | undefined;
  /**
   * A command of this transaction touched classified data. What the server checks when the transaction ends (deferred constraints,
   * their triggers) may quote values of it, whatever command or Sync ends it.
   */
  #near = false;
  /** A question of the gateway's own failed, and its settings hold until the transaction ends: the server says more than the client wants. */
  #hushed = false;
  /** CopyOutResponse came, and CopyDone has not. */
  #copyingOut = false;

  constructor(events: ReplyEvents) {
    this.#events = events;
  }

  push(unit: Unit): void {
    if (this.#skipping && unit.kind !== 'sync') {
      skip(unit);
      return;
    }
    this.units.push(unit);
    if (unit.kind === 'local') this.#locals();
    if (this.#skipping && unit.kind === 'sync') {
      this.#skipping = false;
      this.#events.failed(unit.period);
    }
  }

  feed(chunk: Buffer): void {
    const reader = this.#reader;
    reader.feed(chunk);
    for (let found = reader.next(); found !== Found.Nothing; found = reader.next()) {
      if (found === Found.Message) this.#message(reader.type, reader.buffer, reader.start, reader.end);
      else this.#piece(found, reader.type, reader.buffer, reader.start, reader.end);
    }
    this.#flush();
  }

  /** The server is gone: whatever was on its way ends as unknown. */
  abandon(): void {
    for (let unit = this.units.shift(); unit !== undefined; unit = this.units.shift()) {
      if ('run' in unit) finish(unit.run, 'unknown');
      else if (unit.kind === 'aside') unit.aside.lost();
    }
  }

  #message(type: number, buffer: Buffer, start: number, end: number): void {
    const first = this.units.first;
    if (first?.kind === 'aside' && type !== settled.A && type !== settled.S) {
      this.#between(first.aside, type, buffer, start, end);
      return;
    }
    if (type === Server.DataRow || type === Server.CopyData) {
      this.#owner(type);
      this.#frame(buffer, start, end, 1);
      return;
    }
    const unit = this.units.first;
    if (type === settled.N || type === settled.A || type === settled.S) {
      this.#aside(type, buffer, start, end);
      return;
    }
    if (unit === undefined) {
      // A server that shuts down says so before it hangs up, whether asked or not.
      if (type === Server.ErrorResponse) this.#emit(this.#report(buffer, start, end, true));
      else throw unexpected(type);
      return;
    }
    this.#step(unit, type, buffer, start, end);
  }

  /** Something that the gateway asked by itself. */
  #between(aside: Aside, type: number, buffer: Buffer, start: number, end: number): void {
    this.#flush();
    if (type === Server.NoticeResponse) {
      aside.notice(parseReport(buffer, start, end));
      return;
    }
    if (type === Server.ReadyForQuery) {
      const status = parseReadyForQuery(buffer, start, end);
      this.#hushed = status === 'E';
      this.units.shift();
      this.#events.ready(status);
      if (!aside.message(type, buffer, start, end)) throw unexpected(type);
      this.#locals();
    } else if (aside.message(type, buffer, start, end)) throw unexpected(type);
  }

  /** The command that a row or a line of copied data belongs to: one that may be answered with it. */
  #owner(type: number): Run {
    const unit = this.units.first;
    if (unit === undefined || !('run' in unit)) throw unexpected(type);
    const { run } = unit;
    const described = !run.needsPlan || run.plan !== undefined || run.withheld !== undefined;
    if (type === Server.CopyData ? !this.#copyingOut : !described) throw unexpected(type);
    return run;
  }

  #step(unit: Unit, type: number, buffer: Buffer, start: number, end: number): void {
    if (type === Server.ErrorResponse) {
      this.#error(unit, buffer, start, end);
      return;
    }
    switch (unit.kind) {
      case 'parse':
      case 'bind':
        if (type !== (unit.kind === 'parse' ? Server.ParseComplete : Server.BindComplete)) throw unexpected(type);
        unit.confirm();
        this.#passOn(buffer, start, end);
        return;
      case 'close':
        if (type !== Server.CloseComplete) throw unexpected(type);
        unit.confirm();
        this.#passOn(buffer, start, end);
        return;
      case 'describe':
        this.#described(unit, type, buffer, start, end);
        return;
      case 'execute':
        this.#executing(unit.run, type, buffer, start, end);
        return;
      case 'query':
      case 'call':
        this.#querying(unit, type, buffer, start, end);
        return;
      case 'sync':
      case 'poison':
        if (type !== Server.ReadyForQuery || (unit.kind === 'poison' && !(unit.simple && unit.failed)))
          throw unexpected(type);
        this.#ready(buffer, start, end);
        return;
      case 'local':
      case 'aside':
        throw unexpected(type);
    }
  }

  #described(unit: Unit & { kind: 'describe' }, type: number, buffer: Buffer, start: number, end: number): void {
    if (type === Server.ParameterDescription && unit.of.kind === 'statement') {
      if (!unit.hidden) this.#emit(buffer.subarray(start, end));
      return;
    }
    if (type === Server.RowDescription) unit.of.description = Buffer.from(buffer.subarray(start, end));
    else if (type !== Server.NoData) throw unexpected(type);
    this.units.shift();
    if (!unit.hidden) this.#emit(buffer.subarray(start, end));
    const next = this.units.first;
    // Only what was asked of this portal directly before it runs says what its rows are.
    if (next?.kind === 'execute' && next.portal === unit.of && unit.of.description !== undefined)
      this.#adopt(next.run, unit.of.description);
    this.#locals();
  }

  /** Makes the plan for what follows; rows that cannot be masked are withheld. */
  #adopt(run: Run, description: Buffer): void {
    try {
      run.plan = this.#events.plan(description, run);
      if (run.plan.masked < run.carries) throw unmasked();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      run.plan = undefined;
      this.#events.withhold(run, error);
    }
  }

  #executing(run: Run, type: number, buffer: Buffer, start: number, end: number): void {
    switch (type) {
      case Server.CommandComplete:
      case Server.EmptyQueryResponse:
      case Server.PortalSuspended:
        this.#frame(buffer, start, end, 0);
        this.#flush();
        this.#conclude(run);
        this.units.shift();
        this.#locals();
        return;
      default:
        this.#copying(run, type, buffer, start, end);
    }
  }

  #querying(unit: Unit & { kind: 'query' | 'call' }, type: number, buffer: Buffer, start: number, end: number): void {
    const { run } = unit;
    switch (type) {
      case Server.RowDescription: {
        this.#flush();
        this.#adopt(run, buffer.subarray(start, end));
        this.#frame(buffer, start, end, 0);
        return;
      }
      case Server.CommandComplete:
      case Server.EmptyQueryResponse:
        this.#frame(buffer, start, end, 0);
        return;
      case Server.FunctionCallResponse:
        if (unit.kind !== 'call') throw unexpected(type);
        this.#frame(buffer, start, end, 0);
        return;
      case Server.ReadyForQuery:
        this.#flush();
        this.#conclude(run);
        this.#ready(buffer, start, end);
        return;
      default:
        this.#copying(run, type, buffer, start, end);
    }
  }

  #copying(run: Run, type: number, buffer: Buffer, start: number, end: number): void {
    if (type === Server.CopyInResponse && run.copyIn) this.#events.copyIn(run);
    else if (type === Server.CopyOutResponse && run.copyOut) this.#copyingOut = true;
    else if (type === Server.CopyDone && this.#copyingOut) this.#copyingOut = false;
    else throw unexpected(type);
    this.#frame(buffer, start, end, 0);
  }

  #error(unit: Unit, buffer: Buffer, start: number, end: number): void {
    this.#flush();
    if (unit.kind === 'local') throw unexpected(Server.ErrorResponse);
    if (unit.kind === 'poison') {
      if (!this.#muted) this.#events.toClient(unit.report);
      unit.failed = true;
      if (!unit.simple) this.#skipToSync();
      return;
    }
    this.#copyingOut = false;
    if ('run' in unit) {
      const { run } = unit;
      const report = parseReport(buffer, start, end);
      run.status = report.sqlstate === '57014' ? 'cancelled' : 'error';
      run.errorCode = report.sqlstate;
      this.#show(run, this.#report(buffer, start, end, run.touches || this.#near), 0);
      this.#conclude(run);
      if (unit.kind !== 'execute') return; // ReadyForQuery ends it
    } else {
      this.#emit(this.#report(buffer, start, end, this.#near));
    }
    if (unit.kind === 'sync') return; // an error while committing; ReadyForQuery follows
    this.#skipToSync();
  }

  /** The server answers nothing more before the next Sync, which may not have been sent yet. */
  #skipToSync(): void {
    for (let unit = this.units.first; unit !== undefined && unit.kind !== 'sync'; unit = this.units.first) {
      this.units.shift();
      skip(unit);
    }
    const sync = this.units.first;
    if (sync?.kind === 'sync') this.#events.failed(sync.period);
    else this.#skipping = true;
  }

  /** True while everything up to a Sync is to be ignored. */
  get skipping(): boolean {
    return this.#skipping;
  }

  #ready(buffer: Buffer, start: number, end: number): void {
    this.#muted = false;
    this.units.shift();
    const status = parseReadyForQuery(buffer, start, end);
    if (status === 'I') this.#near = this.#hushed = false;
    this.#events.ready(status);
    this.#emit(buffer.subarray(start, end));
    this.#locals();
  }

  #passOn(buffer: Buffer, start: number, end: number): void {
    this.units.shift();
    this.#emit(buffer.subarray(start, end));
    this.#locals();
  }

  /** The gateway's own answers go out when it is their turn. */
  #locals(): void {
    for (let unit = this.units.first; unit?.kind === 'local'; unit = this.units.first) {
      this.units.shift();
      if (!this.#muted) this.#events.toClient(unit.bytes); // Recorded as the refusal that it is.
    }
  }

  /** Adds a message to the batch; messages that are neighbours in a chunk are passed on as one piece. */
  #frame(buffer: Buffer, start: number, end: number, rows: number): void {
    if (this.#batch === buffer && this.#to === start) {
      this.#to = end;
    } else {
      this.#flush();
      this.#batch = buffer;
      this.#from = start;
      this.#to = end;
    }
    this.#rows += rows;
  }

  #flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    const unit = this.units.first;
    const rows = this.#rows;
    this.#rows = 0;
    if (unit === undefined || !('run' in unit)) throw unexpected(batch[this.#from]!);
    this.#show(unit.run, batch.subarray(this.#from, this.#to), rows);
  }

  #emit(bytes: Buffer): void {
    if (this.#muted) return;
    if (telling.has(bytes[0]!)) this.#events.shown(bytes);
    this.#events.toClient(bytes);
  }

  #show(run: Run, bytes: Buffer, rows: number, large = false): void {
    if (this.#muted || run.withheld !== undefined || run.ended) return;
    const until = run.reply.frames({ bytes, plan: run.plan, large }, rows);
    if (until !== undefined) this.#events.wait(until);
  }

  /** Header and pieces of a row or COPY line of more than 1 MiB: passed on as they come. */
  #piece(found: Found, type: number, buffer: Buffer, start: number, end: number): void {
    this.#flush();
    if (found === Found.LargeHeader) this.#large = this.#owner(type);
    const run = this.#large;
    if (run === undefined) throw unexpected(type);
    this.#show(run, buffer.subarray(start, end), found === Found.LargeHeader ? 1 : 0, true);
    if (found === Found.LargePiece && this.#reader.remaining === 0) this.#large = undefined;
  }

  /** The command's outcome is known; a withheld reply ends with the refusal in its place. */
  #conclude(run: Run): void {
    if (run.touches) this.#near = true;
    if (run.ended) return;
    if (run.withheld !== undefined) {
      this.#emit(run.withheld);
      this.#muted = this.units.first?.kind === 'execute';
    }
    finish(run, run.status);
  }

  /** Notices, notifications and settings come at any time. */
  #aside(type: number, buffer: Buffer, start: number, end: number): void {
    this.#flush();
    const unit = this.units.first;
    const run = unit !== undefined && 'run' in unit ? unit.run : undefined;
    if (type === Server.NoticeResponse) {
      if (this.#hushed && parseReport(buffer, start, end).severity === 'LOG') return;
      const notice = this.#report(buffer, start, end, run?.touches === true || this.#near);
      if (run === undefined) this.#emit(notice);
      else this.#show({ ...run, plan: undefined }, notice, 0);
      return;
    }
    if (type === Server.ParameterStatus) {
      const { name, value } = parseParameterStatus(buffer, start, end);
      if (name === 'client_encoding' ? value !== 'UTF8' : name === 'standard_conforming_strings' && value !== 'on')
        this.#events.drifted(name, value);
      if (name === 'search_path') this.#events.moved();
    }
    this.#emit(buffer.subarray(start, end));
  }

  /** An error or notice as the client may see it: where classified data was near, without what quotes values. */
  #report(buffer: Buffer, start: number, end: number, quoting: boolean): Buffer {
    return quoting
      ? withoutQuotes(parseReport(buffer, start, end), buffer[start] === Server.ErrorResponse)
      : buffer.subarray(start, end);
  }
}

/**
 * DETAIL, CONTEXT and the internal query may quote rows; the message itself may quote a value, so what is in quotes goes too. What
 * code inside the database says (a trigger's RAISE) may be made of values altogether; its reports come with a CONTEXT.
 */
export function withoutQuotes(report: ServerReport, isError: boolean): Buffer {
  const ownCode = /^(?!COPY )/.test(report.fields.get('W') ?? 'COPY ');
  const message = ownCode
    ? 'what code inside the database says here is withheld: it may quote classified values'
    : report.message.replaceAll(/"[^"]*[0-9@][^"]*"/g, '"…"');
  const hint = ownCode ? undefined : report.fields.get('H');
  const shown = {
    severity: severityOf(report),
    code: report.sqlstate,
    message,
    ...(hint === undefined ? {} : { hint }),
  };
  return isError ? errorResponse(shown) : noticeResponse(shown);
}

function severityOf(
  report: ServerReport,
): 'ERROR' | 'FATAL' | 'PANIC' | 'WARNING' | 'NOTICE' | 'INFO' | 'LOG' | 'DEBUG' {
  const known = ['ERROR', 'FATAL', 'PANIC', 'WARNING', 'NOTICE', 'INFO', 'LOG', 'DEBUG'] as const;
  return known.find((name) => name === report.severity) ?? 'ERROR';
}

/** What the server will not answer: it has skipped it. */
function skip(unit: Unit): void {
  if (unit.kind === 'aside') unit.aside.lost();
  if (!('run' in unit)) return;
  unit.run.errorCode ??= 'skipped';
  finish(unit.run, 'cancelled');
}

function finish(run: Run, status: Run['status']): void {
  if (run.ended) return;
  run.ended = true;
  run.reply.end({ status, ...(run.errorCode === undefined ? {} : { errorCode: run.errorCode }) });
  run.done?.(run);
}

function unmasked(): Refusal {
  return new Refusal('MASK_IMPOSSIBLE', 'the reply does not say where its classified columns are');
}

function unexpected(type: number): PeerError {
  return new PeerError(
    'UPSTREAM_PROTOCOL',
    `the server sent a message of type “${String.fromCharCode(type)}” where none was due`,
  );
}
