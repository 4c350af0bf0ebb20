import type { SessionSummary } from '../gateway/admin.ts';
import type { PolicyPort } from '../gateway/ports.ts';
import type { ApprovalRequest } from '../model/approval.ts';
import { Refusal } from '../model/errors.ts';
import type { Caller } from '../model/principal.ts';
import type { Target } from '../model/target.ts';

/**
 * Who may do what at the API. Policy has the word on administration; a few rules are fixed:
 * - everybody sees what is their own;
 * - a ticket stands for its principal at its targets only: at the API it reads what is its principal's own, and changes nothing.
 *   (It is made to be handed to an agent; it must not carry the rights of the person who got it.)
 */
export interface Access {
  review(caller: Caller): boolean;
  configure(caller: Caller): boolean;
  session(caller: Caller, session: SessionSummary): boolean;
  approval(caller: Caller, request: ApprovalRequest): boolean;
  target(caller: Caller, target: Target): boolean;
}

export function createAccess(policy: PolicyPort, target: (name: string) => Target | undefined): Access {
  const review = (caller: Caller) =>
    caller.proof.kind === 'oidc' && policy.decideAdmin(caller, 'review').outcome === 'allow';
  return {
    review,
    configure: (caller) => caller.proof.kind === 'oidc' && policy.decideAdmin(caller, 'configure').outcome === 'allow',
    session: (caller, session) =>
      (session.principal === caller.principal.id && inScope(caller, session.target)) || review(caller),
    approval: (caller, request) => {
      const { id } = caller.principal;
      const own = request.requester.id === id || request.requester.owner === id;
      return (
        (own && inScope(caller, request.target)) ||
        mayAnswer(caller, request, policy, target(request.target)) ||
        review(caller)
      );
    },
    target: (caller, found) => inScope(caller, found.name) && policy.decideConnect(caller, found).outcome === 'allow',
  };
}

/** Throws Refusal POLICY_DENIED for a proof that was made to be handed on. */
export function needLogin(caller: Caller, what: string): void {
  if (caller.proof.kind === 'oidc') return;
  throw new Refusal('POLICY_DENIED', `a ticket cannot ${what}: it is for its targets only`, {
    rule: 'ticket-scope',
    advice: 'use an OIDC token of your own: sallyport login, or --token-file',
  });
}

export function denied(what: string, right: 'review' | 'configure'): Refusal {
  return new Refusal('POLICY_DENIED', `you may not ${what}`, {
    advice: `a policy would have to permit the action "${right}" to you`,
  });
}

function inScope(caller: Caller, target: string): boolean {
  return caller.proof.targets === undefined || caller.proof.targets.includes(target);
}

function mayAnswer(caller: Caller, request: ApprovalRequest, policy: PolicyPort, target: Target | undefined): boolean {
  const { principal, proof } = caller;
  if (principal.kind !== 'human' || proof.kind !== 'oidc') return false;
  if (!request.approvers.some((group) => principal.groups.includes(group))) return false;
  return policy.decideApprove(caller, request, target).outcome === 'allow';
}
