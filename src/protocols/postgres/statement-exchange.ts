import type { Permit } from '../../audit/permit.ts';
import type { Exchange, Instead, Masks, Reply } from '../../gateway/protocol.ts';
import type { ApprovalRequest } from '../../model/approval.ts';
import type { Command } from '../../model/command.ts';
import type { Obligations } from '../../model/decision.ts';
import type { Refusal } from '../../model/errors.ts';
import { noticeResponse } from './codec.ts';
import { type Frames, maskFrames } from './rows.ts';
import type { Run } from './units.ts';

/** How one statement reaches the server and its answers reach the client; the session implements it. */
export interface StatementRoute {
  readonly command: Command;
  readonly prepareOnly: boolean;
  readonly mayWait: boolean;
  readonly cancelled: AbortSignal;
  /** Column names where the reply will not bring them (the client described the statement earlier). */
  readonly columns: readonly string[] | undefined;
  readonly needsPlan: boolean;
  readonly touches: boolean;
  readonly makesTables: boolean;
  readonly copyIn: boolean;
  readonly copyOut: boolean;
  /** Set where the gateway does not understand the command. */
  readonly refusal?: Refusal;
  maskable(obligations: Obligations): Refusal | undefined | Promise<Refusal | undefined>;
  /** What is sent in place of the command's text. */
  instead(): (Instead & { readonly carries: number }) | undefined;
  send(permit: Permit, run: Run): void;
  refuse(refusal: Refusal, permit: Permit): void;
  toClient(bytes: Buffer): void;
  /** Memory for bytes that go to the client next. */
  lease(size: number): Buffer;
  /** The rest of this run's reply must not be shown, and the server may stop making it. */
  withhold(run: Run, refusal: Refusal): void;
  done(run: Run): void;
}

/** A statement's half of the line. One a command; everything it does is in the route. */
export class StatementExchange implements Exchange<Frames> {
  readonly command: Command;
  readonly prepareOnly: boolean;
  readonly mayWait: boolean;
  readonly cancelled: AbortSignal;
  readonly refusal: Refusal | undefined;
  readonly #route: StatementRoute;
  #run: Run | undefined;
  /** What classifications look like in this command's reply: set by the decision, before anything is sent. */
  #obligations: Obligations = { masks: {} };

  constructor(route: StatementRoute) {
    this.#route = route;
    this.command = route.command;
    this.prepareOnly = route.prepareOnly;
    this.mayWait = route.mayWait;
    this.cancelled = route.cancelled;
    this.refusal = route.refusal;
  }

  maskable(obligations: Obligations): Refusal | undefined | Promise<Refusal | undefined> {
    this.#obligations = obligations;
    return this.#route.maskable(obligations);
  }

  instead(): Instead | undefined {
    return this.#route.instead();
  }

  describe(): string {
    const { text, parameters } = this.command;
    const { columns } = this.#route;
    const instead = this.#route.instead();
    return JSON.stringify({
      text,
      ...(instead === undefined ? {} : { sent: instead.text }),
      ...(parameters === undefined ? {} : { parameters }),
      ...(columns === undefined ? {} : { columns }),
    });
  }

  forward(permit: Permit, reply: Reply<Frames>): void {
    const { needsPlan, makesTables, touches, copyIn, copyOut } = this.#route;
    this.#run = {
      reply,
      obligations: this.#obligations,
      plan: undefined,
      needsPlan,
      carries: this.#route.instead()?.carries ?? 0,
      makesTables,
      touches,
      copyIn,
      copyOut,
      status: 'ok',
      errorCode: undefined,
      withheld: undefined,
      ended: false,
      done: (run) => this.#route.done(run),
    };
    this.#route.send(permit, this.#run);
  }

  mask(frames: Frames, masks: Masks): Buffer {
    return maskFrames(frames, masks, (size) => this.#route.lease(size));
  }

  respond(bytes: Buffer): undefined {
    this.#route.toClient(bytes); // The session pauses the server itself while its client is slow.
  }

  refuse(refusal: Refusal, permit: Permit): void {
    this.#route.refuse(refusal, permit);
  }

  withhold(refusal: Refusal): void {
    if (this.#run !== undefined) this.#route.withhold(this.#run, refusal);
  }

  pending(request: ApprovalRequest, link: string): void {
    const who = request.approvers.join(' and ');
    this.#route.toClient(
      noticeResponse({
        severity: 'NOTICE',
        code: '00000',
        message: `waiting for approval by ${who} (request ${request.id})`,
        detail: `Rule: ${request.rule}. Approval: ${link}`,
        hint: 'If nobody answers in time this command fails with SQLSTATE ZS001; run the identical command again then.',
      }),
    );
  }
}
