/**
 * Every way in which Sallyport says no. Codes are stable; docs/reference/errors.md explains each.
 * `retry` tells the caller whether the identical command can succeed later.
 */
export const refusals = {
  LOGIN_FAILED: { code: 'SP1001', retry: false },
  TARGET_UNKNOWN: { code: 'SP1002', retry: false },
  CONNECT_DENIED: { code: 'SP1003', retry: false },
  SESSION_ENDED: { code: 'SP1004', retry: true },
  POLICY_DENIED: { code: 'SP2001', retry: false },
  UNPARSABLE: { code: 'SP2002', retry: false },
  UNSUPPORTED: { code: 'SP2003', retry: false },
  APPROVAL_PENDING: { code: 'SP3001', retry: true },
  APPROVAL_DENIED: { code: 'SP3002', retry: false },
  MASK_IMPOSSIBLE: { code: 'SP4001', retry: false },
  AUDIT_UNAVAILABLE: { code: 'SP5001', retry: true },
  UPSTREAM_UNAVAILABLE: { code: 'SP6001', retry: true },
  UPSTREAM_PROTOCOL: { code: 'SP6002', retry: false },
  CLIENT_PROTOCOL: { code: 'SP6003', retry: false },
  LIMIT_EXCEEDED: { code: 'SP7001', retry: false },
  INTERNAL: { code: 'SP9001', retry: false },
} as const satisfies Record<string, { code: `SP${number}`; retry: boolean }>;

export type RefusalName = keyof typeof refusals;

export interface RefusalDetails {
  /** What would work instead, for the agent that reads it. */
  readonly advice?: string;
  readonly rule?: string;
  /** Where a person decides or reads more. */
  readonly link?: string;
  readonly retryAfterMs?: number;
}

/** A no that the caller gets to read: what was refused, by which rule, what would work. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly kind: RefusalName;
  readonly details: RefusalDetails;

  constructor(kind: RefusalName, message: string, details: RefusalDetails = {}) {
    super(message);
    this.kind = kind;
    this.details = details;
  }

  get code(): string {
    return refusals[this.kind].code;
  }
}

/** A peer broke its protocol. The connection ends; nobody else's does. */
export class PeerError extends Error {
  override readonly name = 'PeerError';
  readonly kind: 'UPSTREAM_PROTOCOL' | 'CLIENT_PROTOCOL';

  constructor(kind: 'UPSTREAM_PROTOCOL' | 'CLIENT_PROTOCOL', message: string) {
    super(message);
    this.kind = kind;
  }
}

/** `file:line: path: what is wrong` for each problem, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
