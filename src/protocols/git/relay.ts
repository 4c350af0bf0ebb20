import type { Permit } from '../../audit/permit.ts';
import type { Exchange, Masks, Reply } from '../../gateway/protocol.ts';
import type { ApprovalRequest } from '../../model/approval.ts';
import type { Command } from '../../model/command.ts';
import { PeerError, type Refusal, refusals } from '../../model/errors.ts';
import type { Outcome } from '../../model/event.ts';
import type { OutgoingCall } from '../../web/connection.ts';
import type { AnswerSink, ResponseHead, ServerCall } from '../../web/message.ts';
import { unexpected } from './answers.ts';
import { refusalOf, refuseCall } from './refusals.ts';

/** Bytes for the caller, and what of them is recorded: all of them where not told. */
export interface Piece {
  readonly shown: Buffer;
  readonly recorded?: Buffer;
}

const nothing = Buffer.alloc(0);
export const silent: Piece = { shown: nothing };

/** What a question is and how its answer is looked at on the way. */
export interface Question {
  readonly command: Command;
  readonly prepareOnly?: boolean;
  readonly refusal?: Refusal | undefined;
  /** Of the target's answer, and of ours. */
  readonly contentType: string;
  /** Why the target's answer is none, by its head; where absent it has to be a 200 of the content type. */
  expect?(head: ResponseHead): Refusal | undefined;
  /** How our answer begins where it is not simply a 200 of the content type. */
  head?(): ResponseHead;
  /** What the recording says of the request besides the command's text. */
  readonly noted?: Readonly<Record<string, unknown>>;
  send(permit: Permit, answer: AnswerSink): OutgoingCall;
  /** Throws PeerError or Refusal: the answer then ends as broken. A promise where others have to have their turns meanwhile. */
  data(bytes: Buffer): Piece | Promise<Piece>;
  end(): {
    readonly piece: Piece;
    readonly rows: number;
    readonly failed?: boolean;
    readonly detail?: Outcome['detail'];
  };
  /** How a refusal is said where the answer has not begun; as an error status where absent. */
  refuse?(call: ServerCall, refusal: Refusal): void;
  /** How the caller is told at once that a person decides; where absent it hears nothing before the end. */
  pending?(call: ServerCall, request: ApprovalRequest, link: string): void;
  /** Bytes within an answer that has begun that tell an error; where absent the answer breaks off. */
  late?(refusal: Refusal): Buffer;
}

/** One question and its answer, streamed through. `finished` resolves when the caller has its answer. */
export class Relay implements Exchange<Piece> {
  readonly command: Command;
  readonly prepareOnly: boolean;
  readonly refusal: Refusal | undefined;
  readonly mayWait = true;
  readonly cancelled: AbortSignal;
  readonly finished: Promise<void>;
  readonly #finish: () => void;
  readonly #question: Question;
  readonly #call: ServerCall;
  readonly #ended: AbortSignal;
  #recorded: Buffer = nothing;

  /** `ended` fires when the session is over: what is under way stops. */
  constructor(question: Question, call: ServerCall, ended: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#finish = resolve;
    this.command = question.command;
    this.prepareOnly = question.prepareOnly ?? false;
    this.refusal = question.refusal;
    this.cancelled = call.signal;
    this.#question = question;
    this.#call = call;
    this.#ended = ended;
  }

  maskable(): undefined {
    return undefined; // Git's answers hold no classified values: what may not be seen is not sent.
  }

