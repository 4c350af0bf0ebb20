import { createLocalJWKSet, errors, type JSONWebKeySet } from 'jose';
import { Rejection } from './rejection.ts';

/** Keys are fetched again after this long, so that a key the issuer withdrew stops counting. */
const maxAgeMs = 10 * 60_000;
/** With the issuer unreachable, keys serve this long; then its tokens are refused. */
const maxStaleMs = 60 * 60_000;
/** An unknown key id, or a failed fetch, asks the issuer again only this long after the last time. */
const cooldownMs = 10_000;
const maxKeys = 100;

type Resolver = ReturnType<typeof createLocalJWKSet>;

export interface Keys {
  /** Changes whenever the set of keys does: what was verified under another generation must be verified again. */
  readonly generation: number;
  readonly resolve: Resolver;
}

/** The public keys of one issuer, fetched when needed, kept, and fetched again when they age or a key is unknown. */
export class IssuerKeys {
  readonly #fetch: () => Promise<JSONWebKeySet>;
  readonly #now: () => number;
  #keys: Keys | undefined;
  #text = '';
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #failure = '';
  #pending: Promise<void> | undefined;

  constructor(fetch: () => Promise<JSONWebKeySet>, now: () => number) {
    this.#fetch = fetch;
    this.#now = now;
  }

  /** The keys in force now. Throws Rejection when there are none to trust. */
  async current(): Promise<Keys> {
    if (this.#now() - this.#fetchedAt > maxAgeMs) await this.#refetch();
    if (this.#keys === undefined || this.#now() - this.#fetchedAt > maxStaleMs) {
      throw new Rejection(`the issuer's keys cannot be had: ${this.#failure}`);
    }
    return this.#keys;
  }

  /** As `current`, after asking the issuer again unless that was done a moment ago. */
  async newer(): Promise<Keys> {
    await this.#refetch();
    return this.current();
  }

  async #refetch(): Promise<void> {
    if (this.#pending === undefined) {
      if (this.#now() - this.#triedAt < cooldownMs) return;
      this.#triedAt = this.#now();
      this.#pending = this.#load().finally(() => {
        this.#pending = undefined;
      });
    }
    await this.#pending;
  }

  async #load(): Promise<void> {
    try {
      const set = await this.#fetch();
      if (!Array.isArray(set.keys) || set.keys.length > maxKeys)
        throw new Error(`not a key set of at most ${maxKeys} keys`);
      const resolve = createLocalJWKSet(set);
      const text = JSON.stringify(set.keys);
      if (this.#keys === undefined || text !== this.#text) {
        this.#keys = { generation: (this.#keys?.generation ?? 0) + 1, resolve };
        this.#text = text;
      }
      this.#fetchedAt = this.#now();
    } catch (error) {
      // Kept for the reason of the refusals that follow from it; keys that are not too old go on serving.
      this.#failure = (error as Error).message;
    }
  }
}

export function isUnknownKey(error: unknown): boolean {
  return error instanceof errors.JWKSNoMatchingKey;
}
