import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type CryptoKey, exportSPKI, importJWK } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, Refusal } from '../model/errors.ts';
import { loadServerTls } from '../wire/certificates.ts';
import { issuersSchema, ticketsSchema } from './config.ts';
import { fakeAudit, fakeTicketStore } from './fakeDeps.ts';
import { type FakeIssuer, type FakeKey, fakeKey, startFakeIssuer } from './fakeIssuer.ts';
import { createIdentity, type Identity } from './identity.ts';

const peer = { address: '192.0.2.7' };
let now = Date.UTC(2026, 0, 1);
let es: FakeKey;
let rsa: FakeKey;
let other: FakeKey;
let issuer: FakeIssuer;
let audit: ReturnType<typeof fakeAudit>;
let identity: Identity;

function trust(settings: Record<string, unknown> = {}, url = issuer.url): Identity {
  audit = fakeAudit();
  const issuers = issuersSchema.parse([
    { name: 'corp', issuer: url, audience: 'sallyport', principal: { kind: 'human' }, ...settings },
  ]);
  const deps = {
    store: fakeTicketStore(),
    audit,
    managesTickets: () => false,
    targetExists: () => true,
    warn: () => {},
    now: () => now,
  };
  return createIdentity({ ...deps, issuers, tickets: ticketsSchema.parse(undefined), baseDir: '.' });
}

/** The refusal a caller gets, and the reason in the log. */
async function refused(credential: string, on = identity): Promise<string> {
  const error = await on.identity.authenticate(credential, 'target', peer).then(
    () => expect.unreachable('the credential was accepted'),
    (e: unknown) => e as Refusal,
  );
  expect(error).toBeInstanceOf(Refusal);
  expect(error.kind).toBe('LOGIN_FAILED');
  expect(error.message).toBe('the token or ticket was not accepted');
  const event = audit.events.at(-1)!;
  expect(event).toMatchObject({ type: 'auth.failed', peer: peer.address, audience: 'target' });
  // The log never holds the credential, nor a part of it that could be put together again.
  if (credential.length > 20) expect(JSON.stringify(event)).not.toContain(credential.slice(-16));
  return String(event.reason);
}

const accepted = (token: string, on = identity) => on.identity.authenticate(token, 'target', peer);
const b64 = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

beforeAll(async () => {
  [es, rsa, other] = await Promise.all([fakeKey('es-1'), fakeKey('rsa-1', 'RS256'), fakeKey('es-1')]);
});
beforeEach(async () => {
  now = Date.UTC(2026, 0, 1);
  issuer = await startFakeIssuer(es, () => now);
  issuer.keys = [es, rsa];
  identity = trust();
});
afterEach(async () => {
  identity.close();
  await issuer.close();
});

describe('a token of a trusted issuer', () => {
  it('stands for its subject at that issuer', async () => {
    const caller = await accepted(await issuer.sign({ sub: 'ada', name: 'Ada' }));
    expect(caller.principal).toMatchObject({ id: 'corp:ada', kind: 'human', subject: 'ada', name: 'Ada', groups: [] });
    expect(caller.proof).toMatchObject({ kind: 'oidc', expiresAt: now + 600_000 });
    expect(audit.events).toMatchObject([
      { type: 'auth.succeeded', principal: 'corp:ada', issuer: 'corp', proof: 'oidc' },
    ]);
  });

  it('works with RS256, and any number of times', async () => {
    const token = await issuer.sign({}, rsa);
    const callers = await Promise.all(Array.from({ length: 20 }, () => accepted(token)));
    expect(new Set(callers.map(({ principal }) => principal.id))).toEqual(new Set(['corp:ada']));
    expect(await accepted(token)).toEqual(callers[0]);
    expect(audit.events).toHaveLength(21);
  });

  it('is noted once at the API, which sees it with every request', async () => {
    const token = await issuer.sign();
    for (let i = 0; i < 3; i++) await identity.identity.authenticate(token, 'api', peer);
    expect(audit.events).toHaveLength(1);
  });

  it('stops counting when it expires, though it was verified before', async () => {
    const token = await issuer.sign();
    await accepted(token);
    now += 600_000 + 29_000;
    await accepted(token);
    now += 2_000;
    expect(await refused(token)).toContain('expired');
  });
});

