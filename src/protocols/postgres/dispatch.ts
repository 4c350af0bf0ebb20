import type { Permit } from '../../audit/permit.ts';
import type { Line, Reply } from '../../gateway/protocol.ts';
import type { Command } from '../../model/command.ts';
import type { Obligations } from '../../model/decision.ts';
import { Refusal } from '../../model/errors.ts';
import { AnalysisExchange } from './certify/analysis-exchange.ts';
import { type Analysed, type Aside, Ask } from './certify/ask.ts';
import { Certifier, type Sending } from './certify/certifier.ts';
import type { ClientWriter } from './client-writer.ts';
import {
  parse as parseMessage,
  query as queryMessage,
  readyForQuery,
  type ServerReport,
  type TransactionStatus,
} from './codec.ts';
import type { Meaning, Meanings } from './meanings.ts';
import { Outbox, type Place } from './outbox.ts';
import { Plans, Stranger } from './plan.ts';
import { refusalReport } from './refusals.ts';
import { Replies, withoutQuotes } from './replies.ts';
import type { Frames, Plan } from './rows.ts';
import { StatementExchange, type StatementRoute } from './statement-exchange.ts';
import type { TargetState } from './target-state.ts';
import { type Understood, unread } from './understand.ts';
import type { Run, Unit } from './units.ts';
import type { Upstream } from './upstream.ts';

/** A command as it was asked for. */
export interface Asked {
  readonly meaning: Meaning;
  readonly text: string;
  readonly parameters?: readonly (string | null)[];
  readonly scope?: string;
}

/** How a command goes on once it is allowed, and what it looks like to the client when it is not. */
export interface Way {
  /** Simple protocol: ReadyForQuery follows an error. Otherwise everything up to Sync is skipped. */
  readonly simple: boolean;
  readonly prepareOnly: boolean;
  readonly period: number;
  /** Column names where the reply will not bring them. */
  readonly columns: readonly string[] | undefined;
  /** Set where there is nothing to decide. */
  readonly refusal?: Refusal;
  /** Nothing is executed, only analysed: a Parse without an Execute. */
  readonly analysesOnly?: boolean;
  /** Types that the client gave to parameters. */
  readonly parameterTypes?: readonly number[];
  /** Told what will be sent in place of the client's text; may refuse, where it is too late for that. */
  takes?(instead: string | undefined): Refusal | undefined;
  /** Runs when the command is over: answered, refused or skipped. */
  readonly settled?: () => void;
  /** `instead`: the text to send in place of the client's. */
  write(permit: Permit, run: Run, instead: string | undefined): void;
}

export interface DispatchEvents {
  /** The client's next message has to wait. */
  stall(until: Promise<void>): void;
  ready(): void;
  copyIn(run: Run): void;
  /** Everything that was on its way has been answered. */
  idle(): void;
  /** A setting that statements are read by has changed at the server. */
  drifted(name: string, value: string): void;
}

/** Sends commands down the line and housekeeping after them, in the order they came, and refuses the way the server would. */
export class Dispatch {
  readonly replies: Replies;
  readonly #line: Line;
  readonly #target: TargetState;
  readonly #upstream: Upstream;
  readonly #client: ClientWriter;
  readonly #meanings: Meanings;
  readonly #events: DispatchEvents;
  readonly #outbox: Outbox;
  readonly #plans = new Plans();
  readonly #certifier: Certifier;
  /** Messages of the extended protocol have been sent since the last Sync. */
  #piped = false;
  #status: TransactionStatus = 'I';
  /** Messages sent that no ReadyForQuery has answered yet. */
  #sinceReady = 0;
  /** An error of our own in the extended protocol: what was decoded before its Sync is not sent. */
  #refusing = false;
  #cancelled = new AbortController();
  /** Of the last command sent: a COPY's data belongs to it. */
  #permit: Permit | undefined;

