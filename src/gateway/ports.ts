import type { Permit } from '../audit/permit.ts';
import type { ApprovalRequest } from '../model/approval.ts';
import type { Classified, Command } from '../model/command.ts';
import type { Decision } from '../model/decision.ts';
import type { AuditEvent } from '../model/event.ts';
import type { Caller } from '../model/principal.ts';
import type { Session } from '../model/session.ts';
import type { Target, TargetCredential } from '../model/target.ts';

/** What the line needs from its neighbours. Each is implemented in the room of its name and composed in main.ts. */

export interface PolicyPort {
  /** Identifies the text of all active policies; 16 hex digits. */
  readonly version: string;
  /** Pure but for its cache; never throws: whatever goes wrong inside is a deny. `grants` are approver groups that said yes. */
  decideCommand(caller: Caller, target: Target, command: Classified, grants?: readonly string[]): Decision;
  decideConnect(caller: Caller, target: Target): Decision;
  /** May this person answer an approval request (besides the fixed rules that approvals/ itself enforces)? */
  decideApprove(caller: Caller, request: ApprovalRequest, target: Target | undefined): Decision;
  /** API actions on the gateway itself: `review` (sessions, recordings, audit), `configure`. */
  decideAdmin(caller: Caller, action: 'review' | 'configure'): Decision;
}

export interface AuditPort {
  /**
   * Appends an intent to the turn's group write. `granted` runs, in order of appending, when it is on disk; `failed` when it cannot be.
   * `fields` is the event's JSON without its braces (`"type":"command.intent","session":…`), so that the data path can reuse prefixes.
   */
  intend(fields: string, granted: (permit: Permit) => void, failed: (error: Error) => void): void;
  /** Opens a session durably; the permit is for the session's housekeeping. */
  openSession(event: AuditEvent & { type: 'session.started' }): Promise<Permit>;
  /** Appends; resolves with the sequence number when it is on disk. */
  record(event: AuditEvent): Promise<number>;
  /** Appends without waiting: goes with the next group write, at the latest 5 ms on. A failure to write fails the next intent. */
  note(fields: string): void;
}

/** Records what the client asked and what it saw. One per session. */
export interface RecordingPort {
  open(session: Session): SessionRecording;
}

export interface SessionRecording {
  /** A request as JSON text (protocol-defined), for exchange number `exchange`. */
  request(exchange: number, json: string): void;
  /** Bytes that the caller sends after a request: as `reply`. */
  sent(exchange: number, bytes: Buffer): Promise<void> | undefined;
  /**
   * Reply bytes exactly as the client gets them. Copies what it keeps. Returns undefined when it keeps up, otherwise a
   * promise that resolves when the source may go on; rejects when recording has failed (the session must end).
   */
  reply(exchange: number, bytes: Buffer): Promise<void> | undefined;
  /** Flushes and seals; resolves when the sealing event is in the log. */
  close(): Promise<void>;
}

export interface ApprovalsPort {
  /** Finds the open or approved request for exactly this command, or makes one and notifies the approvers. */
  request(
    session: Session,
    target: Target,
    command: Command,
    decision: Decision & { outcome: 'hold' },
  ): Promise<ApprovalRequest>;
  /** Resolves when the request is settled, the time is over or the signal fires, with its state then. */
  settled(id: string, timeoutMs: number, signal: AbortSignal): Promise<ApprovalRequest>;
  /** Uses up the yes, exactly once among all callers and nodes. Returns the approver groups that said yes, or undefined when there is nothing to use. */
  consume(id: string, digest: string): Promise<readonly string[] | undefined>;
  /** What a yes is bound to: principal, target, text, parameters, scope and policy version. 64 hex digits. */
  digest(session: Session, command: Command, policyVersion: string): string;
  /** The request as it stands now; undefined where there is none with that id. */
  find(id: string): Promise<ApprovalRequest | undefined>;
  /** Where a person decides. */
  link(id: string): string;
}

export interface IdentityPort {
  /** Verifies an OIDC JWT or a ticket. Throws Refusal LOGIN_FAILED; says why only to the audit log. */
  authenticate(credential: string, audience: 'target' | 'api', peer: { address: string }): Promise<Caller>;
  /** Fires when the proof is revoked while a session uses it. Call the result to stop listening. */
  onRevoked(proofId: string, listener: () => void): () => void;
}

export interface SecretsPort {
  /** Throws Refusal UPSTREAM_UNAVAILABLE without the secret in its text. */
  credential(target: Target): Promise<TargetCredential>;
}