describe('claims that decide whether a token is for us, now', () => {
  const sign = (claims: Record<string, unknown>) => issuer.sign(claims);
  const seconds = () => now / 1000;
  const cases: [string, () => Promise<string>, string][] = [
    ['expired', () => sign({ exp: seconds() - 31 }), 'expired'],
    ['without expiry', () => sign({ exp: undefined }), 'exp'],
    ['with an expiry that is text', () => sign({ exp: '9999999999' }), 'exp'],
    ['not yet valid', () => sign({ nbf: seconds() + 31 }), 'nbf'],
    ['issued in the future', () => sign({ iat: seconds() + 31 }), 'future'],
    ['with an issue time that is text', () => sign({ iat: 'yesterday' }), 'malformed|iat|issued'],
    ['for another audience', () => sign({ aud: 'payroll' }), 'aud'],
    ['without an audience', () => sign({ aud: undefined }), 'aud'],
    ['for an audience that only begins like ours', () => sign({ aud: 'sallyport2' }), 'aud'],
    [
      'for us and somebody else, who could replay it',
      () => sign({ aud: ['sallyport', 'payroll'] }),
      'another audience',
    ],
    ['of an issuer that only begins like ours', () => sign({ iss: `${issuer.url}.evil.example` }), 'no issuer'],
    ['of ours with a slash more', () => sign({ iss: `${issuer.url}/` }), 'no issuer'],
    ['of ours in capitals', () => sign({ iss: issuer.url.toUpperCase() }), 'no issuer'],
    ['of an issuer given as a list', () => sign({ iss: [issuer.url] }), 'no issuer'],
    ['without an issuer', () => sign({ iss: undefined }), 'no issuer'],
    ['of the issuer __proto__', () => sign({ iss: '__proto__' }), 'no issuer'],
    ['without a subject', () => sign({ sub: undefined }), 'sub is missing'],
    ['with an empty subject', () => sign({ sub: '' }), 'sub is missing'],
    ['with a list for a subject', () => sign({ sub: ['ada'] }), 'sub|malformed'],
    ['with a hidden character in the subject', () => sign({ sub: 'ada\u200b' }), 'characters'],
  ];
  it.each(cases)('refuses a token %s', async (_, token, reason) => {
    expect(await refused(await token())).toMatch(new RegExp(reason));
  });

  it('allows for a clock that is a little off, as far as configured', async () => {
    await accepted(await issuer.sign({ exp: seconds() - 29, nbf: seconds() + 29, iat: seconds() + 29 }));
    const strict = trust({ clockSkewSeconds: 0 });
    expect(await refused(await issuer.sign({ exp: seconds() - 1 }), strict)).toContain('expired');
    strict.close();
  });

  it('refuses a token older than configured, also one it knows', async () => {
    const young = trust({ maxTokenAgeSeconds: 60, clockSkewSeconds: 0 });
    const token = await issuer.sign();
    expect((await accepted(token, young)).proof.expiresAt).toBe(now + 60_000);
    now += 61_000;
    expect(await refused(token, young)).toMatch(/iat|expired/);
    expect(await refused(await issuer.sign({ iat: undefined }), young)).toContain('iat');
    young.close();
  });

  it('refuses an ID token where access tokens are asked for', async () => {
    const typed = trust({ type: 'at+jwt' });
    await accepted(await issuer.sign({}, es, { typ: 'at+jwt' }), typed);
    expect(await refused(await issuer.sign({}, es, { typ: 'JWT' }), typed)).toContain('typ');
    typed.close();
  });

  it('accepts an audience beside ours only where it is named', async () => {
    const lenient = trust({ otherAudiences: ['account'] });
    await accepted(await issuer.sign({ aud: ['sallyport', 'account'] }), lenient);
    expect(await refused(await issuer.sign({ aud: 'account' }), lenient)).toContain('aud');
    expect(await refused(await issuer.sign({ aud: ['sallyport', 'account', 'x'] }), lenient)).toContain(
      'another audience',
    );
    lenient.close();
  });
});

