import type { Socket } from 'node:net';
import type { Limits, Line } from '../../gateway/protocol.ts';
import { PeerError, Refusal } from '../../model/errors.ts';
import { ClientWriter } from './client-writer.ts';
import { Client, clientCaps, Found, MessageReader, parseEmpty, parseFunctionCall, parseQuery, query } from './codec.ts';
import { Dispatch } from './dispatch.ts';
import { ExtendedQuery } from './extended.ts';
import { Meanings } from './meanings.ts';
import type { TargetState } from './target-state.ts';
import type { Understood } from './understand.ts';
import type { Run } from './units.ts';
import type { Upstream } from './upstream.ts';

/** More messages than this on their way and the client has to wait. */
const maxInFlight = 4096;
/** A client that does not read its answers gets no more of them, bytes. */
const maxBacklog = 1024 * 1024;

/** The client is gone, or going: there is nobody to tell. */
export class HungUp extends Error {}

/**
 * One logged-in client and its server. Decodes what the client sends, in order; waits where the next message cannot be read
 * before something is known: a person's decision, the target's schema, whether the server takes a COPY's data.
 */
export class PostgresSession {
  readonly #target: TargetState;
  readonly #upstream: Upstream;
  readonly #client: ClientWriter;
  readonly #reader: MessageReader;
  readonly #dispatch: Dispatch;
  readonly #extended: ExtendedQuery;
  readonly #meanings: Meanings;
  readonly #end: (reason: Error) => void;
  #stalled: Promise<void> | undefined;
  #chunks: Buffer[] = [];
  #copyIn = false;
  /** The command whose data the client sends, and what of it has come since it was last recorded. */
  #copyRun: Run | undefined;
  #copied: Buffer[] = [];
  #copyDecided: (() => void) | undefined;
  #largeGoesOn = false;
  /** The COPY that runs is in a text of several statements. */
  #moreCopies = false;
  #whenIdle: (() => void) | undefined;
  /** Runs when the client may be read again. */
  onReadable: () => void = () => undefined;