  describe(): string {
    const { text, parameters } = this.command;
    return JSON.stringify({ text, ...(parameters === undefined ? {} : { parameters }), ...this.#question.noted });
  }

  mask(piece: Piece, _: Masks): Buffer {
    this.#recorded = piece.recorded ?? piece.shown;
    return piece.shown;
  }

  recorded(): Buffer {
    return this.#recorded;
  }

  respond(bytes: Buffer): Promise<void> | undefined {
    if (bytes.length === 0) return undefined;
    this.#begin();
    return this.#call.write(bytes);
  }

  refuse(refusal: Refusal): void {
    if (!this.#call.answered) this.#refuse(refusal);
    else this.#break(refusal);
    this.#finish();
  }

  withhold(): void {
    this.#call.abort();
  }

  pending(request: ApprovalRequest, link: string): void {
    this.#question.pending?.(this.#call, request, link);
  }

  forward(permit: Permit, reply: Reply<Piece>): void {
    const call = this.#call;
    const question = this.#question;
    let over = false;
    let outgoing: OutgoingCall | undefined;
    const close = (outcome: Parameters<Reply<Piece>['end']>[0]) => {
      over = true;
      call.signal.removeEventListener('abort', gone);
      this.#ended.removeEventListener('abort', gone);
      reply.end(outcome);
      this.#finish();
    };
    const fail = (error: unknown) => {
      if (over) return;
      const refusal = refusalOf(error);
      if (call.answered) this.#break(refusal);
      else this.#refuse(refusal);
      close({ status: 'error', errorCode: refusals[refusal.kind].code });
      queueMicrotask(() => outgoing?.cancel());
    };
    const gone = () => {
      if (over) return;
      close({ status: 'cancelled' });
      outgoing?.cancel();
    };
    const end = () => {
      if (over) return;
      try {
        const { piece, rows, failed, detail } = question.end();
        void reply.frames(piece, rows);
        this.#begin();
        call.end();
        close({ status: failed === true ? 'error' : 'ok', ...(detail === undefined ? {} : { detail }) });
      } catch (error) {
        fail(error);
      }
    };
    let working: Promise<void> | undefined;
    call.signal.addEventListener('abort', gone, { once: true });
    this.#ended.addEventListener('abort', gone, { once: true });
    outgoing = question.send(permit, {
      informed: () => undefined,
      head(head) {
        const wrong = question.expect === undefined ? unexpected(head, question.contentType) : question.expect(head);
        if (wrong !== undefined) fail(wrong);
      },
      data(bytes) {
        if (over) return undefined;
        try {
          const piece = question.data(bytes);
          if (!(piece instanceof Promise)) return reply.frames(piece, 0);
          working = piece.then((made) => (over ? undefined : reply.frames(made, 0))).catch(fail);
          return working;
        } catch (error) {
          fail(error);
          return undefined;
        }
      },
      // What is still being looked at comes before the end.
      end: () => (working === undefined ? end() : void working.then(end)),
      fail,
      switched(_, tunnel) {
        tunnel.abort();
        fail(new PeerError('UPSTREAM_PROTOCOL', 'the target switched protocols'));
      },
    });
    if (call.signal.aborted || this.#ended.aborted) gone();
  }

  #begin(): void {
    if (this.#call.answered) return;
    if (this.#question.head === undefined) beginAnswer(this.#call, this.#question.contentType);
    else this.#call.answer(this.#question.head());
  }

  #refuse(refusal: Refusal): void {
    if (this.#question.refuse === undefined) refuseCall(this.#call, refusal);
    else this.#question.refuse(this.#call, refusal);
  }

  /** The answer has begun: its caller must not take what there is for the whole. */
  #break(refusal: Refusal): void {
    const late = this.#question.late?.(refusal);
    if (late === undefined) {
      this.#call.abort();
      return;
    }
    void this.#call.write(late);
    this.#call.end();
  }
}

export function beginAnswer(call: ServerCall, contentType: string): void {
  call.answer({ status: 200, fields: ['content-type', contentType, 'cache-control', 'no-cache'] });
}

/** A refusal as the body of a successful answer: git then shows it as the server's own words. */
export function answerWith(call: ServerCall, contentType: string, body: Buffer): void {
  call.answer({
    status: 200,
    fields: ['content-type', contentType, 'cache-control', 'no-cache'],
    length: body.length,
  });
  void call.write(body);
  call.end();
}
