import type { ApprovalRequest, ApprovalState } from '../model/approval.ts';
import type { Decision } from '../model/decision.ts';
import type { EventType, RecordedEvent } from '../model/event.ts';
import type { Caller, Principal } from '../model/principal.ts';
import type { Session } from '../model/session.ts';
import type { Target } from '../model/target.ts';
import type { Inspection, Proposal, ReplayItem } from './protocol.ts';

/** What the API asks of the rooms behind it. Composed in main.ts; the API itself holds no state. */
export interface Admin {
  readonly sessions: SessionsAdmin;
  readonly approvals: ApprovalsAdmin;
  readonly audit: AuditAdmin;
  readonly policies: PoliciesAdmin;
  readonly tickets: TicketsAdmin;
  readonly targets: TargetsAdmin;
}

/** Cursor pages: newest first; `next` is absent on the last one. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string;
}
export interface PageQuery {
  /** 1–500. */
  readonly limit: number;
  readonly after?: string;
}

export interface SessionSummary {
  readonly id: string;
  readonly principal: string;
  readonly principalName: string;
  readonly principalKind: string;
  readonly target: string;
  readonly protocol: string;
  readonly client: { readonly address: string; readonly application?: string };
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly endReason?: string;
  readonly commands: number;
  readonly denied: number;
  readonly held: number;
  readonly live: boolean;
}

export interface SessionsAdmin {
  list(query: PageQuery & { principal?: string; target?: string; live?: boolean }): Promise<Page<SessionSummary>>;
  get(id: string): Promise<SessionSummary | undefined>;
  /** Statements, columns, rows, in order; starts after item number `skip`. Undefined when there is no recording. Records `recording.viewed`. */
  replay(id: string, viewer: Caller, skip: number): AsyncIterable<ReplayItem> | undefined;
  /** Ends a live session; false when it is not live. Recorded with who and why. */
  terminate(id: string, by: Caller, reason: string): Promise<boolean>;
}

export interface ApprovalsAdmin {
  list(query: PageQuery & { state?: ApprovalState }): Promise<Page<ApprovalRequest>>;
  get(id: string): Promise<ApprovalRequest | undefined>;
  /**
   * Throws Refusal POLICY_DENIED when this caller may not answer: the requester, the requester's owner, anybody who is not a
   * person, anybody outside the groups asked for, or whom policy forbids. Recorded before it takes effect.
   */
  answer(id: string, caller: Caller, answer: 'approve' | 'deny', reason: string): Promise<ApprovalRequest>;
}

export interface AuditAdmin {
  /** Filters are conjunctive; oldest first when `after` is a sequence number. */
  events(
    query: PageQuery & {
      type?: EventType;
      session?: string;
      principal?: string;
      target?: string;
      from?: string;
      to?: string;
    },
  ): Promise<Page<RecordedEvent>>;
  /** The latest signed checkpoint (C2SP signed note) and the verification key (vkey) of the log. */
  checkpoint(): Promise<{ readonly note: string; readonly vkey: string }>;
  /** The log as a tar stream (POSIX ustar) in tlog-tiles layout, verifiable offline. Records `audit.exported`. */
  export(by: Caller): AsyncIterable<Buffer>;
}

export interface PolicySource {
  readonly id: string;
  readonly file: string;
  readonly text: string;
  readonly effect: 'permit' | 'forbid';
  readonly annotations: Readonly<Record<string, string>>;
}

export interface PoliciesAdmin {
  list(): Promise<{ readonly version: string; readonly policies: readonly PolicySource[] }>;
  /** What would be decided for this principal, target and command text, and why: nothing runs. */
  explain(question: { principal: Principal; target: string; text: string }): Promise<Explanation>;
  /** Reads the policy folder again. The old policies stay in force when the new ones are not valid; then it throws ConfigError. */
  reload(): Promise<{ readonly version: string }>;
}

export interface Explanation {
  readonly decision: Decision;
  readonly verb: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  /** Each policy that applied, with its effect and what it asks for. */
  readonly because: readonly { readonly id: string; readonly effect: 'permit' | 'forbid'; readonly advice?: string }[];
  /** Classification → method, for what the command could show. */
  readonly masks: Readonly<Record<string, string>>;
}

export interface TicketSummary {
  readonly id: string;
  readonly principal: string;
  readonly targets: readonly string[];
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly revokedAt?: number;
}

export interface TicketsAdmin {
  /** The secret is in the answer and nowhere else, ever: only its hash is stored. `ttlMs` is capped by configuration. */
  issue(
    caller: Caller,
    request: { targets: readonly string[]; ttlMs: number },
  ): Promise<{ readonly ticket: TicketSummary; readonly secret: string }>;
  list(caller: Caller): Promise<readonly TicketSummary[]>;
  /** Own tickets, or any with `configure`. Ends the sessions that use it. False when there is none. */
  revoke(caller: Caller, id: string): Promise<boolean>;
}

export interface TargetsAdmin {
  list(): Promise<readonly TargetSummary[]>;
  get(name: string): Target | undefined;
  /**
   * Has a target sampled for what should be classified; records who asked before anything is looked at. Throws Refusal
   * TARGET_UNKNOWN, UNSUPPORTED where the target's protocol has no way to, UPSTREAM_UNAVAILABLE.
   */
  propose(name: string, by: Caller): Promise<Proposal>;
}

export interface TargetSummary {
  readonly name: string;
  readonly protocol: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly inspection?: Inspection;
}

export type { Session };
