import { createPrivateKey } from 'node:crypto';
import { SignJWT } from 'jose';
import { Refusal } from '../../model/errors.ts';
import type { TargetCredential } from '../../model/target.ts';
import type { GitSettings } from './settings.ts';

export interface AuthorizationDeps {
  readonly now: () => number;
  readonly fetch: typeof globalThis.fetch;
}

/** What the target is shown, and what of it is secret: must come back to no caller. */
export interface Authorization {
  readonly header: string;
  readonly secrets: readonly string[];
}

/** How long before its end an installation token is no longer used, ms: a long push must not outlive it. */
const marginMs = 5 * 60_000;
const attemptMs = 10_000;

/** The target's credential as an `Authorization` field. One a target: installation tokens are kept until shortly before they expire. */
export class Authorizations {
  readonly #settings: GitSettings;
  readonly #deps: AuthorizationDeps;
  #token: { readonly value: Authorization; readonly expiresAt: number } | undefined;
  #making: Promise<Authorization> | undefined;

  constructor(settings: GitSettings, deps: AuthorizationDeps) {
    this.#settings = settings;
    this.#deps = deps;
  }

  /** `credential` fetches it; it is asked only where it is needed. Undefined where the target wants none. Rejects with Refusal UPSTREAM_UNAVAILABLE. */
  async of(credential: () => Promise<TargetCredential>): Promise<Authorization | undefined> {
    const { authentication } = this.#settings;
    if (this.#settings.credential === undefined) return undefined;
    if (authentication === 'githubApp') return this.#installation(credential);
    const { user, secret } = await credential();
    if (secret === undefined) return undefined;
    if (authentication === 'bearer') {
      if (!/^[\x21-\x7e]+$/.test(secret)) throw unusable();
      return { header: `Bearer ${secret}`, secrets: [secret] };
    }
    const name = user ?? 'x-access-token';
    if (name.includes(':')) throw unusable();
    const pair = Buffer.from(`${name}:${secret}`).toString('base64');
    return { header: `Basic ${pair}`, secrets: [secret, pair] };
  }

  /** One exchange at a time serves all who wait for it. */
  async #installation(credential: () => Promise<TargetCredential>): Promise<Authorization> {
    if (this.#token !== undefined && this.#token.expiresAt - marginMs > this.#deps.now()) return this.#token.value;
    this.#making ??= this.#exchange(credential).finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  /** GitHub, “Generating an installation access token for a GitHub App”. */
  async #exchange(credential: () => Promise<TargetCredential>): Promise<Authorization> {
    const { secret } = await credential();
    const { app, installation, api } = this.#settings.githubApp!;
    const jwt = await this.#proof(app, secret ?? '');
    let answer: { readonly token?: unknown; readonly expires_at?: unknown };
    try {
      const response = await this.#deps.fetch(
        `${api.replace(/\/$/, '')}/app/installations/${installation}/access_tokens`,
        {
          method: 'POST',
          headers: { authorization: `Bearer ${jwt}`, accept: 'application/vnd.github+json', 'user-agent': 'sallyport' },
          redirect: 'error',
          signal: AbortSignal.timeout(attemptMs),
        },
      );
      if (response.status !== 201)
        throw new Refusal('UPSTREAM_UNAVAILABLE', `no token for the target could be had (HTTP ${response.status})`);
      answer = (await response.json()) as typeof answer;
    } catch (error) {
      if (error instanceof Refusal) throw error;
      throw new Refusal('UPSTREAM_UNAVAILABLE', 'no token for the target could be had: its API cannot be reached');
    }
    const { token, expires_at } = answer;
    const expiresAt = typeof expires_at === 'string' ? Date.parse(expires_at) : Number.NaN;
    if (typeof token !== 'string' || !/^[\x21-\x7e]{1,1000}$/.test(token) || Number.isNaN(expiresAt)) {
      throw new Refusal('UPSTREAM_UNAVAILABLE', 'no token for the target could be had: its API answers something else');
    }
    const pair = Buffer.from(`x-access-token:${token}`).toString('base64');
    const value = { header: `Basic ${pair}`, secrets: [token, pair] };
    this.#token = { value, expiresAt };
    return value;
  }

  /** Clocks differ, so it is dated back a minute; GitHub takes ten minutes at most. */
  async #proof(app: string, pem: string): Promise<string> {
    try {
      const now = Math.floor(this.#deps.now() / 1000);
      return await new SignJWT()
        .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
        .setIssuer(app)
        .setIssuedAt(now - 60)
        .setExpirationTime(now + 540)
        .sign(createPrivateKey(pem));
    } catch {
      throw new Refusal('UPSTREAM_UNAVAILABLE', "the private key of the target's GitHub App cannot be used");
    }
  }
}

function unusable(): Refusal {
  return new Refusal(
    'UPSTREAM_UNAVAILABLE',
    'the credential of the target holds characters that it cannot be shown with',
  );
}
