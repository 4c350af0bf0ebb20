import type { ApprovalsAdmin } from '../gateway/admin.ts';
import type { ApprovalsPort, AuditPort, PolicyPort } from '../gateway/ports.ts';
import type { ApprovalDecision, ApprovalRequest, ApprovalState } from '../model/approval.ts';
import type { Command } from '../model/command.ts';
import { Refusal } from '../model/errors.ts';
import type { Caller } from '../model/principal.ts';
import type { Session } from '../model/session.ts';
import type { Target } from '../model/target.ts';
import type { ApprovalStore } from '../storage/store.ts';
import { isApproved } from './coverage.ts';
import { digest } from './digest.ts';
import * as events from './events.ts';
import type { Notifier } from './notifier.ts';
import { visible, visibleLine } from './present.ts';
import { requestId } from './request-id.ts';
import { groupsOf, objection } from './separation.ts';
import { Wakeups } from './wakeups.ts';

export interface ApprovalsDeps {
  readonly store: { readonly approvals: ApprovalStore };
  readonly audit: Pick<AuditPort, 'record'>;
  readonly policy: Pick<PolicyPort, 'version' | 'decideApprove'>;
  readonly targets: { get(name: string): Target | undefined };
  readonly now: () => number;
  /** Where people reach the API and the console; links begin with it. */
  readonly externalUrl: string;
  /** How long a request stays open, and an unused yes good, ms from the request. */
  readonly defaultTtlMs: number;
  readonly notifiers: readonly Notifier[];
  /** Requests one principal may have open or denied at a time: people who are asked too much stop reading. Default 20. */
  readonly maxPending?: number;
  /** How often waiting callers look at the store, for answers given on another node, ms. Default 1000. */
  readonly pollMs?: number;
  /** How often expired requests are swept up, ms. Default 5000. */
  readonly sweepMs?: number;
  /** Failures that no caller hears of: a notifier, the sweep. Default: a process warning. */
  readonly warn?: (message: string) => void;
}

export type Approvals = ApprovalsPort & ApprovalsAdmin & { close(): Promise<void> };

const reasonLimit = 2_000;

/**
 * Held commands and the people who answer them. All state is in the store, so any node can take any step; what a node keeps
 * (who waits here, which request is being made here) only saves time. Every step is in the audit log before it takes effect, except
 * those that only take something away (a yes used up, a request expired), which come after.
 */
