import { PeerError, Refusal } from '../../model/errors.ts';
import { BadMessage } from '../../wire/http1/bad-message.ts';
import { BodyReader } from '../../wire/http1/body-reader.ts';
import type { Inbox } from '../../wire/http1/inbox.ts';
import { type Http1Response, readResponseHead } from '../../wire/http1/response-head.ts';
import { writeRequestHead } from '../../wire/http1/write-head.ts';
import type { HttpLimits, OutgoingCall, OutgoingRequest } from '../connection.ts';
import type { AnswerSink, ResponseHead, Tunnel } from '../message.ts';
import { BodyWriter } from './body-writer.ts';
import { RequestSink } from './client-sink.ts';
import type { Deadline } from './deadline.ts';
import type { Outbox } from './outbox.ts';

/** Interim answers to one request. */
const mostInterim = 100;
/** Chunk extensions of one answer: they mean nothing to us, and some servers pad with them. */
const extensionBytes = 4096;

/** What an exchange needs of its connection. */
export interface ExchangeOwner {
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly limits: HttpLimits;
  readonly deadline: Deadline;
  /** Whether to read on. */
  flow(on: boolean): void;
  /** Calls `move` again. */
  move(): void;
  /** Nothing of this exchange is left. */
  done(reusable: boolean): void;
  destroy(): void;
  tunnel(): Tunnel;
}

/** One request and its answer. */
export class ClientExchange implements OutgoingCall {
  readonly #request: OutgoingRequest;
  readonly #answer: AnswerSink;
  readonly #owner: ExchangeOwner;
  #sink: RequestSink | undefined;
  #starting = true;
  #cancelled = false;
  #sent = false;
  #heard = false;
  #interim = 0;
  #reader: BodyReader | undefined;
  #keepAlive = false;
  #waiting = false;
  #ended = false;
  #gone = false;
  #over = false;

  constructor(request: OutgoingRequest, answer: AnswerSink, owner: ExchangeOwner) {
    this.#request = request;
    this.#answer = answer;
    this.#owner = owner;
  }

  start(): void {
    const { method, body } = this.#request;
    const { outbox } = this.#owner;
    const none = body.length === 0 && !/^(?:POST|PUT|PATCH)$/.test(method);
    let head: string;
    try {
      head = writeRequestHead(this.#request, none ? 'none' : (body.length ?? 'chunked'));
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      process.nextTick(() => this.#unsendable(error.message));
      return;
    }
    outbox.text(head);
    this.#sink = new RequestSink(new BodyWriter(outbox, body.length ?? 'chunked'), {
      outbox,
      sent: () => {
        this.#sent = true;
      },
      broken: (error) => {
        this.#sent = true;
        this.fail(error ?? new PeerError('CLIENT_PROTOCOL', 'the body was not as long as announced'));
      },
    });
    body.pipe(this.#sink);
    outbox.flush();
    this.#starting = false;
  }

  cancel(): void {
    this.#cancelled = true;
    if (this.#over) return;
    this.#stop();
    this.#owner.destroy();
  }

  /** Takes what is in the inbox. Throws BadMessage. */
  move(): void {
    while (!this.#over && !this.#waiting) {
      if (this.#owner.inbox.length > 0) this.#heard = true;
      const moved = this.#reader === undefined ? this.#takeHead() : this.#takeBody(this.#reader);
      if (!moved) break;
    }
    if (this.#over || this.#waiting) return;
    if (this.#ended || this.#gone) this.#broken();
  }

  /** The target has ended its half. */
  ended(): void {
    this.#ended = true;
    this.#owner.move();
  }

  /** The connection is gone. */
  closed(): void {
    this.#gone = true;
    this.#owner.move();
  }

  late(): void {
    this.fail(new PeerError('UPSTREAM_PROTOCOL', 'the target stopped in the middle of its answer'));
  }

  fail(error: PeerError | Refusal): void {
    if (this.#over) return;
    this.#stop();
    this.#owner.destroy();
    if (this.#starting)
      process.nextTick(() => {
        if (!this.#cancelled) this.#answer.fail(error);
      });
    else this.#answer.fail(error);
  }

  #takeHead(): boolean {
    const { inbox, limits, deadline } = this.#owner;
    if (inbox.length === 0) return false;
    const end = inbox.headEnd(limits.headBytes);
    if (end === -1) {
      if (!deadline.running) deadline.set(limits.headMs);
      return false;
    }
    deadline.clear();
    const response = readResponseHead(inbox.bytes, inbox.start, end, this.#request.method, limits);
    inbox.skipTo(end + 4);
    if (response.status < 200) return this.#takeInterim(response);
    this.#keepAlive = response.keepAlive;
    this.#reader = new BodyReader(response.length, limits, extensionBytes);
    this.#answer.head(headOf(response));
    return true;
  }

  #takeInterim({ status, fields, upgrade }: Http1Response): boolean {
    if (++this.#interim > mostInterim) throw new BadMessage('too many interim answers');
    if (status === 101) {
      const asked = this.#request.upgrade?.toLowerCase();
      if (asked === undefined || upgrade !== asked || !this.#sent)
        throw new BadMessage('a switch of protocols that was not asked for');
      this.#over = true;
      this.#answer.switched(fields, this.#owner.tunnel());
    } else if (status !== 100) this.#answer.informed(status, fields);
    return true;
  }

  #takeBody(reader: BodyReader): boolean {
    const piece = reader.read(this.#owner.inbox);
    if (piece !== undefined) {
      const slower = this.#answer.data(piece);
      if (slower === undefined || this.#over) return true;
      this.#waiting = true;
      this.#owner.deadline.clear();
      this.#owner.flow(false);
      slower.then(this.#resumed, () => this.cancel());
      return false;
    }
    if (reader.done || (reader.untilClose && this.#ended)) {
      this.#finish(reader.trailers);
      return false;
    }
    this.#owner.deadline.set(this.#owner.limits.bodyIdleMs);
    return false;
  }

  #finish(trailers: readonly string[]): void {
    const reusable = this.#keepAlive && this.#sent;
    this.#stop();
    this.#owner.done(reusable);
    this.#answer.end(trailers);
  }

  /** The connection ended before the answer did. */
  #broken(): void {
    if (this.#heard) this.fail(new PeerError('UPSTREAM_PROTOCOL', 'the target broke off in the middle of its answer'));
    else this.fail(new Refusal('UPSTREAM_UNAVAILABLE', 'the target closed the connection without an answer'));
  }

  /** Nothing more goes either way. */
  #stop(): void {
    this.#over = true;
    this.#owner.deadline.clear();
    this.#sink?.stop();
    if (!this.#sent) this.#request.body.cancel();
  }

  #unsendable(message: string): void {
    if (this.#over) return;
    this.#starting = false;
    this.#stop();
    this.#owner.done(true);
    this.#answer.fail(new Refusal('UNSUPPORTED', `the request cannot be sent in HTTP/1.1: ${message}`));
  }

  readonly #resumed = () => {
    this.#waiting = false;
    if (this.#over) return;
    this.#owner.flow(true);
    this.#owner.move();
  };
}

function headOf({ status, fields, length, declared }: Http1Response): ResponseHead {
  const known = declared ?? (status === 204 && length === 0 ? 0 : undefined);
  return known === undefined ? { status, fields } : { status, fields, length: known };
}
