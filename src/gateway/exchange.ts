import type { Permit } from '../audit/permit.ts';
import type { ApprovalRequest } from '../model/approval.ts';
import type { Decision } from '../model/decision.ts';
import { Refusal } from '../model/errors.ts';
import type { MaskedField, Outcome } from '../model/event.ts';
import type { Caller } from '../model/principal.ts';
import type { Session } from '../model/session.ts';
import type { Target } from '../model/target.ts';
import { deniedFields, type EventPrefix, heldEvent, intentFields, outcomeFields } from './events.ts';
import type { ApprovalsPort, AuditPort, PolicyPort, SessionRecording } from './ports.ts';
import type { Exchange, Masks, Reply } from './protocol.ts';

type Hold = Decision & { outcome: 'hold' };
type Allow = Decision & { outcome: 'allow' | 'hold' };

/** What one session's commands run on. */
export interface ExchangeDeps {
  readonly session: Session;
  readonly caller: Caller;
  readonly target: Target;
  readonly policy: PolicyPort;
  readonly audit: AuditPort;
  readonly approvals: ApprovalsPort;
  readonly recording: SessionRecording;
  readonly prefix: EventPrefix;
  readonly signal: AbortSignal;
  readonly now: () => number;
  masks(decision: Allow): Masks & { fields(): readonly MaskedField[] };
  /** Ends the session: what was asked or shown can no longer be recorded. */
  fail(refusal: Refusal): void;
}

/**
 * The line, once, for every protocol:
 *
 *     classify → decide → (hold ⇄ approvals) → AUDIT intent → permit → forward → frames → mask → record → respond → AUDIT outcome
 *
 * Stays synchronous as long as nobody has to be waited for, so that a turn of the event loop carries every command that
 * arrived in it, and one write makes all their intents durable. Returns a promise only while a person has to decide.
 */
export function runExchange<F>(exchange: Exchange<F>, number: number, deps: ExchangeDeps): Promise<void> | undefined {
  const { command } = exchange;
  if (exchange.refusal !== undefined) return refuse(exchange, number, deps, exchange.refusal);
  const decision = deps.policy.decideCommand(deps.caller, deps.target, command.classified);
  if (decision.outcome === 'deny') return refuse(exchange, number, deps, denial(decision));
  const unmaskable = exchange.maskable(decision.obligations);
  if (unmaskable instanceof Promise) return unmaskable.then((why) => asked(exchange, number, decision, deps, why));
  if (unmaskable !== undefined) return refuse(exchange, number, deps, unmaskable);
  if (decision.outcome === 'hold' && exchange.prepareOnly !== true) return hold(exchange, number, decision, deps);
  admit(exchange, number, decision, deps);
  return undefined;
}

/** Goes on when the target has been asked whether the reply can be masked. */
async function asked<F>(
  exchange: Exchange<F>,
  number: number,
  decision: Allow,
  deps: ExchangeDeps,
  unmaskable: Refusal | undefined,
): Promise<void> {
  if (deps.signal.aborted) return;
  if (unmaskable !== undefined) refuse(exchange, number, deps, unmaskable);
  else if (decision.outcome === 'hold' && exchange.prepareOnly !== true) await hold(exchange, number, decision, deps);
  else admit(exchange, number, decision, deps);
}

/** Writes the intent; forwards once it is on disk. */
function admit<F>(exchange: Exchange<F>, number: number, decision: Allow, deps: ExchangeDeps, approval?: string): void {
  deps.audit.intend(
    intentFields(deps.prefix, number, exchange, decision, approval),
    (permit) => {
      deps.recording.request(number, exchange.describe());
      exchange.forward(permit, new ReplyThrough(exchange, number, decision, deps));
    },
    () => deps.fail(unrecorded()),
  );
}

/** A refusal is durable before anybody reads it, and keeps its place among the commands around it. */
function refuse<F>(exchange: Exchange<F>, number: number, deps: ExchangeDeps, refusal: Refusal): undefined {
  deps.audit.intend(
    deniedFields(deps.prefix, number, exchange, refusal),
    (permit: Permit) => {
      deps.recording.request(number, exchange.describe());
      deps.recording.request(number, JSON.stringify({ refused: `${refusal.code}: ${refusal.message}` }));
      exchange.refuse(refusal, permit);
    },
    () => deps.fail(unrecorded()),
  );
  return undefined;
}

/** Frames from upstream: masked, recorded as shown, shown; and the outcome when the reply is complete. */
class ReplyThrough<F> implements Reply<F> {
  readonly #exchange: Exchange<F>;
  readonly #number: number;
  readonly #deps: ExchangeDeps;
  readonly #masks: Masks & { fields(): readonly MaskedField[] };
  #rows = 0;
  #bytes = 0;
  #withheld = false;

  constructor(exchange: Exchange<F>, number: number, decision: Allow, deps: ExchangeDeps) {
    this.#exchange = exchange;
    this.#number = number;
    this.#deps = deps;
    this.#masks = deps.masks(decision);
  }