export function createApprovals(deps: ApprovalsDeps): Approvals {
  const { audit, policy, now } = deps;
  const store = deps.store.approvals;
  const { maxPending = 20, pollMs = 1_000, sweepMs = 5_000, warn = (message) => process.emitWarning(message) } = deps;
  const wakeups = new Wakeups();
  const making = new Map<string, Promise<ApprovalRequest>>();
  const closing = new AbortController();
  const background = new Set<Promise<void>>();

  const link = (id: string) => `${deps.externalUrl.replace(/\/+$/, '')}/approvals/${encodeURIComponent(id)}`;
  const bound = (session: Session, command: Command, policyVersion: string) => {
    const { principal, target, protocol } = session;
    return digest({ ...command, principal: principal.id, target, protocol, policyVersion });
  };

  /** Work that nobody waits for; close() does. */
  function detached(what: string, work: Promise<void>): void {
    const running: Promise<void> = work
      .catch((error: unknown) => {
        if (!closing.signal.aborted)
          warn(`approvals: ${what}: ${error instanceof Error ? error.message : String(error)}`);
      })
      .finally(() => background.delete(running));
    background.add(running);
  }

  async function make(request: ApprovalRequest): Promise<ApprovalRequest> {
    const found = await store.find(request.digest, request.createdAt);
    if (found !== undefined) return found;
    if ((await store.pending(request.requester.id, request.createdAt)) >= maxPending) throw tooMany(maxPending);
    // In the log first: nobody is ever asked for something that the log does not know. If another node is quicker, or the store
    // fails, the log knows of a request that never was, which does no harm.
    await audit.record(events.requested(request));
    const result = await store.findOrCreate(request, maxPending);
    if (result === undefined) {
      await audit.record(events.expired(request, 'limit'));
      throw tooMany(maxPending);
    }
    if (!result.created) {
      await audit.record(events.expired(request, 'attached', result.request.id));
      return result.request;
    }
    for (const notifier of deps.notifiers) {
      detached(`notifier ${notifier.name}`, (async () => notifier.notify(request, link(request.id), closing.signal))());
    }
    return request;
  }

  async function current(id: string): Promise<ApprovalRequest | undefined> {
    const request = await store.get(id);
    return request && asOf(request, now());
  }

  async function expire(): Promise<void> {
    for (;;) {
      const due = await store.expire(now());
      for (const request of due) wakeups.wake(request.id);
      await Promise.all(due.map((request) => audit.record(events.expired(request, 'time'))));
      if (due.length === 0) return;
    }
  }

  const sweep = setInterval(() => detached('sweep', expire()), sweepMs);
  sweep.unref();

  return {
    link,
    digest: bound,

    request(session, target, command, decision) {
      const key = bound(session, command, decision.policyVersion);
      const at = now();
      // Identical commands that arrive here together are one request, in the log too.
      const already = making.get(key);
      if (already !== undefined) return already;
      const request = make({
        id: requestId(at),
        digest: key,
        state: 'open',
        sessionId: session.id,
        requester: requesterOf(session),
        target: target.name,
        verb: command.classified.verb,
        text: command.text,
        ...(command.parameters === undefined ? {} : { parameters: command.parameters }),
        ...(command.preview === undefined ? {} : { preview: command.preview }),
        resources: command.classified.resources.map(({ access, type, id }) => `${access} ${type} ${id}`),
        rule: decision.rule,
        policyVersion: decision.policyVersion,
        approvers: [...new Set(decision.approvers)],
        createdAt: at,
        expiresAt: at + deps.defaultTtlMs,
        decisions: [],
      }).finally(() => making.delete(key));
      making.set(key, request);
      return request;
    },

    async settled(id, timeoutMs, signal) {
      const listening = wakeups.listen(id);
      const deadline = performance.now() + timeoutMs;
      try {
        for (;;) {
          const request = await store.get(id);
          if (request === undefined) throw new Error(`there is no approval request ${id}`);
          const current = asOf(request, now());
          const left = deadline - performance.now();
          if (current.state !== 'open' || left <= 0 || signal.aborted) return current;
          await listening.next(Math.min(left, pollMs), signal);
        }
      } finally {
        listening.end();
      }
    },

    async consume(id, key) {
      const request = await store.get(id);
      if (request === undefined || request.digest !== key) return undefined;
      // Counted again from the answers themselves: a state alone is not a yes.
      if (!isApproved(request.approvers, request.decisions)) return undefined;
      if (!(await store.consume(id, key, now()))) return undefined;
      await audit.record(events.consumed(request));
      wakeups.wake(id);
      return request.approvers;
    },

    async list(query) {
      const { limit, after, state } = query;
      const at = now();
      // The sweep may be a little late; what is over is not listed as open.
      if (state !== undefined) await expire();
      const found = await store.list({
        limit: limit + 1,
        ...(after === undefined ? {} : { after }),
        ...(state === undefined ? {} : { state }),
      });
      const items = found.slice(0, limit).map((request) => asOf(request, at));
      const last = items.at(-1);
      return found.length > limit && last !== undefined ? { items, next: last.id } : { items };
    },

    get: current,
    find: current,

    async answer(id, caller, answer, reason) {
      const stored = await store.get(id);
      if (stored === undefined) throw no('approval-unknown', 'there is no such approval request');
      const at = now();
      const request = asOf(stored, at);
      if (request.state !== 'open') throw no('approval-settled', settledMessage(request));
      const objected = objection(caller, request, answer);
      if (objected !== undefined) throw no(objected.rule, objected.message);
      if (answer === 'approve' && request.policyVersion !== policy.version) {
        throw no(
          'approval-outdated',
          'the policies have changed since this was asked, so a yes would be void; the next try makes a new request',
        );
      }
      if (reason.length > reasonLimit)
        throw new Refusal('LIMIT_EXCEEDED', `a reason has at most ${reasonLimit} characters`);
      const verdict = policy.decideApprove(caller, request, deps.targets.get(request.target));
      if (verdict.outcome !== 'allow') {
        throw no(
          verdict.rule,
          verdict.outcome === 'deny' ? verdict.reason : 'policy lets nobody answer this request on their own',
          verdict.advice,
        );
      }

      const decision = decisionOf(caller, request, answer, reason, at);
      const decisions = [...request.decisions, decision];
      const state: ApprovalState =
        answer === 'deny' ? 'denied' : isApproved(request.approvers, decisions) ? 'approved' : 'open';
      const seq = await audit.record(events.decided(request, decision, state));
      if (!(await store.answer(id, request.decisions.length, decision, state))) {
        await audit.record(events.overtaken(request, decision, seq));
        const current = await store.get(id);
        throw no(
          'approval-settled',
          `somebody else was quicker, and your answer changed nothing: ${settledMessage(current && asOf(current, now()))}`,
        );
      }
      wakeups.wake(id);
      return { ...request, state, decisions };
    },

    async close() {
      clearInterval(sweep);
      closing.abort(new Error('the gateway is stopping'));
      await Promise.allSettled(background);
    },
  };
}

/** A request as it is at `now`, whether the sweep has come by or not. */
export function asOf(request: ApprovalRequest, now: number): ApprovalRequest {
  const over = (request.state === 'open' || request.state === 'approved') && request.expiresAt <= now;
  return over ? { ...request, state: 'expired' } : request;
}

function requesterOf({ principal }: Session): ApprovalRequest['requester'] {
  const { id, name, kind, owner } = principal;
  return { id, name, kind, ...(owner === undefined ? {} : { owner }) };
}

/** Names and reasons go to agents' terminals, so they are made harmless before they are kept. */
function decisionOf(
  { principal }: Caller,
  request: ApprovalRequest,
  answer: 'approve' | 'deny',
  reason: string,
  at: number,
): ApprovalDecision {
  return {
    approver: { id: principal.id, name: visibleLine(principal.name) },
    answer,
    groups: groupsOf(principal.groups, request),
    reason: visible(reason.trim()),
    at,
  };
}

function settledMessage(request: ApprovalRequest | undefined): string {
  if (request === undefined) return 'the request is gone';
  const last = request.decisions.at(-1);
  switch (request.state) {
    case 'open':
      return `the request is still open with ${request.decisions.length} answers; look at it again`;
    case 'expired':
      return `the request expired at ${new Date(request.expiresAt).toISOString()}`;
    case 'consumed':
      return 'the request was approved, and the yes has been used';
    default:
      return `the request was ${request.state}${last === undefined ? '' : ` by ${last.approver.name}`}`;
  }
}

function no(rule: string, message: string, advice?: string): Refusal {
  return new Refusal('POLICY_DENIED', message, { rule, ...(advice === undefined ? {} : { advice }) });
}

function tooMany(limit: number): Refusal {
  return new Refusal(
    'LIMIT_EXCEEDED',
    `${limit} commands of yours wait for approval or were denied, which is the most at a time`,
    {
      rule: 'approval-limit',
      advice:
        'wait until a person has answered some of them or they expire; do not ask for variations of the same thing',
    },
  );
}
