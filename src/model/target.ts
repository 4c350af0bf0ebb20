/** One thing behind the gateway. `settings` is what the protocol's own schema made of the rest of the target's section. */
export interface Target<Settings = unknown> {
  readonly name: string;
  readonly protocol: string;
  readonly labels: Readonly<Record<string, string>>;
  /** How long a held command is kept waiting before the client is told to come back, in ms. */
  readonly holdMs: number;
  readonly settings: Settings;
}

/** What the target wants to see from us. Comes from `secrets/` when a session opens; never logged. */
export interface TargetCredential {
  readonly user?: string;
  readonly secret?: string;
}
