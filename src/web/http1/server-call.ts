import { PeerError } from '../../model/errors.ts';
import type { Http1Request } from '../../wire/http1/request-head.ts';
import { writeResponseHead } from '../../wire/http1/write-head.ts';
import type { Fields, RequestHead, ResponseHead, ServerCall, Tunnel } from '../message.ts';
import { type BodyFraming, BodyWriter } from './body-writer.ts';
import type { Outbox } from './outbox.ts';
import type { ServerBody } from './server-body.ts';

/** What a call needs of its connection. */
export interface CallOwner {
  readonly outbox: Outbox;
  /** Whether the connection has to end after this call, as far as is known. */
  readonly last: boolean;
  /** The connection ends after this call. */
  endAfter(): void;
  /** The answer is out. */
  ended(): void;
  /** Ends the connection now, with a reset where an orderly end would pass for the end of the answer. */
  destroy(reset: boolean): void;
  tunnel(): Tunnel;
}

/** One request on a connection, and its answer. After the caller has gone everything is accepted and dropped. */
export class Http1Call implements ServerCall {
  readonly request: RequestHead;
  readonly body: ServerBody;
  readonly #head: Http1Request;
  readonly #owner: CallOwner;
  #abort: AbortController | undefined;
  #gone = false;
  #onGone: (() => void) | undefined;
  #writer: BodyWriter | undefined;
  /** 100 has to be sent before the caller sends its body. */
  #continue: boolean;
  #done = false;

  constructor(head: Http1Request, body: ServerBody, owner: CallOwner) {
    const { version, method, target, authority, fields, upgrade } = head;
    this.#head = head;
    this.#owner = owner;
    this.#continue = head.expectsContinue;
    this.body = body;
    this.request =
      upgrade === undefined
        ? { version, method, target, authority, fields }
        : { version, method, target, authority, fields, upgrade };
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#gone) this.#abort.abort(goneReason());
    }
    return this.#abort.signal;
  }

  onGone(listener: () => void): void {
    this.#onGone = listener;
    if (this.#gone) listener();
  }

  get answered(): boolean {
    return this.#writer !== undefined || this.#done;
  }

  /** Whether the answer is complete. */
  get done(): boolean {
    return this.#done;
  }

  inform(status: number, fields: Fields): void {
    const interim = status >= 100 && status < 200 && status !== 101;
    if (!interim || this.answered || this.#head.version === '1.0') return;
    const text = this.#written(() => writeResponseHead(status, fields, 'none', false));
    if (text !== undefined) this.#owner.outbox.text(text);
  }

  answer(head: ResponseHead): void {
    if (this.#done) return;
    if (this.#writer !== undefined) throw new TypeError('the call was answered before');
    // The caller may or may not send a body that it was not asked for: what comes next could be either.
    const ambiguous = this.#continue || !(this.body.over || this.body.cheap);
    // What follows a request to upgrade could be meant for the protocol that it did not get.
    if (ambiguous || this.#head.upgrade !== undefined) this.#owner.endAfter();
    const framing = this.#framing(head);
    const announced = framing === 'close' ? 'none' : framing === 'none' ? announcedLength(head) : framing;
    const text = this.#written(() => writeResponseHead(head.status, head.fields, announced, this.#owner.last));
    if (text === undefined) return;
    this.#writer = new BodyWriter(this.#owner.outbox, framing);
    this.#owner.outbox.text(text);
  }

  write(bytes: Buffer): Promise<void> | undefined {
    if (this.#done) return undefined;
    if (this.#writer === undefined) throw new TypeError('the call has not been answered');
    if (this.#writer.data(bytes)) return this.#owner.outbox.pressure();
    this.abort();
    return undefined;
  }

  end(trailers: Fields = []): void {
    if (this.#done) return;
    const writer = this.#writer;
    if (writer === undefined) throw new TypeError('the call has not been answered');
    if (this.#written(() => writer.end(trailers)) !== true) this.abort();
    else {
      this.#done = true;
      // Calls outlive their answers a little, and would take what listens to them along: each request's garbage would keep the next one's.
      this.#onGone = undefined;
      this.#owner.ended();
    }
  }

  abort(): void {
    if (this.#done) return;
    this.#done = true;
    this.#owner.destroy(this.#writer?.untilClose === true);
  }

  switchProtocols(fields: Fields): Tunnel {
    const { upgrade } = this.#head;
    if (upgrade === undefined || this.#writer !== undefined) throw new TypeError('nothing to switch to');
    const text = this.#done ? undefined : this.#written(() => writeResponseHead(101, fields, 'none', false, upgrade));
    if (text !== undefined) this.#owner.outbox.text(text);
    this.#done = true;
    return this.#owner.tunnel();
  }

  /** Somebody wants the body: the caller who waits for that is told. `arrived` tells that it did not wait. */
  wanted(arrived: boolean): void {
    if (!this.#continue) return;
    this.#continue = false;
    if (!arrived && this.#writer === undefined && !this.#gone) this.#owner.outbox.text('HTTP/1.1 100 Continue\r\n\r\n');
  }

  /** The caller is gone, or takes nothing any more. */
  left(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#abort?.abort(goneReason());
    this.#onGone?.();
  }

  /** Drops everything that is still to come: the connection is gone. */
  close(): void {
    this.#done = true;
    this.left();
  }

  #framing({ status, length }: ResponseHead): BodyFraming {
    if (this.#head.method === 'HEAD' || status === 204 || status === 304) return 'none';
    return length ?? (this.#head.version === '1.0' ? 'close' : 'chunked');
  }

  /** What cannot be written is not half written: the caller sees the connection break off. */
  #written<Written>(write: () => Written): Written | undefined {
    try {
      return write();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      this.abort();
      return undefined;
    }
  }
}

/** What a head without a body says about the body that there would be. */
function announcedLength({ status, length }: ResponseHead): number | 'none' {
  return status === 204 || length === undefined ? 'none' : length;
}

function goneReason(): PeerError {
  return new PeerError('CLIENT_PROTOCOL', 'the caller is gone');
}