  constructor(
    line: Line,
    target: TargetState,
    upstream: Upstream,
    client: ClientWriter,
    meanings: Meanings,
    events: DispatchEvents,
  ) {
    this.#line = line;
    this.#target = target;
    this.#upstream = upstream;
    this.#client = client;
    this.#meanings = meanings;
    this.#events = events;
    this.#certifier = new Certifier(target, upstream.connection.serverMajor);
    this.#outbox = new Outbox(
      () => upstream.collect(),
      () => {
        upstream.flush();
        events.idle();
      },
    );
    this.replies = new Replies({
      toClient: (bytes) => client.push(bytes),
      wait: (until) => client.waitFor(until),
      plan: (description, run) => this.#plan(description, run),
      withhold: (run, refusal) => withhold(run, refusal),
      ready: (status) => this.#ready(status),
      failed: (period) => meanings.failed(period),
      copyIn: (run) => events.copyIn(run),
      shown: (bytes) => line.shown(bytes),
      drifted: (name, value) => events.drifted(name, value),
      moved: () => meanings.forgetNames(),
    });
  }

  /** Messages and commands on their way. */
  get inFlight(): number {
    return this.replies.units.size + this.#outbox.size;
  }

  /** Whatever waits for a person stops waiting. */
  stopWaiting(reason: string): void {
    this.#cancelled.abort(new Refusal('SESSION_ENDED', reason));
    this.#cancelled = new AbortController();
  }

  run({ meaning: { understood }, text, parameters, scope }: Asked, way: Way): void {
    const place = this.#outbox.reserve();
    let sending: Sending | undefined;
    let changing = false;
    const changed = (ran: boolean) => {
      if (changing) this.#meanings.changed(ran);
      changing = false;
    };
    const taken = (): Refusal | undefined => {
      const changes = understood.unsettles || (understood.runsUnknown && sending?.kind !== 'instead');
      if (changes && !changing && way.analysesOnly !== true) {
        changing = true;
        this.#meanings.changing();
      }
      return way.takes?.(sending?.text);
    };
    const command = {
      classified: understood.classified,
      text,
      ...(parameters === undefined ? {} : { parameters }),
      scope: `path=${this.#meanings.path};${scope ?? ''}`,
    };
    const route: StatementRoute = {
      command,
      prepareOnly: way.prepareOnly,
      mayWait: this.#status === 'I' && this.#sinceReady === 0 && this.#outbox.size === 1,
      cancelled: this.#cancelled.signal,
      columns: way.columns,
      needsPlan: understood.touches || this.#target.describes,
      touches: understood.touches,
      makesTables: understood.creates.length > 0,
      copyIn: understood.copyIn,
      copyOut: understood.copyOut,
      ...(way.refusal === undefined ? {} : { refusal: way.refusal }),
      maskable: (obligations) => {
        sending = undefined;
        const why = understood.maskable(obligations, this.#meanings.created);
        if (why === undefined) return taken();
        const take = (decided: Sending | Refusal): Refusal | undefined => {
          if (decided instanceof Refusal) return decided;
          sending = decided;
          return taken();
        };
        const decided = this.#decide(understood, command, way, place, obligations, why);
        return decided instanceof Promise ? decided.then(take) : take(decided);
      },
      instead: () =>
        sending?.kind === 'instead'
          ? { text: sending.text, certificate: sending.json, carries: sending.certificate.carries }
          : undefined,
      send: (permit, run) =>
        place.fill(() => {
          if (sending?.kind === 'failed') this.#fail(sending.analysed.report, run, way);
          else way.write(permit, run, sending?.text);
        }),
      refuse: (refusal, permit) =>
        place.fill(() => {
          changed(false);
          this.#refuse(refusal, permit, way);
        }),
      toClient: (bytes) => {
        this.#client.push(bytes);
        this.#client.flushSoon();
      },
      lease: (size) => this.#client.lease(size),
      withhold,
      done: (run) => {
        changed(true);
        // What was put in place of the client's text names columns, of a schema that may have changed.
        if (sending !== undefined && run.errorCode?.startsWith('42') === true) this.#target.stale();
        this.#meanings.done(understood, text, run);
        way.settled?.();
      },
    };
    const held = this.#line.run(new StatementExchange(route));
    if (held !== undefined) this.#events.stall(held);
  }

  #decide(
    understood: Understood,
    command: Command,
    way: Way,
    place: Place,
    obligations: Obligations,
    why: Refusal,
  ): Sending | Refusal | Promise<Sending | Refusal> {
    const busy = this.replies.units.size > 0 || this.#outbox.size > 1;
    return this.#certifier.decide(
      {
        understood,
        text: command.text,
        parameterTypes: way.parameterTypes ?? [],
        created: this.#meanings.created,
        temporary: this.#meanings.temporary,
        names: this.#meanings.names(busy),
        learned: (schemas, temporary) => this.#meanings.learned(schemas, temporary),
        analyse: (text, types) => this.#analyse(command, place, text, types),
      },
      obligations,
      why,
    );
  }

  /** Asks the server when it is this place's turn; not in the middle of a pipeline, which a question of ours would end. */
  #analyse(command: Command, place: Place, text: string, types: readonly number[]): Promise<Analysed> {
    return new Promise((resolve) => {
      const lost = () => resolve({ kind: 'lost' });
      const send = (permit: Permit, reply: Reply<Frames>) =>
        place.first(() => {
          if (this.#piped || this.#refusing || this.replies.skipping) {
            reply.end({ status: 'cancelled', errorCode: 'skipped' });
            resolve({ kind: 'piped' });
            return;
          }
          const ask = new Ask(text, types, (analysed, _status, restore) => {
            reply.end(
              analysed.kind === 'failed'
                ? { status: 'error', errorCode: analysed.report.sqlstate }
                : { status: analysed.kind === 'tree' ? 'ok' : 'unknown' },
            );
            if (restore !== undefined)
              this.#aside(restore, (bytes) => this.#upstream.housekeeping(this.#line.permit, bytes));
            resolve(analysed);
          });
          this.#aside(ask, (bytes) => this.#upstream.send(permit, bytes));
        });
      const held = this.#line.run(new AnalysisExchange(command, text, send, lost));
      held?.catch(lost);
    });
  }

  #aside(aside: Aside, send: (bytes: Buffer) => void): void {
    this.replies.push({ kind: 'aside', aside });
    this.#sinceReady += 1;
    send(aside.bytes);
  }

  /** The server has said already what is wrong with the command, when it was asked how it understands it. */
  #fail(report: ServerReport, run: Run, way: Way): void {
    run.status = 'error';
    run.errorCode = report.sqlstate;
    run.ended = true;
    if (!this.replies.skipping && !this.#refusing) {
      run.reply.frames({ bytes: withoutQuotes(report, true), plan: undefined, large: false }, 0);
      if (way.simple) this.replies.push({ kind: 'local', bytes: readyForQuery(this.#status) });
      else this.#refusing = true;
    }
    run.reply.end({ status: 'error', errorCode: report.sqlstate });
    run.done?.(run);
    if (!way.simple) this.#meanings.failed(way.period);
    this.#client.flushSoon();
  }

  /** A refusal that no decision was needed for: what was sent is not a command the gateway understands. Recorded like any other. */
  refuseUnread(text: string, refusal: Refusal, simple: boolean, period: number): void {
    const write = () => {
      throw new Error('a command that was not understood was let through');
    };
    this.run(
      { meaning: { understood: unread }, text },
      { simple, prepareOnly: false, period, columns: undefined, refusal, write },
    );
  }

  /** For `Way.write`: the bytes of a command, and what will answer them. */
  send(permit: Permit, bytes: readonly Buffer[], units: readonly Unit[]): void {
    if (this.#refusing || this.replies.skipping) {
      for (const unit of units) if ('run' in unit) skip(unit.run);
      return;
    }
    this.#transmit(permit, bytes, units);
  }

  /** What belongs to no command: Sync, Flush, Close. Goes after every command before it. */
  housekeeping(bytes: readonly Buffer[], units: readonly Unit[]): void {
    this.#outbox.add(() => {
      const isSync = units.some(({ kind }) => kind === 'sync');
      if (!isSync && (this.#refusing || this.replies.skipping)) return;
      for (const unit of units) this.replies.push(unit);
      this.#sinceReady += 1;
      this.#piped = !isSync;
      this.#upstream.housekeeping(this.#line.permit, joined(bytes));
      if (isSync) this.#refusing = false;
    });
  }

  /** More of the command sent last: the data of a COPY that the line has let through. */
  more(bytes: Buffer): void {
    if (this.#permit !== undefined) this.#upstream.more(this.#permit, bytes);
  }

  /**
   * Answers with a refusal as if the server had. Where the server has something open for this client (a transaction, a pipeline),
   * it is sent a statement that fails, so that its state is exactly what it would be after an error of its own.
   */
  #refuse(refusal: Refusal, permit: Permit, way: Way): void {
    way.settled?.();
    if (this.replies.skipping || this.#refusing) return; // Already failed: the client is owed nothing before its Sync.
    const report = refusalReport(refusal);
    const idle = this.replies.units.size === 0 && this.#sinceReady === 0 && this.#status === 'I';
    const cause = `SALLYPORT refused this command (${refusal.code})`;
    if (way.simple) {
      if (idle) this.replies.push({ kind: 'local', bytes: Buffer.concat([report, readyForQuery('I')]) });
      else this.#transmit(permit, [queryMessage(cause)], [{ kind: 'poison', report, simple: true, failed: false }]);
    } else {
      this.#refusing = true;
      if (idle) this.replies.push({ kind: 'local', bytes: report });
      else
        this.#transmit(permit, [parseMessage('', cause)], [{ kind: 'poison', report, simple: false, failed: false }]);
      this.#meanings.failed(way.period);
    }
    this.#client.flushSoon();
  }

  #transmit(permit: Permit, bytes: readonly Buffer[], units: readonly Unit[]): void {
    for (const unit of units) this.replies.push(unit);
    this.#sinceReady += 1;
    this.#piped = !units.some(
      (unit) => unit.kind === 'query' || unit.kind === 'call' || (unit.kind === 'poison' && unit.simple),
    );
    this.#permit = permit;
    this.#upstream.send(permit, joined(bytes));
  }

  #plan(description: Buffer, run: Run): Plan {
    try {
      return this.#plans.of(
        description,
        this.#target.origins,
        run.obligations,
        run.makesTables || this.#meanings.created.size > 0,
      );
    } catch (error) {
      if (error instanceof Stranger) this.#target.stale();
      throw error;
    }
  }

  #ready(status: TransactionStatus): void {
    this.#status = status;
    if (this.replies.units.size === 0) this.#sinceReady = 0;
    if (status === 'I') this.#meanings.transactionEnded();
    this.#events.ready();
  }
}

function withhold(run: Run, refusal: Refusal): void {
  if (run.withheld !== undefined) return;
  run.withheld = refusalReport(refusal);
  run.status = 'error';
  run.errorCode = refusal.code;
}

/** What the server never got, because something before it in its pipeline was refused. */
function skip(run: Run): void {
  if (run.ended) return;
  run.ended = true;
  run.status = 'cancelled';
  run.reply.end({ status: 'cancelled', errorCode: 'skipped' });
  run.done?.(run);
}

function joined(bytes: readonly Buffer[]): Buffer {
  return bytes.length === 1 ? bytes[0]! : Buffer.concat(bytes);
}
