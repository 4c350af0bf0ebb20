import type { ApprovalRequest } from '../model/approval.ts';
import type { Caller } from '../model/principal.ts';
import { covered } from './coverage.ts';

/** Why somebody may not answer: the name of the fixed rule, and the sentence for them. */
export interface Objection {
  readonly rule: string;
  readonly message: string;
}

/**
 * The separation of duties, which holds whatever policy says. Pure; undefined means that these rules do not object.
 *
 * - Only people answer, logged in themselves: a ticket is what agents carry, so a ticket never answers.
 * - Nobody has a hand in both ends: not the requester, not its owner, nobody who is owned by either or by the same owner.
 * - Nobody answers twice, nor through a principal they own.
 * - A yes must speak for a group that nobody speaks for yet (two groups need two people, see coverage.ts). A no may come from a member
 *   of any group that was asked.
 */
export function objection(
  { principal, proof }: Caller,
  request: ApprovalRequest,
  answer: 'approve' | 'deny',
): Objection | undefined {
  if (principal.kind !== 'human')
    return {
      rule: 'approval-by-person',
      message: `only a person may answer an approval request, and ${principal.id} is of kind ${principal.kind}`,
    };
  if (proof.kind !== 'oidc')
    return {
      rule: 'approval-by-login',
      message: 'only a login may answer an approval request; tickets are for agents and tools',
    };

  const asking = identities(request.requester);
  const answering = identities(principal);
  if (request.requester.id === principal.id)
    return { rule: 'approval-not-own', message: 'nobody may answer their own request' };
  if (request.requester.owner === principal.id)
    return {
      rule: 'approval-not-own',
      message: `nobody may answer a request of an agent they own (${request.requester.id})`,
    };
  if (meet(asking, answering))
    return { rule: 'approval-not-own', message: `you and the requester ${request.requester.id} belong to one owner` };
  if (request.decisions.some(({ approver }) => answering.includes(approver.id))) {
    return { rule: 'approval-once', message: 'you have answered this request before' };
  }

  const groups = groupsOf(principal.groups, request);
  const wanted = request.approvers.join(' and ') || 'nobody';
  if (groups.length === 0)
    return { rule: 'approval-group', message: `this request asks for ${wanted}, and you belong to none of them` };
  if (answer === 'deny') return undefined;
  const now = covered(request.approvers, request.decisions);
  const then = covered(request.approvers, [...request.decisions, { answer, groups }]);
  if (then === now)
    return {
      rule: 'approval-group',
      message: `${groups.join(' and ')} has a yes already; each group (${wanted}) needs a person of its own`,
    };
  return undefined;
}

/** Which of the groups that were asked this person belongs to. */
export function groupsOf(memberships: readonly string[], request: ApprovalRequest): readonly string[] {
  return request.approvers.filter((group) => memberships.includes(group));
}

function identities({ id, owner }: { readonly id: string; readonly owner?: string }): readonly string[] {
  return owner === undefined ? [id] : [id, owner];
}

function meet(some: readonly string[], others: readonly string[]): boolean {
  return some.some((each) => others.includes(each));
}