describe('signatures', () => {
  const payload = () => ({ iss: issuer.url, aud: 'sallyport', sub: 'ada', iat: now / 1000, exp: now / 1000 + 600 });

  it.each(['none', 'None', 'NONE', 'nOnE', ''])('refuses the algorithm %j', async (alg) => {
    expect(await refused(`${b64({ alg })}.${b64(payload())}.`)).toContain('neither');
    expect(await refused(`${b64({ alg })}.${b64(payload())}.AA`)).toMatch(/not allowed|malformed/);
  });

  it.each(['HS256', 'HS384', 'HS512'])('refuses %s keyed with the public key in any of its forms', async (alg) => {
    const spki = await exportSPKI((await importJWK(rsa.publicJwk, 'RS256', { extractable: true })) as CryptoKey);
    for (const secret of [spki, spki.trim(), JSON.stringify(rsa.publicJwk), rsa.publicJwk.n!]) {
      const signed = `${b64({ alg, kid: rsa.kid })}.${b64(payload())}`;
      const mac = createHmac(alg.replace('HS', 'sha'), secret).update(signed).digest('base64url');
      expect(await refused(`${signed}.${mac}`)).toContain('not allowed');
    }
  });

  it('refuses an algorithm that this issuer is not allowed, though its key could do it', async () => {
    const strict = trust({ algorithms: ['ES256'] });
    expect(await refused(await issuer.sign({}, rsa), strict)).toContain('not allowed');
    strict.close();
  });

  it('refuses a key of another type than the algorithm, whatever the key id says', async () => {
    const signed = await issuer.sign({}, es, { kid: rsa.kid });
    expect(await refused(signed)).toContain('no such key');
    // The issuer itself mislabels a key: still not used for what it is not.
    issuer.keys = [{ ...es, publicJwk: { ...es.publicJwk, alg: 'RS256' } }];
    expect(await refused(await issuer.sign({}, es), trust())).toContain('no such key');
  });

  it('refuses a signature by a key that only shares the key id', async () => {
    expect(await refused(await issuer.sign({}, other))).toContain('signature does not verify');
  });

  it('refuses a token whose payload was changed after signing', async () => {
    const [header, , signature] = (await issuer.sign()).split('.');
    expect(await refused(`${header}.${b64({ ...payload(), sub: 'root' })}.${signature}`)).toContain('does not verify');
  });

  it.each(['../../../../dev/null', '/etc/passwd', "' OR 1=1 --", '__proto__', 'file:///dev/null', '\u0000'])(
    'takes the key id %j for a name and nothing else',
    async (kid) => {
      issuer.requests.length = 0;
      expect(await refused(await issuer.sign({}, other, { kid }))).toContain('no such key');
      expect(issuer.requests).toEqual(['/.well-known/openid-configuration', '/jwks']);
    },
  );

  it('ignores keys that a token brings along or points to', async () => {
    let called = 0;
    const evil = await startFakeIssuer(other, () => now);
    evil.answer = () => ++called < 0;
    for (const header of [
      { jku: `${evil.url}/jwks` },
      { x5u: `${evil.url}/jwks` },
      { jwk: other.publicJwk },
      { jwk: other.publicJwk, kid: 'new' },
    ]) {
      expect(await refused(await issuer.sign({}, other, header))).toMatch(/does not verify|no such key/);
    }
    expect(called).toBe(0);
    await evil.close();
  });

  it('refuses critical extensions it does not know', async () => {
    const token = await issuer.sign({}, es, { crit: ['exp2'], exp2: 1 });
    expect(await refused(token)).toContain('malformed');
  });

  it('does not take the token of one issuer for that of another', async () => {
    const second = await startFakeIssuer(other, () => now);
    const audits = fakeAudit();
    const issuers = issuersSchema.parse(
      [issuer.url, second.url].map((url, i) => ({
        name: `i${i}`,
        issuer: url,
        audience: 'sallyport',
        principal: { kind: 'human' },
      })),
    );
    const both = createIdentity({
      issuers, tickets: ticketsSchema.parse(undefined), store: fakeTicketStore(), audit: audits, baseDir: '.',
      managesTickets: () => false, targetExists: () => true, warn: () => {}, now: () => now,
    }); // biome-ignore format: one line of settings
    audit = audits;
    expect((await accepted(await second.sign(), both)).principal.id).toBe('i1:ada');
    expect(await refused(await second.sign({ iss: issuer.url }), both)).toContain('does not verify');
    both.close();
    await second.close();
  });
});

