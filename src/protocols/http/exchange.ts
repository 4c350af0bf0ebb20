import type { Permit } from '../../audit/permit.ts';
import type { Exchange, Masks, Reply } from '../../gateway/protocol.ts';
import type { ApprovalRequest } from '../../model/approval.ts';
import type { Command } from '../../model/command.ts';
import type { Obligations } from '../../model/decision.ts';
import { type PeerError, Refusal } from '../../model/errors.ts';
import type { Outcome } from '../../model/event.ts';
import type { BodyMasker } from '../../web/bodies/masker.ts';
import type { OutgoingCall } from '../../web/connection.ts';
import type { AnswerSink, Fields, ResponseHead, ServerCall, Tunnel } from '../../web/message.ts';
import { recordable } from './fields.ts';
import { refuseHttp } from './refusals.ts';
import type { SessionEnd } from './session-end.ts';

/** What comes back, in order: interim answers, the head, bytes of the body without their coding, the end. */
export type HttpFrame =
  | { readonly kind: 'informed'; readonly status: number; readonly fields: Fields }
  | { readonly kind: 'head'; readonly head: ResponseHead }
  | { readonly kind: 'data'; readonly bytes: Buffer }
  | { readonly kind: 'end'; readonly trailers: Fields }
  | { readonly kind: 'switched'; readonly fields: Fields }
  /** Of a WebSocket, after `switched`. */
  | { readonly kind: 'message'; readonly text: boolean; readonly bytes: Buffer }
  /** Of a WebSocket: the target closes it, with a reason. */
  | { readonly kind: 'farewell'; readonly code: number | undefined; readonly bytes: Buffer };

/** How one reply is shown: made from its head. */
export interface Showing {
  readonly head: ResponseHead;
  readonly masker: BodyMasker;
  /** Masks trailers. */
  trailers(fields: Fields): Fields;
}

/** How what comes after an upgrade is shown. */
export interface SwitchedShowing {
  readonly fields: Fields;
  message(bytes: Buffer, text: boolean): Buffer;
}

/** Both ends of an upgraded connection. */
export interface Relay {
  /** Towards the caller. */
  message(bytes: Buffer, text: boolean): Promise<void> | undefined;
  /** Towards the caller. */
  farewell(code: number | undefined, reason: Buffer): Promise<void> | undefined;
  /** Resolves when both sides have hung up. */
  run(): Promise<Pick<Outcome, 'status' | 'errorCode'>>;
  stop(refusal: Refusal): void;
}

/** One request of a caller. */
export interface HttpRequest {
  readonly call: ServerCall;
  readonly command: Command;
  readonly refusal: Refusal | undefined;
  /** Its session. */
  readonly ends: SessionEnd;
  /** Where the caller can ask what became of a held request. */
  statusPath(id: string): string;
  /** Why a reply could not be masked, where that can be told beforehand. */
  maskable(obligations: Obligations): Refusal | undefined;
  readonly way: HttpWay;
}

/** How a request reaches the target and its reply the caller. */
export interface HttpWay {
  /** Sends it; the target's answer without its coding goes to `answer`. */
  send(permit: Permit, reply: Reply<HttpFrame>, answer: AnswerSink): OutgoingCall;
  /** The fields of an interim answer. */
  showInterim(fields: Fields, masks: Masks): Fields;
  /** Throws Refusal MASK_IMPOSSIBLE where the body cannot be shown. */
  show(head: ResponseHead, masks: Masks): Showing;
  /** Where the shown body goes, with its coding put on again. */
  coder(): Coder;
  /** What else the outcome says. */
  detail(): Outcome['detail'];
  /** As `show`, where the target has accepted an upgrade. */
  showSwitched(fields: Fields, masks: Masks): SwitchedShowing;
  /** Joins the caller, whose upgrade was accepted too, with the target. */
  relay(caller: Tunnel, target: Tunnel, reply: Reply<HttpFrame>): Relay;
}

/** Towards the caller, behind the masks. */
export interface Coder {
  data(bytes: Buffer): Promise<void> | undefined;
  end(trailers: Fields): void;
}

