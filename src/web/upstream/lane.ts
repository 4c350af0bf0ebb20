import type { Permit } from '../../audit/permit.ts';
import { PeerError, Refusal } from '../../model/errors.ts';
import type { OutgoingCall, OutgoingRequest, UpstreamConnection } from '../connection.ts';
import type { AnswerSink } from '../message.ts';
import { FairQueue } from './fair-queue.ts';
import { Sent } from './sent.ts';

/** A connection that has just been opened, and how to learn that it is gone. */
export interface Opened {
  readonly connection: UpstreamConnection;
  /** Several requests at once: HTTP/2. */
  readonly shared: boolean;
  /** Runs the listener once nothing is left of the connection. */
  onGone(listener: () => void): void;
}

export interface LaneOptions {
  /** The target's name, for messages. */
  readonly name: string;
  /** Whether connections are shared (HTTP/2), where that is known beforehand. */
  readonly shared?: boolean | undefined;
  /** Opens a connection. Rejects with Refusal or PeerError, or with the signal's reason. */
  open(signal: AbortSignal): Promise<Opened>;
  readonly maxConnections: number;
  /** Connections of one source, where requests do not share them: the others find some too, however long its requests take. */
  readonly maxOfOne: number;
  /** Requests that wait for a connection: of all, and of one source. */
  readonly maxWaiting: number;
  readonly maxWaitingOfOne: number;
  /** How long one waits at most, ms. */
  readonly waitMs: number;
  /** A connection without a request is closed after so long, ms. */
  readonly idleMs: number;
}

interface Member {
  readonly connection: UpstreamConnection;
  /** Requests under way. */
  active: number;
  /** What it serves, where that is one at a time. */
  serving: Sent | undefined;
  /** Requests that were sent on it. */
  sent: number;
  idleSince: number;
}

