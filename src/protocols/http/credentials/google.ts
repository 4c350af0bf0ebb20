import { createHash } from 'node:crypto';
import { importPKCS8, SignJWT } from 'jose';
import { Refusal } from '../../../model/errors.ts';

/** What a service account asks for: an access token with scopes, or an ID token for an audience. */
export interface GoogleKind {
  readonly scopes?: readonly string[] | undefined;
  readonly audience?: string | undefined;
}

export interface TokenDeps {
  /** ms since the epoch. */
  readonly now: () => number;
  /** Follows no redirect; given a time limit by its signal. */
  readonly fetch: typeof fetch;
}

interface ServiceAccount {
  readonly email: string;
  readonly privateKey: string;
  readonly keyId: string | undefined;
  readonly tokenUri: string;
}

interface Held {
  readonly account: string;
  readonly token: string;
  /** ms since the epoch. */
  readonly refreshAt: number;
  readonly expiresAt: number;
}

const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const requestMs = 10_000;
/** How long before its end a token is renewed: requests under way must not run into it. */
const aheadMs = 5 * 60_000;
const largestAnswer = 64 * 1024;

/**
 * Access or ID tokens of a Google service account: a JWT that its key signs is exchanged at the token endpoint (RFC 7523). One request
 * at a time; a token is kept until five minutes before its end, and used to its end where no new one can be had.
 */
export class GoogleTokens {
  readonly #kind: GoogleKind;
  readonly #deps: TokenDeps;
  #held: Held | undefined;
  #flight: { readonly account: string; readonly token: Promise<string> } | undefined;

  constructor(kind: GoogleKind, deps: TokenDeps) {
    this.#kind = kind;
    this.#deps = deps;
  }

  /** `json` is the service account's key file. Throws Refusal UPSTREAM_UNAVAILABLE; never quotes the file or an answer. */
  async token(json: string): Promise<string> {
    const account = createHash('sha256').update(json).digest('hex');
    const held = this.#held?.account === account ? this.#held : undefined;
    const now = this.#deps.now();
    if (held !== undefined && now < held.refreshAt) return held.token;
    if (this.#flight?.account !== account) {
      const token = this.#exchange(json, account).finally(() => {
        if (this.#flight?.token === token) this.#flight = undefined;
      });
      this.#flight = { account, token };
    }
    try {
      return await this.#flight.token;
    } catch (error) {
      if (held !== undefined && now < held.expiresAt) return held.token;
      throw error;
    }
  }

  async #exchange(json: string, account: string): Promise<string> {
    const service = readServiceAccount(json);
    const now = this.#deps.now();
    const assertion = await this.#assertion(service, now);
    const answer = await this.#ask(service.tokenUri, assertion);
    const token = this.#kind.audience === undefined ? answer.access_token : answer.id_token;
    if (typeof token !== 'string' || !/^[\x21-\x7e]{1,8192}$/.test(token))
      throw unavailable('its answer holds no token');
    const lifeMs =
      typeof answer.expires_in === 'number' && answer.expires_in > 0 ? answer.expires_in * 1000 : 3_600_000;
    const expiresAt = now + Math.min(lifeMs, 3_600_000);
    this.#held = { account, token, refreshAt: expiresAt - Math.min(aheadMs, lifeMs / 2), expiresAt };
    return token;
  }

  async #assertion(service: ServiceAccount, now: number): Promise<string> {
    const { scopes, audience } = this.#kind;
    const claims = audience === undefined ? { scope: (scopes ?? []).join(' ') } : { target_audience: audience };
    const issued = Math.floor(now / 1000);
    try {
      const key = await importPKCS8(service.privateKey, 'RS256');
      return await new SignJWT(claims)
        .setProtectedHeader({
          alg: 'RS256',
          typ: 'JWT',
          ...(service.keyId === undefined ? {} : { kid: service.keyId }),
        })
        .setIssuer(service.email)
        .setSubject(service.email)
        .setAudience(service.tokenUri)
        .setIssuedAt(issued)
        .setExpirationTime(issued + 3600)
        .sign(key);
    } catch {
      // The library's message may quote the key.
      throw unavailable("the service account's private key cannot be used");
    }
  }

  async #ask(uri: string, assertion: string): Promise<Readonly<Record<string, unknown>>> {
    let response: Response;
    try {
      response = await this.#deps.fetch(uri, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
        body: new URLSearchParams({ grant_type: grantType, assertion }),
        redirect: 'error',
        signal: AbortSignal.timeout(requestMs),
      });
    } catch {
      throw unavailable('it cannot be reached');
    }
    const text = await boundedText(response);
    // An error's description comes from outside; its code is one of a few words (RFC 6749 §5.2).
    const answer = text === undefined ? undefined : parsedObject(text);
    if (response.status === 200 && answer !== undefined) return answer;
    const code = typeof answer?.error === 'string' && /^[a-z_]{1,40}$/.test(answer.error) ? ` (${answer.error})` : '';
    throw unavailable(`it answered ${response.status}${code}`);
  }
}

async function boundedText(response: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      if (size > largestAnswer) return undefined;
      chunks.push(chunk);
    }
  } catch {
    throw unavailable('its answer broke off');
  }
  return Buffer.concat(chunks).toString('utf8');
}

function readServiceAccount(json: string): ServiceAccount {
  const file = parsedObject(json);
  const { type, client_email: email, private_key: privateKey, private_key_id: keyId, token_uri: given } = file ?? {};
  const tokenUri = given ?? 'https://oauth2.googleapis.com/token';
  if (
    type !== 'service_account' ||
    typeof email !== 'string' ||
    typeof privateKey !== 'string' ||
    typeof tokenUri !== 'string'
  )
    throw unavailable("the secret is not a service account's key file");
  const url = URL.parse(tokenUri);
  const here = url?.hostname === 'localhost' || url?.hostname === '127.0.0.1' || url?.hostname === '[::1]';
  if (url === null || !(url.protocol === 'https:' || (url.protocol === 'http:' && here)))
    throw unavailable("the service account's token_uri is not https");
  return { email, privateKey, keyId: typeof keyId === 'string' ? keyId : undefined, tokenUri };
}

function parsedObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

function unavailable(what: string): Refusal {
  return new Refusal('UPSTREAM_UNAVAILABLE', `no token for the target from Google's token endpoint: ${what}`, {
    advice: 'try again later; whoever runs the gateway finds the reason in its log',
  });
}