  constructor(
    socket: Socket,
    line: Line,
    limits: Limits,
    target: TargetState,
    upstream: Upstream,
    searchPath: string | undefined,
    end: (reason: Error) => void,
  ) {
    this.#target = target;
    this.#upstream = upstream;
    this.#end = end;
    this.#reader = new MessageReader('client', clientCaps(limits.commandBytes));
    this.#client = new ClientWriter(
      socket,
      () => upstream.pause(),
      () => {
        upstream.resume();
        this.#ready();
      },
    );
    this.#meanings = new Meanings(target, searchPath);
    this.#dispatch = new Dispatch(line, target, upstream, this.#client, this.#meanings, {
      stall: (until) => this.#stall(until),
      ready: () => this.#ready(),
      idle: () => this.#idle(),
      copyIn: (run) => this.#copyBegins(run),
      drifted: (name, value) => end(drifted(name, value)),
    });
    this.#extended = new ExtendedQuery(this.#dispatch, this.#meanings, target);
  }

  /** Bytes from the client. Returns false when it should not be read before `onReadable` runs. */
  fromClient(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    return this.#decode();
  }

  fromServer(chunk: Buffer): void {
    this.#dispatch.replies.feed(chunk);
    this.#client.flush();
    if (this.#whenIdle !== undefined) this.#idle();
    if (!this.#client.written) this.#upstream.keep();
  }

  /** A cancel request for this session: ends a wait for approval. Returns true when the server runs something and has to be told. */
  cancel(): boolean {
    this.#dispatch.stopWaiting('cancelled by the client');
    return this.#dispatch.replies.units.size > 0;
  }

  /** False while a message is cut: whoever hangs up then does so in the middle of something. */
  get atBoundary(): boolean {
    return this.#reader.atBoundary && this.#chunks.length === 0;
  }

  /** The session is over: commands without an answer end as unknown. */
  abandon(): void {
    this.#dispatch.stopWaiting('the session ended');
    this.#dispatch.replies.abandon();
  }

  /** A last word to the client. */
  say(bytes: Buffer): void {
    this.#client.push(bytes);
    this.#client.flush();
  }

  #decode(): boolean {
    while (this.#stalled === undefined && !this.#full()) {
      if (this.#extended.unsettled) {
        if (this.#dispatch.inFlight > 0) {
          // Names have been given whose fate is not known: what the next message means depends on it.
          this.#awaitIdle();
          break;
        }
        this.#extended.settle();
      }
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
      else this.#copyPiece(found, buffer.subarray(start, end));
    }
    this.#recordCopied();
    this.#client.flush();
    if (this.#upstream.connection.socket.writableNeedDrain) void this.#upstream.drained().then(() => this.#resume());
    return this.#stalled === undefined && !this.#full();
  }

  #full(): boolean {
    const { writableNeedDrain } = this.#upstream.connection.socket;
    return this.#dispatch.inFlight > maxInFlight || writableNeedDrain || this.#client.backlog > maxBacklog;
  }

  #stall(until: Promise<void>): void {
    const stalled: Promise<void> = until.then(
      () => {
        if (this.#stalled !== stalled) return;
        this.#stalled = undefined;
        this.#resume();
      },
      (error: unknown) => this.#end(error instanceof Error ? error : new Error(String(error))),
    );
    this.#stalled = stalled;
  }

  /** Goes on decoding after a wait; it is not called by a socket's event, so it must not throw. */
  #resume(): void {
    try {
      if (this.#decode()) this.onReadable();
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #idle(): void {
    const { inFlight } = this.#dispatch;
    if (inFlight > 0) return;
    const resolve = this.#whenIdle;
    this.#whenIdle = undefined;
    resolve?.();
  }

  #ready(): void {
    if (this.#stalled !== undefined || this.#full()) return;
    if (this.#chunks.length > 0) this.#resume();
    else this.onReadable();
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
        this.#extended.bind(buffer, start, end);
        return;
      case Client.Describe:
        this.#extended.describe(buffer, start, end);
        return;
      case Client.Execute:
        this.#execute(buffer, start, end);
        return;
      case Client.Close:
        this.#extended.close(buffer, start, end);
        return;
      case Client.Sync:
        parseEmpty(buffer, start, end);
        this.#extended.sync(buffer.subarray(start, end));
        return;
      case Client.Flush:
        parseEmpty(buffer, start, end);
        this.#extended.flush(buffer.subarray(start, end));
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

  #query(buffer: Buffer, start: number, end: number): void {
    const text = parseQuery(buffer, start, end);
    const bytes = buffer.subarray(start, end);
    const meaning = this.#meanings.of(text);
    if (meaning instanceof Refusal) {
      this.#dispatch.refuseUnread(text, meaning, true, this.#extended.interrupt());
      return;
    }
    const { understood, scope } = meaning;
    if (this.#doubts(understood, () => this.#query(buffer, start, end))) return;
    this.#dispatch.run(
      { meaning, text, ...(scope === undefined ? {} : { scope }) },
      {
        simple: true,
        prepareOnly: false,
        period: this.#extended.interrupt(),
        columns: undefined,
        settled: () => this.#over(understood),
        write: (permit, run, instead) =>
          this.#dispatch.send(permit, [instead === undefined ? bytes : query(instead)], [{ kind: 'query', run }]),
      },
    );
    this.#begun(understood);
  }

  #execute(buffer: Buffer, start: number, end: number): void {
    const understood: Understood | undefined = this.#extended.execute(buffer, start, end, () => {
      if (understood !== undefined) this.#over(understood);
    });
    if (understood !== undefined) this.#begun(understood);
  }

  /** What a command means for how the next message is read. */
  #begun(understood: Understood): void {
    const { prepares, deallocates, deallocatesAll } = understood;
    if (prepares.length > 0 || deallocates.length > 0 || deallocatesAll) this.#extended.unsettle();
    if (!understood.copyIn) return;
    // An Execute is one statement, and the server answers it only at the next Sync or Flush.
    this.#moreCopies = understood.classified.facts.statements > 1;
    this.#awaitCopy();
  }

  #over(understood: Understood): void {
    if (!understood.copyIn) return;
    this.#copyIn = false;
    this.#copyGoesOn();
  }

  #parse(buffer: Buffer, start: number, end: number): void {
    this.#extended.parse(buffer, start, end, (understood) =>
      this.#doubts(understood, () => this.#parse(buffer, start, end)),
    );
  }

  /** The fast-path interface: a function by its OID. */
  #call(buffer: Buffer, start: number, end: number): void {
    const { oid, parameters } = parseFunctionCall(buffer, start, end);
    const bytes = buffer.subarray(start, end);
    this.#dispatch.run(
      { meaning: { understood: this.#target.functionCall(oid) }, text: `FUNCTION CALL ${oid}`, parameters },
      {
        simple: true,
        prepareOnly: false,
        period: this.#extended.interrupt(),
        columns: undefined,
        write: (permit, run) => this.#dispatch.send(permit, [bytes], [{ kind: 'call', run }]),
      },
    );
  }

  /** What cannot be followed may be about a schema that has just changed: look again before saying no. True when `again` runs later. */
  #doubts(understood: Understood, again: () => void): boolean {
    if (!understood.doubtful || !this.#target.mayBeOld || this.#target.certified.has(understood)) return false;
    this.#target.stale();
    const fresh = this.#target.freshen();
    if (fresh === undefined) return false;
    this.#stall(fresh.then(again));
    return true;
  }

  /** Until the server says whether it takes the data, the client's next bytes cannot be told apart from ordinary messages. */
  #awaitCopy(): void {
    if (this.#copyIn) return;
    this.#stall(
      new Promise((resolve) => {
        this.#copyDecided = resolve;
      }),
    );
  }

  #copyGoesOn(): void {
    const decided = this.#copyDecided;
    this.#copyDecided = undefined;
    decided?.();
  }

  #copyBegins(run: Run): void {
    this.#copyIn = true;
    this.#copyRun = run;
    this.#copyGoesOn();
  }

  #copyMessage(type: number, buffer: Buffer, start: number, end: number): void {
    switch (type) {
      case Client.CopyDone:
      case Client.CopyFail:
        this.#copyIn = false;
        this.#dispatch.more(buffer.subarray(start, end));
        // Another COPY of the same text may follow: what comes next is read when that is known.
        if (this.#moreCopies) this.#awaitCopy();
        return;
      case Client.CopyData:
        this.#copied.push(buffer.subarray(start + 5, end));
        this.#dispatch.more(buffer.subarray(start, end));
        return;
      case Client.Terminate:
        this.#end(new HungUp('the client said goodbye in the middle of a COPY'));
        return;
      case Client.Sync:
      case Client.Flush:
        return; // Ignored during COPY (PostgreSQL manual, “COPY Operations”).
      default:
        throw new PeerError('CLIENT_PROTOCOL', 'only copy data may be sent during COPY FROM STDIN');
    }
  }

  /**
   * A piece of a large CopyData. Whether it goes on is decided once, at its header: a server that got the header reads the body
   * as data and nothing else, whatever became of the COPY meanwhile, and one that did not must never see the body.
   */
  #copyPiece(found: Found, bytes: Buffer): void {
    if (found === Found.LargeHeader) this.#largeGoesOn = this.#copyIn;
    if (!this.#largeGoesOn) return;
    this.#copied.push(found === Found.LargeHeader ? bytes.subarray(5) : bytes);
    this.#dispatch.more(bytes);
  }

  /** The data of a COPY is recorded as it comes, a turn's at once; the client waits where that is slower. */
  #recordCopied(): void {
    if (this.#copied.length === 0) return;
    const data = this.#copied.length === 1 ? (this.#copied[0] as Buffer) : Buffer.concat(this.#copied);
    this.#copied = [];
    const slower = this.#copyRun?.reply.sent(data);
    if (slower === undefined) return;
    const before = this.#stalled;
    this.#stall(before === undefined ? slower : Promise.all([before, slower]).then(() => undefined));
  }

  /** Everything sent so far is answered before the next message is read. */
  #awaitIdle(): void {
    this.#stall(
      new Promise((resolve) => {
        this.#whenIdle = resolve;
      }),
    );
  }
}

function drifted(name: string, value: string): Refusal {
  return new Refusal(
    'UNSUPPORTED',
    `${name} was changed to ${JSON.stringify(value)}; statements are only understood with UTF8 and standard_conforming_strings on`,
  );
}
