/** A held command that waits for a person, and what became of it. */
export interface ApprovalRequest {
  /** UUIDv7. */
  readonly id: string;
  /** What the yes is bound to; see `approvals/digest.ts`. 64 hex digits. */
  readonly digest: string;
  readonly state: ApprovalState;
  readonly sessionId: string;
  readonly requester: { readonly id: string; readonly name: string; readonly kind: string; readonly owner?: string };
  readonly target: string;
  readonly verb: string;
  readonly text: string;
  readonly parameters?: readonly (string | null)[];
  /** What the command would do, for the approver's eyes: commits and a diff, a blast radius. */
  readonly preview?: string;
  readonly resources: readonly string[];
  /** The policy that held it, and everything that was asked for at the time. */
  readonly rule: string;
  readonly policyVersion: string;
  /** Groups of which one member must say yes; one per approver name that policy asked for. */
  readonly approvers: readonly string[];
  readonly createdAt: number;
  /** After this nobody can approve it, and an unused yes is void. ms since the epoch. */
  readonly expiresAt: number;
  readonly decisions: readonly ApprovalDecision[];
}

/** open → approved → consumed, or open → denied, or open/approved → expired. */
export type ApprovalState = 'open' | 'approved' | 'denied' | 'consumed' | 'expired';

export interface ApprovalDecision {
  readonly approver: { readonly id: string; readonly name: string };
  readonly answer: 'approve' | 'deny';
  /** Which of the requested approver groups this answer speaks for. */
  readonly groups: readonly string[];
  readonly reason: string;
  readonly at: number;
}