describe('things that are not tokens', () => {
  it.each(['', ' ', 'password', 'a.b', 'a.b.c', 'a.b.c.d.e', '..', 'spt_', 'spt_short', 'null', '\u0000', '💥.💥.💥'])(
    'refuses %j',
    async (text) => {
      expect(await refused(text)).toMatch(/neither|ticket|malformed/);
    },
  );

  it('refuses two tokens glued together, and one with anything around it', async () => {
    const token = await issuer.sign();
    for (const text of [
      token + token,
      `${token},${token}`,
      `${token} ${token}`,
      ` ${token}`,
      `${token}\n`,
      `Bearer ${token}`,
      `${token}=`,
    ]) {
      expect(await refused(text)).toMatch(/neither|malformed/);
    }
  });

  it('does not look at a token that is too large, though it is well signed', async () => {
    const token = await issuer.sign({ padding: 'x'.repeat(16_000) });
    expect(await refused(token)).toContain('too large');
    expect(issuer.requests).toEqual([]);
    await accepted(await issuer.sign({ padding: 'x'.repeat(8_000) }));
  });

  it('refuses whatever a fuzzer makes of a good token, with the same words', async () => {
    const token = await issuer.sign();
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.nat(63), async (at, letter) => {
        const replacement = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'[letter]!;
        const changed = token.slice(0, at) + replacement + token.slice(at + 1);
        // The last character of a part holds bits that base64url does not use.
        const same = changed
          .split('.')
          .every((part, i) =>
            Buffer.from(part, 'base64url').equals(Buffer.from(token.split('.')[i] ?? '', 'base64url')),
          );
        if (!same || changed.split('.').length !== 3) await refused(changed);
      }),
      { numRuns: 150 },
    );
  });
});

