import { createHash } from 'node:crypto';
import type { Caller } from '../model/principal.ts';
import type { Issuer } from './issuers.ts';
import { Lru } from './lru.ts';
import { toPrincipal } from './principal.ts';
import { Rejection } from './rejection.ts';
import { verifyToken } from './verify.ts';

/** Larger tokens are not looked at. Those of large directories with hundreds of groups stay below 10 kB. */
const maxTokenBytes = 16 * 1024;

interface Known {
  readonly caller: Caller;
  readonly issuer: Issuer;
  readonly generation: number;
}

export interface Authenticated {
  readonly caller: Caller;
  /** Seen and verified before, and nothing has changed since. */
  readonly again: boolean;
}

/**
 * Callers by OIDC token. A token that was verified is known by its SHA-256 until it expires, leaves the cache, or the issuer's
 * keys change; so a driver that opens a connection per query does not pay for a signature each time. A token may be used
 * any number of times while it is valid: it is a password, not a one-time code.
 */
export class Tokens {
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #now: () => number;
  readonly #known = new Lru<Known>(10_000);

  constructor(issuers: ReadonlyMap<string, Issuer>, now: () => number) {
    this.#issuers = issuers;
    this.#now = now;
  }

  /** Throws Rejection. */
  async authenticate(token: string): Promise<Authenticated> {
    if (token.length > maxTokenBytes) throw new Rejection('the token is too large');
    const digest = createHash('sha256').update(token).digest('hex');
    const known = this.#known.get(digest);
    if (known !== undefined && (await this.#stillGood(known))) return { caller: known.caller, again: true };
    this.#known.delete(digest);
    const { claims, issuer, expiresAt, generation } = await verifyToken(token, this.#issuers, this.#now());
    const caller: Caller = {
      principal: principalOf(claims, issuer),
      proof: { kind: 'oidc', id: digest.slice(0, 32), expiresAt },
    };
    this.#known.set(digest, { caller, issuer, generation });
    return { caller, again: false };
  }

  async #stillGood({ caller, issuer, generation }: Known): Promise<boolean> {
    if (caller.proof.expiresAt <= this.#now()) return false;
    return (await issuer.keys.current()).generation === generation;
  }
}

function principalOf(claims: Parameters<typeof toPrincipal>[0], issuer: Issuer) {
  try {
    return toPrincipal(claims, issuer);
  } catch (error) {
    if (error instanceof Rejection) throw new Rejection(error.message, issuer.config.name);
    throw error;
  }
}
