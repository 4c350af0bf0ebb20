import type { ApprovalState } from '../../model/approval.ts';

/**
 * The tables, as kysely sees them. What is never searched for is JSON text in one column: any string survives there,
 * NUL and lone surrogates included (JSON escapes them), and an older row needs no migration when a field is added.
 */
export interface Tables {
  readonly approvals: ApprovalRow;
  readonly tickets: TicketRow;
}

export interface ApprovalRow {
  readonly id: string;
  readonly digest: string;
  readonly state: ApprovalState;
  readonly requester: string;
  readonly created_at: number;
  readonly expires_at: number;
  /** JSON: the parts of an ApprovalRequest that never change and have no column. */
  readonly request: string;
  /** JSON: ApprovalDecision[]. */
  readonly decisions: string;
}

export interface TicketRow {
  readonly id: string;
  readonly hash: string;
  readonly principal_id: string;
  readonly created_at: number;
  readonly expires_at: number;
  readonly revoked_at: number | null;
  /** JSON: `{ principal, targets }`. */
  readonly ticket: string;
}