describe('keys of an issuer', () => {
  it('finds a new key that a token names, without a restart', async () => {
    await accepted(await issuer.sign());
    const fresh = await fakeKey('es-2');
    issuer.keys = [fresh, es];
    now += 11_000;
    await accepted(await issuer.sign({ sub: 'bob' }, fresh));
  });

  it('rotates under load: no token signed with a published key is refused', async () => {
    const fresh = await fakeKey('es-2');
    await accepted(await issuer.sign());
    now += 11_000;
    issuer.keys = [fresh, es];
    const tokens = await Promise.all(
      Array.from({ length: 40 }, (_, i) => issuer.sign({ sub: `u${i}` }, i % 2 === 0 ? fresh : es)),
    );
    const callers = await Promise.all(tokens.map((token) => accepted(token)));
    expect(callers.map(({ principal }) => principal.subject)).toEqual(tokens.map((_, i) => `u${i}`));
  });

  it('forgets a key that the issuer withdrew, also for tokens it knows', async () => {
    const token = await issuer.sign({ exp: now / 1000 + 7200 });
    await accepted(token);
    issuer.keys = [await fakeKey('es-2')];
    now += 10 * 60_000 + 1;
    expect(await refused(token)).toContain('no such key');
  });

  it('asks the issuer at most once in ten seconds, however many unknown keys it is shown', async () => {
    await accepted(await issuer.sign());
    const before = issuer.requests.length;
    const strange = await Promise.all(Array.from({ length: 30 }, (_, i) => issuer.sign({}, other, { kid: `k${i}` })));
    for (const token of strange) await refused(token);
    expect(issuer.requests.length).toBe(before);
    now += 11_000;
    for (const token of strange) await refused(token);
    expect(issuer.requests.length).toBe(before + 2);
  });

  it('goes on for an hour with the keys it has when the issuer is down, then refuses', async () => {
    const token = await issuer.sign({ exp: now / 1000 + 36_000 });
    await accepted(token);
    issuer.answer = (_, response) => Boolean(response.writeHead(503).end());
    now += 59 * 60_000;
    await accepted(token);
    now += 2 * 60_000;
    expect(await refused(token)).toContain('keys cannot be had');
    issuer.answer = () => false;
    now += 11_000;
    await accepted(token);
  });

  const hostile: [string, FakeIssuer['answer'], string][] = [
    ['redirects', (_, r) => Boolean(r.writeHead(302, { location: '/jwks' }).end()), 'status 302'],
    ['sends no JSON', (_, r) => Boolean(r.end('<html>')), 'not JSON'],
    [
      'speaks for another issuer',
      (_, r) => Boolean(r.end('{"issuer":"https://evil.example","jwks_uri":"https://evil.example/k"}')),
      'another issuer',
    ],
    ['sends null', (_, r) => Boolean(r.end('null')), 'another issuer'],
    ['never stops sending', (_, r) => Boolean(r.end('x'.repeat(300_000))), 'larger than'],
    [
      'keeps its keys elsewhere over http',
      (q, r) =>
        q.url !== '/jwks' && Boolean(r.end(JSON.stringify({ issuer: issuer.url, jwks_uri: 'http://192.0.2.1/jwks' }))),
      'only https',
    ],
    [
      'keeps its keys in a file',
      (q, r) =>
        q.url !== '/jwks' && Boolean(r.end(JSON.stringify({ issuer: issuer.url, jwks_uri: 'file:///etc/passwd' }))),
      'only https',
    ],
    ['has no list of keys', (q, r) => q.url === '/jwks' && Boolean(r.end('{"keys":{}}')), 'key set'],
    [
      'has thousands of keys',
      (q, r) => q.url === '/jwks' && Boolean(r.end(JSON.stringify({ keys: Array(2000).fill({ kty: 'EC' }) }))),
      'key set',
    ],
  ];
  it.each(hostile)('trusts nothing of an issuer that %s', async (_, answer, reason) => {
    issuer.answer = answer;
    expect(await refused(await issuer.sign())).toContain(reason);
  });

  it('uses the key address of the configuration without asking for another', async () => {
    const direct = trust({ jwksUri: `${issuer.url}/jwks` });
    await accepted(await issuer.sign(), direct);
    expect(issuer.requests).toEqual(['/jwks']);
    direct.close();
  });
});

describe('an issuer with a private certificate authority', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-identity-'));
  afterAll(() => rmSync(dir, { recursive: true }));

  it('is trusted with its CA file and not without', async () => {
    const tls = await loadServerTls({ names: [] }, dir);
    tls.close();
    const secure = await startFakeIssuer(es, () => now, tls.pem);
    const withCa = trust({ ca: tls.caFile }, secure.url);
    await accepted(await secure.sign(), withCa);
    const without = trust({}, secure.url);
    expect(await refused(await secure.sign(), without)).toMatch(/certificate|issuer's keys/);
    withCa.close();
    without.close();
    await secure.close();
  });

  it('says at start when the CA file cannot be read', () => {
    expect(() => trust({ ca: join(dir, 'missing.pem') })).toThrow(ConfigError);
  });
});

describe('what goes wrong on our side', () => {
  it('refuses when a failed login cannot be logged', async () => {
    audit.broken = true;
    await expect(accepted('garbage')).rejects.toMatchObject({ kind: 'AUDIT_UNAVAILABLE' });
  });
});
