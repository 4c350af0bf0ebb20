/** How a classified value is shown. `reveal` shows it as it is. */
export type MaskMethod = 'null' | 'redact' | 'partial' | 'token' | 'digits' | 'reveal';

export interface Obligations {
  /** Classification → method. A classification that is not named here is masked with `redact`. */
  readonly masks: Readonly<Record<string, MaskMethod>>;
}

interface Decided {
  /** The policy that decided: its `@id`, or `default-deny`. */
  readonly rule: string;
  /** Every policy that determined the outcome. */
  readonly rules: readonly string[];
  readonly policyVersion: string;
  /** `@advice` of the deciding policy. */
  readonly advice?: string;
}

export type Decision =
  | (Decided & { readonly outcome: 'allow'; readonly obligations: Obligations })
  | (Decided & { readonly outcome: 'deny'; readonly reason: string })
  | (Decided & { readonly outcome: 'hold'; readonly approvers: readonly string[]; readonly obligations: Obligations });
