import type { Credential } from '../secrets/credential.ts';
import { Undelivered } from './sink.ts';

/** Fetches the secret that a credential names; undefined where it names none. */
export type SecretOf = (credential: Credential) => Promise<string | undefined>;

/** A sink's secret, kept between batches. `forget` after every failure: it may have been replaced. */
export class SinkSecret {
  readonly #credential: Credential | undefined;
  readonly #secretOf: SecretOf;
  #kept: Promise<string | undefined> | undefined;
  /** The last that was given out. */
  #given: string | undefined;

  constructor(credential: Credential | undefined, secretOf: SecretOf) {
    this.#credential = credential;
    this.#secretOf = secretOf;
  }

  /** Throws Undelivered when it cannot be had. */
  async get(): Promise<string> {
    const secret = await this.maybe();
    if (secret === undefined) throw new Undelivered('the credential names no secret');
    return secret;
  }

  async maybe(): Promise<string | undefined> {
    const credential = this.#credential;
    if (credential === undefined) return undefined;
    this.#kept ??= this.#secretOf(credential);
    try {
      this.#given = await this.#kept;
      return this.#given;
    } catch (error) {
      this.#kept = undefined;
      // Written for operators: it names the source, never the secret.
      throw new Undelivered(`no credential: ${error instanceof Error ? error.message : 'it cannot be read'}`);
    }
  }

  forget(): void {
    this.#kept = undefined;
  }

  /** A receiver's words without the secret: some repeat what they were sent. */
  hiddenIn(words: string): string {
    const given = this.#given;
    if (given === undefined || given.length < 4) return words;
    const encoded = Buffer.from(`${this.#credential?.user ?? ''}:${given}`).toString('base64');
    return words.replaceAll(given, '***').replaceAll(encoded, '***');
  }
}