  frames(frames: F, rows: number): Promise<void> | undefined {
    if (this.#withheld) return undefined;
    let shown: Buffer;
    try {
      shown = this.#exchange.mask(frames, this.#masks);
    } catch (error) {
      this.#withheld = true;
      this.#exchange.withhold(
        error instanceof Refusal ? error : new Refusal('MASK_IMPOSSIBLE', 'the reply could not be masked'),
      );
      return undefined;
    }
    this.#rows += rows;
    this.#bytes += shown.length;
    const kept = this.#exchange.recorded?.(shown) ?? shown;
    const recorded = kept.length === 0 ? undefined : this.#recorded(this.#deps.recording.reply(this.#number, kept));
    const taken = this.#exchange.respond(shown);
    if (recorded === undefined) return taken;
    return taken === undefined ? recorded : Promise.all([recorded, taken]).then(() => undefined);
  }

  sent(bytes: Buffer): Promise<void> | undefined {
    return this.#recorded(this.#deps.recording.sent(this.#number, bytes));
  }

  end(outcome: Pick<Outcome, 'status' | 'errorCode' | 'detail'>): void {
    const withheld = { ...outcome, status: 'error', errorCode: 'MASK_IMPOSSIBLE' } as const;
    const status = this.#withheld ? withheld : outcome;
    const seen = { rows: this.#rows, bytes: this.#bytes, masked: this.#masks.fields() };
    this.#deps.audit.note(outcomeFields(this.#deps.prefix, this.#number, { ...status, ...seen }));
  }

  #recorded(kept: Promise<void> | undefined): Promise<void> | undefined {
    return kept?.catch(() => this.#deps.fail(unrecorded()));
  }
}

/** A held command: attach to the request for exactly this command, wait a little, then go on, be told no, or be told to come back. */
async function hold<F>(exchange: Exchange<F>, number: number, decision: Hold, deps: ExchangeDeps): Promise<void> {
  try {
    let request = await deps.approvals.request(deps.session, deps.target, exchange.command, decision);
    if (request.state === 'open') {
      await deps.audit.record(heldEvent(deps.prefix, number, exchange, request));
      exchange.pending(request, deps.approvals.link(request.id));
      if (exchange.mayWait)
        request = await deps.approvals.settled(request.id, deps.target.holdMs, waiting(exchange, deps));
    }
    if (!deps.signal.aborted) await conclude(exchange, number, decision, deps, request);
  } catch (error) {
    if (error instanceof Refusal) refuse(exchange, number, deps, error);
    else deps.fail(unrecorded());
  }
}

async function conclude<F>(
  exchange: Exchange<F>,
  number: number,
  decision: Hold,
  deps: ExchangeDeps,
  request: ApprovalRequest,
): Promise<void> {
  if (request.state === 'denied') {
    const no = request.decisions.find((answer) => answer.answer === 'deny');
    const why = `${no?.approver.name ?? 'an approver'} refused this command${no?.reason ? `: ${no.reason}` : ''}`;
    refuse(
      exchange,
      number,
      deps,
      new Refusal('APPROVAL_DENIED', why, { rule: decision.rule, advice: 'do not retry; ask the approver' }),
    );
    return;
  }
  // Policy has the last word too: the yes is one more fact that it is asked about, under the version in force now.
  const digest = deps.approvals.digest(deps.session, exchange.command, decision.policyVersion);
  // A yes is used once, and not for a caller who has gone: it is there for the next try.
  const usable = request.state === 'approved' && exchange.cancelled?.aborted !== true;
  const grants = usable ? await deps.approvals.consume(request.id, digest) : undefined;
  if (grants === undefined) {
    refuse(exchange, number, deps, stillPending(request, decision, deps));
    return;
  }
  const final = deps.policy.decideCommand(deps.caller, deps.target, exchange.command.classified, grants);
  if (final.outcome === 'allow') {
    // Time has passed, and what may be shown may be something else.
    const unmaskable = await exchange.maskable(final.obligations);
    if (deps.signal.aborted) return;
    if (unmaskable === undefined) admit(exchange, number, final, deps, request.id);
    else refuse(exchange, number, deps, unmaskable);
  } else refuse(exchange, number, deps, final.outcome === 'deny' ? denial(final) : stillPending(request, final, deps));
}

/** The wait ends with the session, or when the caller takes the command back. */
function waiting<F>(exchange: Exchange<F>, deps: ExchangeDeps): AbortSignal {
  return exchange.cancelled === undefined ? deps.signal : AbortSignal.any([deps.signal, exchange.cancelled]);
}

function denial(decision: Decision & { outcome: 'deny' }): Refusal {
  const advice = decision.advice === undefined ? {} : { advice: decision.advice };
  return new Refusal('POLICY_DENIED', decision.reason, { rule: decision.rule, ...advice });
}

function stillPending(request: ApprovalRequest, decision: Hold, deps: ExchangeDeps): Refusal {
  const seconds = 15;
  return new Refusal(
    'APPROVAL_PENDING',
    `waiting for approval by ${decision.approvers.join(' and ')} (request ${request.id})`,
    {
      rule: decision.rule,
      link: deps.approvals.link(request.id),
      retryAfterMs: seconds * 1000,
      advice: `the request stays open: run the identical command again in about ${seconds} seconds, and do not try another way`,
    },
  );
}

function unrecorded(): Refusal {
  return new Refusal('AUDIT_UNAVAILABLE', 'the audit log cannot be written, so nothing may run; the session ends');
}
