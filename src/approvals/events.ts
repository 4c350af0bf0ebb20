import type { ApprovalDecision, ApprovalRequest, ApprovalState } from '../model/approval.ts';
import type { AuditEvent } from '../model/event.ts';

/** What the audit log says about approvals. `principal` is who acted: the requester, or the approver for `approval.decided`. */

export function requested(request: ApprovalRequest): AuditEvent {
  const { verb, text, parameters, resources, rule, policyVersion, approvers, expiresAt, requester } = request;
  return {
    type: 'approval.requested',
    session: request.sessionId,
    principal: requester.id,
    ...subject(request),
    ...(requester.owner === undefined ? {} : { owner: requester.owner }),
    rule,
    policy: policyVersion,
    approvers,
    verb,
    resources,
    text,
    ...(parameters === undefined ? {} : { parameters }),
    expiresAt: new Date(expiresAt).toISOString(),
  };
}

/** `state` is what the request becomes by it. */
export function decided(request: ApprovalRequest, decision: ApprovalDecision, state: ApprovalState): AuditEvent {
  const { approver, answer, groups, reason } = decision;
  return {
    type: 'approval.decided',
    principal: approver.id,
    ...subject(request),
    requester: request.requester.id,
    requestSession: request.sessionId,
    answer,
    groups,
    reason,
    state,
  };
}

/** Another answer was stored first, so the one recorded as `seq` changed nothing. */
export function overtaken(request: ApprovalRequest, decision: ApprovalDecision, seq: number): AuditEvent {
  return {
    type: 'approval.decided',
    principal: decision.approver.id,
    ...subject(request),
    answer: decision.answer,
    effect: 'none',
    refersTo: seq,
  };
}

export function consumed(request: ApprovalRequest): AuditEvent {
  return {
    type: 'approval.consumed',
    principal: request.requester.id,
    ...subject(request),
    requestSession: request.sessionId,
    groups: request.approvers,
    approvedBy: request.decisions.filter(({ answer }) => answer === 'approve').map(({ approver }) => approver.id),
  };
}

/** `reason`: `time` when nobody answered in time or the yes was not used; otherwise why a recorded request never came to be. */
export function expired(
  request: ApprovalRequest,
  reason: 'time' | 'limit' | 'attached',
  attachedTo?: string,
): AuditEvent {
  return {
    type: 'approval.expired',
    principal: request.requester.id,
    ...subject(request),
    requestSession: request.sessionId,
    reason,
    answers: request.decisions.length,
    ...(attachedTo === undefined ? {} : { attachedTo }),
  };
}

function subject(request: ApprovalRequest) {
  return { target: request.target, approval: request.id, digest: request.digest };
}
