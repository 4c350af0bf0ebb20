/**
 * Why a credential was not accepted, for the audit log only; the caller reads the same sentence in every case. The text
 * holds no part of a token but names that were checked or are shown to be harmless.
 */
export class Rejection extends Error {
  override readonly name = 'Rejection';
  /** Name of the configured issuer, once it is known which one the token speaks of. */
  readonly issuer: string | undefined;

  constructor(reason: string, issuer?: string) {
    super(reason);
    this.issuer = issuer;
  }
}

/** Text from outside, made fit for a log line: no control, format or private characters, and short. */
export function forLog(text: string, length = 200): string {
  return text.slice(0, length).replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, '·');
}
