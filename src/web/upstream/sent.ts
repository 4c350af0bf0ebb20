import type { Permit } from '../../audit/permit.ts';
import { type PeerError, Refusal } from '../../model/errors.ts';
import type { OutgoingCall, OutgoingRequest, UpstreamConnection } from '../connection.ts';
import type { AnswerSink, Body, Fields, ResponseHead, Tunnel } from '../message.ts';

/** What the lane wants to know of a request. */
export interface SentEvents {
  /** Nothing more goes over the connection for it. */
  ended(member: unknown): void;
  /** It may go out once more, on another connection. */
  retry(sent: Sent): void;
  /** Its caller took it back while it waited. */
  withdrawn(sent: Sent): void;
}

/** Methods that do the same whether they arrive once or twice (RFC 9110 §9.2.2). */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
const nothing: Body = { length: 0, pipe: (sink) => sink.end([]), cancel: () => undefined };

/** One request on its way: waiting for a connection, on one, answered. Hands the answer on. */
export class Sent implements OutgoingCall, AnswerSink {
  readonly source: string;
  readonly #permit: Permit;
  readonly #request: OutgoingRequest;
  readonly #answer: AnswerSink;
  readonly #events: SentEvents;
  #call: OutgoingCall | undefined;
  #member: unknown;
  #timer: NodeJS.Timeout | undefined;
  #reused = false;
  #heard = false;
  #again = false;
  #over = false;

  constructor(permit: Permit, request: OutgoingRequest, answer: AnswerSink, source: string, events: SentEvents) {
    this.#permit = permit;
    this.#request = request.body.length === 0 ? { ...request, body: nothing } : request;
    this.#answer = answer;
    this.source = source;
    this.#events = events;
  }

  waitAtMost(ms: number, late: () => void): void {
    this.#timer = setTimeout(late, ms);
  }

  goOut(connection: UpstreamConnection, member: unknown, reused: boolean): void {
    clearTimeout(this.#timer);
    this.#member = member;
    this.#reused = reused;
    try {
      this.#call = connection.send(this.#permit, this.#request, this);
    } catch {
      // Fields that cannot be sent. It is this request's failure, whoever's connection it was given to.
      this.failLater(new Refusal('UNSUPPORTED', 'the request cannot be sent as it is'));
    }
  }

  cancel(): void {
    if (this.#over) return;
    this.#finish();
    if (this.#call === undefined) this.#events.withdrawn(this);
    else this.#call.cancel();
    if (this.#call === undefined) this.#request.body.cancel();
    this.#leave();
  }

  /** Fails after the call that made it has returned. */
  failLater(error: Refusal): void {
    process.nextTick(() => this.fail(error));
  }

  informed(status: number, fields: Fields): void {
    this.#heard = true;
    if (!this.#over) this.#answer.informed(status, fields);
  }

  head(head: ResponseHead): void {
    this.#heard = true;
    if (!this.#over) this.#answer.head(head);
  }

  data(bytes: Buffer): Promise<void> | undefined {
    return this.#over ? undefined : this.#answer.data(bytes);
  }

  end(trailers: Fields): void {
    if (this.#over) return;
    this.#finish();
    this.#leave();
    this.#answer.end(trailers);
  }

  fail(error: PeerError | Refusal): void {
    if (this.#over) return;
    const sent = this.#call !== undefined;
    this.#leave();
    if (sent && this.#mayRetry(error)) {
      this.#again = true;
      this.#call = undefined;
      this.#events.retry(this);
      return;
    }
    this.#finish();
    if (!sent) this.#request.body.cancel();
    this.#answer.fail(error);
  }

  switched(fields: Fields, tunnel: Tunnel): void {
    if (this.#over) {
      tunnel.abort();
      return;
    }
    // The tunnel has the connection, or its stream, until its end; nobody waits for it to become free.
    this.#finish();
    this.#answer.switched(fields, tunnel);
  }

  #mayRetry(error: PeerError | Refusal): boolean {
    if (this.#again || this.#heard || !this.#reused || !(error instanceof Refusal)) return false;
    const { method, body, upgrade } = this.#request;
    return upgrade === undefined && body.length === 0 && idempotent.has(method);
  }

  #finish(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  #leave(): void {
    if (this.#member === undefined) return;
    const member = this.#member;
    this.#member = undefined;
    this.#events.ended(member);
  }
}
