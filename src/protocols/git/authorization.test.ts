import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { Authorizations } from './authorization.ts';
import { type GitSettings, gitSettings } from './settings.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = (privateKey as KeyObject).export({ type: 'pkcs1', format: 'pem' }).toString();

const settings = (more: Record<string, unknown>): GitSettings =>
  gitSettings.parse({ address: 'https://code.example', credential: { env: 'TOKEN' }, ...more });

const app = settings({
  authentication: 'githubApp',
  githubApp: { app: 'Iv1.abc', installation: '42', api: 'https://api.code.example/v3/' },
});

/** An API that makes tokens `t1`, `t2`, … good for an hour. */
function tokenApi(now: () => number) {
  const asked: { url: string; init: RequestInit }[] = [];
  const api = async (url: string | URL | Request, init: RequestInit = {}) => {
    asked.push({ url: String(url), init });
    const expires_at = new Date(now() + 3_600_000).toISOString();
    return new Response(JSON.stringify({ token: `t${asked.length}`, expires_at }), { status: 201 });
  };
  return { asked, api: api as typeof fetch };
}

const never = (() => Promise.reject(new Error('not asked for'))) as unknown as typeof fetch;

describe('what the target is shown', () => {
  it('is a password, a bearer token, or nothing', async () => {
    const credential = async () => ({ secret: 's3cret' });
    const basic = new Authorizations(settings({}), { now: Date.now, fetch: never });
    expect((await basic.of(credential))?.header).toBe(
      `Basic ${Buffer.from('x-access-token:s3cret').toString('base64')}`,
    );
    const named = await basic.of(async () => ({ user: 'bot', secret: 's3cret' }));
    expect(named?.header).toBe(`Basic ${Buffer.from('bot:s3cret').toString('base64')}`);
    const bearer = new Authorizations(settings({ authentication: 'bearer' }), { now: Date.now, fetch: never });
    expect(await bearer.of(credential)).toEqual({ header: 'Bearer s3cret', secrets: ['s3cret'] });
    const open = new Authorizations(gitSettings.parse({ address: 'https://x' }), { now: Date.now, fetch: never });
    expect(await open.of(credential)).toBeUndefined();
  });

  it('is never a secret that would end the header field', async () => {
    const bearer = new Authorizations(settings({ authentication: 'bearer' }), { now: Date.now, fetch: never });
    await expect(bearer.of(async () => ({ secret: 'a\r\nx: y' }))).rejects.toThrow('characters');
  });
});

describe('an installation token', () => {
  it('is asked for with a proof that the App signed', async () => {
    let now = Date.UTC(2026, 0, 1);
    const { asked, api } = tokenApi(() => now);
    const found = await new Authorizations(app, { now: () => now, fetch: api }).of(async () => ({ secret: pem }));
    expect(found?.header).toBe(`Basic ${Buffer.from('x-access-token:t1').toString('base64')}`);
    expect(asked[0]).toMatchObject({
      url: 'https://api.code.example/v3/app/installations/42/access_tokens',
      init: { method: 'POST', redirect: 'error' },
    });
    const jwt = (asked[0]!.init.headers as Record<string, string>).authorization!.replace('Bearer ', '');
    const { payload } = await jwtVerify(jwt, publicKey, { currentDate: new Date(now), algorithms: ['RS256'] });
    expect(payload).toEqual({ iss: 'Iv1.abc', iat: now / 1000 - 60, exp: now / 1000 + 540 });
    now += 1;
  });

  it('serves everybody until shortly before its end, and is then made anew', async () => {
    let now = Date.UTC(2026, 0, 1);
    const { asked, api } = tokenApi(() => now);
    const authorizations = new Authorizations(app, { now: () => now, fetch: api });
    const credential = async () => ({ secret: pem });
    const all = await Promise.all(Array.from({ length: 5 }, () => authorizations.of(credential)));
    expect(new Set(all.map((each) => each?.header)).size).toBe(1);
    now += 54 * 60_000;
    await authorizations.of(credential);
    expect(asked.length).toBe(1);
    now += 2 * 60_000;
    const later = await authorizations.of(credential);
    expect(asked.length).toBe(2);
    expect(later?.secrets).toContain('t2');
  });

  it.each([
    ['an error', async () => new Response('{"message":"Bad credentials"}', { status: 401 })],
    ['no token', async () => new Response('{}', { status: 201 })],
    [
      'a token that is none',
      async () => new Response('{"token":"a b","expires_at":"2030-01-01T00:00:00Z"}', { status: 201 }),
    ],
    ['no JSON', async () => new Response('<html>', { status: 201 })],
    ['nothing', async () => Promise.reject(new Error('connect ECONNREFUSED'))],
  ])('that is %s is a refusal without a secret, and asked for again', async (_, api) => {
    let calls = 0;
    const counted = (async () => {
      calls += 1;
      return api();
    }) as typeof fetch;
    const authorizations = new Authorizations(app, { now: Date.now, fetch: counted });
    for (const attempt of [1, 2]) {
      const failed = await authorizations.of(async () => ({ secret: pem })).catch((error: Error) => error);
      expect(failed).toMatchObject({ name: 'Refusal', kind: 'UPSTREAM_UNAVAILABLE' });
      expect(calls).toBe(attempt);
    }
  });

  it('is not asked for with a key that is none', async () => {
    const authorizations = new Authorizations(app, { now: Date.now, fetch: never });
    const failed = await authorizations.of(async () => ({ secret: 'no key' })).catch((error: Error) => error);
    expect(failed).toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE', message: expect.stringContaining('private key') });
    expect((failed as Error).message).not.toContain('no key');
  });
});