/** Connections to one target, all of one kind, and the requests that wait for one. */
export class Lane {
  readonly #options: LaneOptions;
  readonly #waiting = new FairQueue<Sent>();
  readonly #members = new Set<Member>();
  readonly #stop = new AbortController();
  /** Connections that serve each source. */
  readonly #used = new Map<string, number>();
  /** Connections that exist in any form: being opened, in use, being closed. */
  #open = 0;
  #opening = 0;
  /** What the last connection turned out to be; before that one, nobody knows how many are needed. */
  #shared: boolean | undefined;
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#shared = options.shared;
  }

  send(permit: Permit, request: OutgoingRequest, answer: AnswerSink, source: string): OutgoingCall {
    const sent = new Sent(permit, request, answer, source, {
      ended: (member) => this.#onEnded(member as Member, sent),
      retry: (again) => this.#retry(again),
      withdrawn: (withdrawn) => this.#waiting.remove(withdrawn.source, withdrawn),
    });
    const member = this.#waiting.size === 0 && this.#roomOf(source) > 0 ? this.#free() : undefined;
    if (member === undefined) this.#wait(sent);
    else this.#give(member, sent);
    return sent;
  }

  /** Fails what waits, closes what is idle; what is under way is finished. */
  close(): void {
    this.#stop.abort(this.#closed());
    for (let sent = this.#waiting.shift(); sent !== undefined; sent = this.#waiting.shift()) sent.fail(this.#closed());
    for (const member of this.#members) member.connection.close();
    clearInterval(this.#sweep);
  }

  #wait(sent: Sent): void {
    const { maxWaiting, maxWaitingOfOne, waitMs } = this.#options;
    if (this.#stop.signal.aborted) {
      sent.failLater(this.#closed());
      return;
    }
    if (this.#waiting.size >= maxWaiting || this.#waiting.sizeOf(sent.source) >= maxWaitingOfOne) {
      sent.failLater(this.#busy('too many requests wait for it already'));
      return;
    }
    this.#waiting.push(sent.source, sent);
    sent.waitAtMost(waitMs, () => {
      this.#waiting.remove(sent.source, sent);
      sent.fail(this.#busy('all connections to it stayed busy'));
    });
    this.#serve();
  }

  /** How many connections more this source may have. */
  readonly #roomOf = (source: string): number =>
    this.#shared === true ? Number.POSITIVE_INFINITY : this.#options.maxOfOne - (this.#used.get(source) ?? 0);

  #openMore(): void {
    const wanted = this.#shared === false ? this.#waiting.ready(this.#roomOf) : Math.min(1, this.#waiting.size);
    while (this.#opening < wanted && this.#open < this.#options.maxConnections) void this.#openOne();
  }

  async #openOne(): Promise<void> {
    this.#open++;
    this.#opening++;
    try {
      const opened = await this.#options.open(this.#stop.signal);
      this.#opening--;
      this.#join(opened);
    } catch (error) {
      this.#open--;
      this.#opening--;
      this.#onFailed(this.#sayable(error));
    }
  }

  #join({ connection, shared, onGone }: Opened): void {
    const member: Member = { connection, active: 0, serving: undefined, sent: 0, idleSince: performance.now() };
    this.#shared = shared;
    this.#members.add(member);
    onGone(() => {
      this.#open--;
      if (member.serving !== undefined) this.#release(member, member.serving);
      this.#leave(member);
      this.#serve();
    });
    connection.onClosed(() => this.#leave(member));
    connection.onFree(() => this.#serve());
    if (this.#stop.signal.aborted) {
      connection.close();
      return;
    }
    this.#sweep ??= setInterval(() => this.#closeIdle(), this.#options.idleMs / 2).unref();
    this.#serve();
  }

  #leave(member: Member): void {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  /** One attempt to connect failed: so does one request, or all of them where nothing else could serve them. */
  #onFailed(error: Refusal | PeerError): void {
    const all = this.#members.size === 0 && this.#opening === 0;
    do {
      const sent = this.#waiting.shift();
      if (sent === undefined) return;
      sent.fail(error);
    } while (all);
  }

  #serve(): void {
    while (this.#waiting.size > 0) {
      const member = this.#free();
      const sent = member === undefined ? undefined : this.#waiting.shift(this.#roomOf);
      if (member === undefined || sent === undefined) break;
      this.#give(member, sent);
    }
    this.#openMore();
  }

  /** The one used last, so that those that are not needed stay idle and are closed. */
  #free(): Member | undefined {
    let found: Member | undefined;
    for (const member of this.#members) {
      if (member.connection.free > 0 && (found === undefined || member.idleSince >= found.idleSince)) found = member;
    }
    return found;
  }

  #give(member: Member, sent: Sent): void {
    const reused = member.sent > 0;
    member.active++;
    member.sent++;
    if (this.#shared !== true) {
      // A connection is free for the next before its last request is told that it has ended.
      if (member.serving !== undefined) this.#release(member, member.serving);
      member.serving = sent;
      this.#used.set(sent.source, (this.#used.get(sent.source) ?? 0) + 1);
    }
    sent.goOut(member.connection, member, reused);
  }

  #onEnded(member: Member, sent: Sent): void {
    member.active--;
    member.idleSince = performance.now();
    this.#release(member, sent);
    if (this.#waiting.size > 0) this.#serve();
  }

  /** It serves nobody any more. After an upgrade that is so only when it is gone. */
  #release(member: Member, sent: Sent): void {
    if (member.serving !== sent) return;
    member.serving = undefined;
    const { source } = sent;
    const left = (this.#used.get(source) ?? 1) - 1;
    if (left === 0) this.#used.delete(source);
    else this.#used.set(source, left);
  }

  /** A connection that had been used before died before it said anything: the others may be as old, so a new one is asked. */
  #retry(sent: Sent): void {
    for (const member of this.#members) if (member.active === 0) member.connection.close();
    this.#wait(sent);
  }

  #closeIdle(): void {
    const before = performance.now() - this.#options.idleMs;
    for (const { active, idleSince, connection } of this.#members) {
      if (active === 0 && idleSince <= before) connection.close();
    }
  }

  #busy(why: string): Refusal {
    return new Refusal('UPSTREAM_UNAVAILABLE', `the target ${this.#options.name} is busy: ${why}`, {
      retryAfterMs: 5000,
    });
  }

  #closed(): Refusal {
    return new Refusal(
      'UPSTREAM_UNAVAILABLE',
      `the target ${this.#options.name} is no longer served with these settings`,
    );
  }

  #sayable(error: unknown): Refusal | PeerError {
    if (error instanceof Refusal || error instanceof PeerError) return error;
    return new Refusal('UPSTREAM_UNAVAILABLE', `the target ${this.#options.name} cannot be reached`);
  }
}