/** A request's half of the line. One a request. */
export class HttpExchange implements Exchange<HttpFrame>, AnswerSink {
  readonly command: Command;
  readonly refusal: Refusal | undefined;
  readonly mayWait: boolean;
  /** Resolves when the caller has its answer, or has gone. */
  readonly finished: Promise<void>;
  readonly #finish: () => void;
  readonly #request: HttpRequest;
  readonly #async: boolean;
  readonly #broken = () => this.#abandon();
  readonly #place: number;
  #reply: Reply<HttpFrame> | undefined;
  #outgoing: OutgoingCall | undefined;
  #showing: Showing | undefined;
  #coder: Coder | undefined;
  #switched: SwitchedShowing | undefined;
  #tunnel: Tunnel | undefined;
  #relay: Relay | undefined;
  #shown: HttpFrame | undefined;
  #status = 0;
  #pending: { readonly id: string } | undefined;
  #over = false;

  constructor(request: HttpRequest, respondAsync: boolean) {
    const { call, ends } = request;
    this.#request = request;
    this.#async = respondAsync;
    this.command = request.command;
    this.refusal = request.refusal;
    this.mayWait = !respondAsync;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#finish = resolve;
    this.#place = ends.add(this.#broken);
    if (ends.signal.aborted) queueMicrotask(this.#broken);
    call.onGone(this.#broken);
  }

  get cancelled(): AbortSignal {
    return this.#request.call.signal;
  }

  maskable(obligations: Obligations): Refusal | undefined {
    return this.#request.maskable(obligations);
  }

  describe(): string {
    const { text, parameters } = this.command;
    return JSON.stringify({ text, parameters, fields: recordable(this.#request.call.request.fields) });
  }

  forward(permit: Permit, reply: Reply<HttpFrame>): void {
    this.#reply = reply;
    if (this.#over) reply.end({ status: 'cancelled' });
    else this.#outgoing = this.#request.way.send(permit, reply, this);
  }

  // What the target answers.

  informed(status: number, fields: Fields): void {
    void this.#frame({ kind: 'informed', status, fields });
  }

  head(head: ResponseHead): void {
    this.#status = head.status;
    void this.#frame({ kind: 'head', head });
  }

  data(bytes: Buffer): Promise<void> | undefined {
    return this.#frame({ kind: 'data', bytes });
  }

  end(trailers: Fields): void {
    void this.#frame({ kind: 'end', trailers });
    this.#conclude(this.#status >= 400 ? { status: 'error', errorCode: String(this.#status) } : { status: 'ok' });
  }

  fail(error: PeerError | Refusal): void {
    if (this.#over) return;
    const { call } = this.#request;
    if (call.answered) call.abort();
    else this.#tell(error instanceof Refusal ? error : new Refusal(error.kind, error.message));
    this.#conclude({ status: 'error', errorCode: error.kind });
  }

  switched(fields: Fields, tunnel: Tunnel): void {
    this.#status = 101;
    void this.#frame({ kind: 'switched', fields });
    if (this.#over || this.#reply === undefined || this.#tunnel === undefined) {
      tunnel.abort();
      return;
    }
    this.#relay = this.#request.way.relay(this.#tunnel, tunnel, this.#reply);
    void this.#relay.run().then((outcome) => this.#conclude(outcome));
  }

  #frame(frame: HttpFrame): Promise<void> | undefined {
    return this.#over ? undefined : this.#reply?.frames(frame, 0);
  }

  // What the core asks for.

  mask(frame: HttpFrame, masks: Masks): Buffer {
    if (frame.kind === 'informed') {
      const { status } = frame;
      const fields = this.#request.way.showInterim(frame.fields, masks);
      this.#shown = { kind: 'informed', status, fields };
      return Buffer.from(`${JSON.stringify({ status, fields })}\n`);
    }
    if (frame.kind === 'head') {
      this.#showing = this.#request.way.show(frame.head, masks);
      this.#shown = { kind: 'head', head: this.#showing.head };
      const { status, fields } = this.#showing.head;
      return Buffer.from(`${JSON.stringify({ status, fields })}\n`);
    }
    if (frame.kind === 'switched') {
      this.#switched = this.#request.way.showSwitched(frame.fields, masks);
      const { fields } = this.#switched;
      this.#shown = { kind: 'switched', fields };
      return Buffer.from(`${JSON.stringify({ status: 101, fields })}\n`);
    }
    if (frame.kind === 'message') {
      const bytes = this.#switched?.message(frame.bytes, frame.text) ?? nothing;
      this.#shown = { ...frame, bytes };
      return Buffer.concat([bytes, newline]);
    }
    if (frame.kind === 'farewell') {
      const bytes = frame.bytes.length === 0 ? nothing : (this.#switched?.message(frame.bytes, true) ?? nothing);
      this.#shown = { ...frame, bytes };
      return bytes.length === 0 ? nothing : Buffer.concat([bytes, newline]);
    }
    const masker = this.#showing?.masker;
    if (frame.kind === 'data') {
      const bytes = masker === undefined ? frame.bytes : masker.write(frame.bytes);
      this.#shown = { kind: 'data', bytes };
      return bytes;
    }
    this.#shown = { kind: 'end', trailers: this.#showing?.trailers(frame.trailers) ?? [] };
    return masker === undefined ? nothing : masker.end();
  }

  respond(bytes: Buffer): Promise<void> | undefined {
    const shown = this.#shown;
    if (shown === undefined || this.#over) return undefined;
    if (shown.kind === 'informed') {
      this.#request.call.inform(shown.status, shown.fields);
      return undefined;
    }
    if (shown.kind === 'head') {
      this.#coder = this.#request.way.coder();
      this.#request.call.answer(shown.head);
      return undefined;
    }
    if (shown.kind === 'switched') {
      this.#tunnel = this.#request.call.switchProtocols(shown.fields);
      return undefined;
    }
    if (shown.kind === 'message') return this.#relay?.message(shown.bytes, shown.text);
    if (shown.kind === 'farewell') return this.#relay?.farewell(shown.code, shown.bytes);
    const taken = bytes.length === 0 ? undefined : this.#coder?.data(bytes);
    if (shown.kind === 'end') {
      if (taken === undefined) this.#coder?.end(shown.trailers);
      else void taken.then(() => this.#coder?.end(shown.trailers));
    }
    return taken;
  }

  refuse(refusal: Refusal): void {
    this.#tell(refusal);
    this.#leave();
  }

  withhold(refusal: Refusal): void {
    if (this.#over) return;
    this.#outgoing?.cancel();
    if (this.#relay !== undefined) this.#relay.stop(refusal);
    else if (this.#request.call.answered) this.#request.call.abort();
    else this.#tell(refusal);
    this.#conclude({ status: 'error', errorCode: refusal.kind });
  }

  pending({ id }: ApprovalRequest): void {
    this.#pending = { id };
  }

  /** A held request whose caller prefers not to wait gets 202 and where to ask (RFC 7240 §4.1); it is sent when it comes again after a yes. */
  #tell(refusal: Refusal): void {
    const { call } = this.#request;
    if (this.#over || call.answered || call.signal.aborted) return;
    const id = this.#pending?.id ?? idOf(refusal);
    const location = refusal.kind === 'APPROVAL_PENDING' && id !== undefined ? this.#request.statusPath(id) : undefined;
    if (location === undefined || !this.#async) {
      refuseHttp(call, refusal, location === undefined ? [] : ['location', location]);
      return;
    }
    const { code, message } = refusal;
    const { rule, link, advice } = refusal.details;
    const body = Buffer.from(`${JSON.stringify({ id, state: 'open', code, detail: message, rule, link, advice })}\n`);
    call.body.cancel();
    call.answer({
      status: 202,
      fields: [
        ...['content-type', 'application/json', 'cache-control', 'no-store', 'location', location],
        ...['preference-applied', 'respond-async', 'retry-after', '15'],
      ],
      length: body.length,
    });
    void call.write(body);
    call.end();
  }

  /** The caller is gone, or the session has ended. */
  #abandon(): void {
    if (this.#over) return;
    const { call, ends } = this.#request;
    const { aborted, reason } = ends.signal;
    this.#outgoing?.cancel();
    if (this.#relay !== undefined) {
      this.#relay.stop(reason instanceof Refusal ? reason : new Refusal('SESSION_ENDED', 'the caller has gone'));
    } else if (call.answered) call.abort();
    else if (aborted && reason instanceof Refusal) this.#tell(reason);
    this.#conclude({ status: 'cancelled' });
  }

  #conclude(outcome: Pick<Outcome, 'status' | 'errorCode'>): void {
    if (this.#over) return;
    const detail = this.#request.way.detail();
    this.#reply?.end({ ...outcome, detail: { ...(this.#status === 0 ? {} : { status: this.#status }), ...detail } });
    this.#leave();
  }

  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#request.ends.remove(this.#place);
    this.#finish();
  }
}

const nothing = Buffer.alloc(0);
const newline = Buffer.from('\n');

/** The request's id stands in the link to it. */
function idOf({ details }: Refusal): string | undefined {
  return details.link?.slice(details.link.lastIndexOf('/') + 1);
}
