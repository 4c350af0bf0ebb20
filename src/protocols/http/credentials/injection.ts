/** What goes into every request of a target, ready to be put there. Holds secrets: never log one. */
export type Injection =
  | { readonly kind: 'none' }
  | { readonly kind: 'header'; readonly name: string; readonly value: string; readonly secrets: readonly string[] }
  | { readonly kind: 'query'; readonly name: string; readonly value: string; readonly secrets: readonly string[] }
  | { readonly kind: 'aws'; readonly key: AwsKey; readonly secrets: readonly string[] };

/** An AWS access key and what its signatures are for. */
export interface AwsKey {
  readonly id: string;
  readonly secret: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string;
  readonly region: string;
  readonly service: string;
}

/** What must never come back in a reply. */
export function secretsOf(injection: Injection): readonly string[] {
  return injection.kind === 'none' ? [] : injection.secrets;
}
