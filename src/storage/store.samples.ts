import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { ApprovalDecision, ApprovalRequest } from '../model/approval.ts';
import type { StoredTicket } from './store.ts';

/** Made-up records for the contract suite. */

let made = 0;

/** Sorts after every id made before it in this process, as UUIDv7 does. */
export function sampleId(): string {
  return `01900000-${(++made)
    .toString(16)
    .padStart(8, '0')
    .replace(/(.{4})/, '$1-7')}-${randomUUID().slice(24)}`;
}

export function sampleRequest(changes: Partial<ApprovalRequest> = {}): ApprovalRequest {
  return {
    id: sampleId(),
    digest: createHash('sha256').update(randomBytes(16)).digest('hex'),
    state: 'open',
    sessionId: randomUUID(),
    requester: { id: `corp:agent-${randomUUID()}`, name: 'an agent', kind: 'agent', owner: 'corp:owner' },
    target: 'orders',
    verb: 'DELETE',
    text: 'delete from orders where id = $1',
    parameters: ['1', null],
    resources: ['write Table public.orders'],
    rule: 'deletes-need-dba',
    policyVersion: '0123456789abcdef',
    approvers: ['dba'],
    createdAt: 1_000,
    expiresAt: 2_000,
    decisions: [],
    ...changes,
  };
}

export function sampleDecision(changes: Partial<ApprovalDecision> = {}): ApprovalDecision {
  return {
    approver: { id: 'corp:dba', name: 'a dba' },
    answer: 'approve',
    groups: ['dba'],
    reason: 'looks right',
    at: 1_500,
    ...changes,
  };
}

export function sampleTicket(changes: Partial<StoredTicket> = {}): StoredTicket {
  const subject = randomUUID();
  return {
    id: randomUUID(),
    hash: createHash('sha256').update(subject).digest('hex'),
    principal: {
      id: `corp:${subject}`,
      kind: 'human',
      issuer: 'corp',
      subject,
      name: 'a person',
      groups: ['dev'],
      claims: { run: 7 },
    },
    targets: ['orders'],
    createdAt: 1_000,
    expiresAt: 2_000,
    ...changes,
  };
}
