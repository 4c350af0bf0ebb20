/** Who is asking. Made by `identity/` from a verified token or ticket; never from anything the caller merely claims. */
export interface Principal {
  /** `<issuer name>:<subject>`, unique and stable; the only thing that links two tokens to one principal. */
  readonly id: string;
  readonly kind: PrincipalKind;
  /** The issuer's name in the configuration. */
  readonly issuer: string;
  readonly subject: string;
  /** For people to read; never compared. */
  readonly name: string;
  readonly groups: readonly string[];
  /** Principal id of the person who answers for an agent or a CI job. */
  readonly owner?: string;
  /** Claims the configuration lets through, for policy and for the approver's screen (repository, run id, …). */
  readonly claims: Readonly<Record<string, ClaimValue>>;
}

export type PrincipalKind = 'human' | 'ci' | 'agent';
export type ClaimValue = string | number | boolean | readonly string[];

/** A principal as this connection proved it. */
export interface Caller {
  readonly principal: Principal;
  readonly proof: {
    readonly kind: 'oidc' | 'ticket';
    readonly id: string;
    /** ms since the epoch. */
    readonly expiresAt: number;
    /** The only targets that a ticket is good for; absent for OIDC tokens. */
    readonly targets?: readonly string[];
  };
}
