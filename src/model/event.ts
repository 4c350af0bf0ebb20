/** What the audit log holds. Each type is documented in docs/reference/events.md. */
export const eventTypes = [
  'gateway.started',
  'gateway.stopped',
  'gateway.recovered',
  'auth.succeeded',
  'auth.failed',
  'ticket.issued',
  'ticket.revoked',
  'session.started',
  'session.ended',
  'session.terminated',
  'command.intent',
  'command.outcome',
  'command.denied',
  'command.held',
  'approval.requested',
  'approval.decided',
  'approval.consumed',
  'approval.expired',
  'policy.activated',
  'policy.rejected',
  'target.inspected',
  'target.classified',
  'recording.sealed',
  'recording.viewed',
  'audit.exported',
  'audit.heartbeat',
  'audit.part',
  'shipping.started',
  'shipping.failing',
  'shipping.recovered',
  'shipping.refused',
] as const;
export type EventType = (typeof eventTypes)[number];

/**
 * An event as it is handed to the log: JSON values only, no secret, no value the client could not see.
 * The log adds `seq` (gapless per log) and `time` (RFC 3339, UTC, ms) in front.
 */
export interface AuditEvent {
  readonly type: EventType;
  readonly session?: string;
  readonly principal?: string;
  readonly target?: string;
  readonly [field: string]: unknown;
}

export interface RecordedEvent extends AuditEvent {
  readonly seq: number;
  readonly time: string;
}

/** How a command ended. */
export interface Outcome {
  readonly status: 'ok' | 'error' | 'cancelled' | 'unknown';
  readonly rows: number;
  /** Bytes shown to the client. */
  readonly bytes: number;
  /** The target's own code for an error (SQLSTATE, HTTP status); never its text. */
  readonly errorCode?: string;
  readonly masked?: readonly MaskedField[];
  /** What else the protocol has to say of it: a status, counts, digests. Flat; no value of a reply. */
  readonly detail?: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}

/** One masked field of one reply. Digests are keyed (HMAC-SHA-256 over the originals, in order); never the value. */
export interface MaskedField {
  readonly field: string;
  readonly classification: string;
  readonly method: string;
  readonly count: number;
  readonly digest: string;
}
