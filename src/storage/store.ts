import type { ApprovalDecision, ApprovalRequest, ApprovalState } from '../model/approval.ts';
import type { Principal } from '../model/principal.ts';

/**
 * State that must outlive a process and be shared by all nodes: approvals and tickets. (History is not here: it is in the
 * audit log, whose index can be rebuilt.) Every adapter runs the suite in store.contract.ts. All methods reject when the store fails.
 */
export interface Store {
  readonly approvals: ApprovalStore;
  readonly tickets: TicketStore;
  close(): Promise<void>;
}

export interface ApprovalStore {
  /**
   * Inserts unless a live request with the same digest exists; returns the one that is there then. Live is open, approved or denied,
   * and unexpired at the new request's `createdAt`: a denial answers identical retries until it expires too. Undefined when nothing
   * was found and the requester has `limit` requests pending. Atomic among all nodes.
   */
  findOrCreate(
    request: ApprovalRequest,
    limit: number,
  ): Promise<{ readonly request: ApprovalRequest; readonly created: boolean } | undefined>;
  /** The live request with this digest. */
  find(digest: string, now: number): Promise<ApprovalRequest | undefined>;
  /** How many requests of this principal are pending: open or denied, and unexpired. */
  pending(requester: string, now: number): Promise<number>;
  get(id: string): Promise<ApprovalRequest | undefined>;
  /** Adds an answer and sets the state, only if the request is still open, unexpired at `decision.at` and has the answers that `expected` counts; false otherwise. */
  answer(id: string, expected: number, decision: ApprovalDecision, state: ApprovalState): Promise<boolean>;
  /** approved → consumed, exactly once, only with this digest and before expiry. */
  consume(id: string, digest: string, now: number): Promise<boolean>;
  /** open or approved → expired, where `expiresAt` ≤ now; returns what expired, each once among all nodes, at most 500 in one call. */
  expire(now: number): Promise<readonly ApprovalRequest[]>;
  /** Newest first (ids are UUIDv7); those older than the request whose id is `after`. */
  list(query: { state?: ApprovalState; limit: number; after?: string }): Promise<readonly ApprovalRequest[]>;
}

export interface StoredTicket {
  readonly id: string;
  /** SHA-256 of the secret, hex. */
  readonly hash: string;
  readonly principal: Principal;
  readonly targets: readonly string[];
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly revokedAt?: number;
}

export interface TicketStore {
  insert(ticket: StoredTicket): Promise<void>;
  byHash(hash: string): Promise<StoredTicket | undefined>;
  byId(id: string): Promise<StoredTicket | undefined>;
  list(principal: string | undefined): Promise<readonly StoredTicket[]>;
  /** False when there is none or it was revoked before. */
  revoke(id: string, now: number): Promise<boolean>;
}
