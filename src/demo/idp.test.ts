import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import * as client from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issuersSchema, ticketsSchema } from '../identity/config.ts';
import { fakeAudit, fakeTicketStore } from '../identity/fakeDeps.ts';
import { createIdentity, type Identity } from '../identity/identity.ts';
import { approveDeviceLogin, type DevIdp, demoCliClient, loginAsDemoPerson, startDevIdp } from './idp.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'sallyport-idp-'));
const people = [
  { id: 'ada', name: 'Ada <b>&"', email: 'ada@shop.example', groups: ['dba', 'people'] },
  { id: 'ben', name: 'Ben', email: 'ben@shop.example', groups: ['people'] },
];
const agents = [
  {
    id: 'ci-shop',
    name: 'Shop CI',
    kind: 'ci',
    groups: ['agents'],
    owner: 'ben',
    claims: { repository: 'acme/shop', run_id: '7' },
  },
] as const;
const options = { port: 0, people, agents, dataDir, consoleRedirectUris: ['http://127.0.0.1:4000/callback'] };

let idp: DevIdp;
let gateway: Identity;
const login = (token: string) => gateway.identity.authenticate(token, 'api', { address: '127.0.0.1' });

function gatewayFor(issuer: string): Identity {
  const issuers = issuersSchema.parse([
    {
      name: 'demo',
      issuer,
      audience: 'sallyport',
      type: 'at+jwt',
      principal: { kind: ['human', 'ci', 'agent'].map((kind) => ({ when: { kind }, kind })) },
      groups: { claims: 'groups', optional: true },
      claims: ['repository', 'run_id', 'owner'],
    },
  ]);
  const deps = {
    store: fakeTicketStore(),
    audit: fakeAudit(),
    managesTickets: () => false,
    targetExists: () => true,
    warn: () => {},
  };
  return createIdentity({ ...deps, issuers, tickets: ticketsSchema.parse(undefined), baseDir: '.' });
}

beforeAll(async () => {
  idp = await startDevIdp(options);
  gateway = gatewayFor(idp.issuer);
});
afterAll(async () => {
  gateway.close();
  await idp.close();
  rmSync(dataDir, { recursive: true });
});

const discover = () =>
  client.discovery(new URL(idp.issuer), demoCliClient, undefined, client.None(), {
    execute: [client.allowInsecureRequests],
  });

describe('the development identity provider', () => {
  it('gives an agent a token that the gateway takes', async () => {
    const token = await idp.tokenForAgent('ci-shop');
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
    const { principal } = await login(token);
    expect(principal).toMatchObject({ id: 'demo:ci-shop', kind: 'ci', name: 'Shop CI', groups: ['agents'] });
    expect(principal.claims).toEqual({ repository: 'acme/shop', run_id: '7', owner: 'ben' });
  });

  it('gives an agent nothing for a wrong secret', async () => {
    const answer = await fetch(`${idp.issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from('ci-shop:wrong').toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    expect(answer.status).toBe(401);
    await expect(idp.tokenForAgent('nobody')).rejects.toThrow('there is no agent');
  });

  it('logs people in by the device flow, as many as ask at once', async () => {
    const tokens = await Promise.all(['ada', 'ben', 'ada'].map((person) => loginAsDemoPerson(idp.issuer, person)));
    const callers = await Promise.all(tokens.map(login));
    expect(callers.map(({ principal }) => principal)).toMatchObject([
      { id: 'demo:ada', kind: 'human', groups: ['dba', 'people'] },
      { id: 'demo:ben', kind: 'human', groups: ['people'] },
      { id: 'demo:ada' },
    ]);
  });

  it('knows nobody it was not told of', async () => {
    await expect(loginAsDemoPerson(idp.issuer, 'eve')).rejects.toThrow('no such person');
    await expect(loginAsDemoPerson(idp.issuer, 'ci-shop')).rejects.toThrow('no such person');
  });

  it('works with a standard client: device flow and refresh', async () => {
    const config = await discover();
    const device = await client.initiateDeviceAuthorization(config, { scope: 'openid sallyport' });
    expect(device.verification_uri).toBe(`${idp.issuer}/device`);
    await approveDeviceLogin(device.verification_uri_complete!, 'ada');
    const tokens = await client.pollDeviceAuthorizationGrant(config, { ...device, interval: 0.01 });
    expect((await login(tokens.access_token)).principal.id).toBe('demo:ada');
    expect(tokens.claims()?.sub).toBe('ada');
    const again = await client.refreshTokenGrant(config, tokens.refresh_token!);
    expect((await login(again.access_token)).principal).toMatchObject({ id: 'demo:ada', groups: ['dba', 'people'] });
    // The ID token is for the program that asked, not for the gateway.
    await expect(login(tokens.id_token!)).rejects.toMatchObject({ kind: 'LOGIN_FAILED' });
  });

  it('works with a standard client: authorization code with PKCE, on a page that says what it is', async () => {
    const config = await discover();
    const verifier = client.randomPKCECodeVerifier();
    const redirect = 'http://127.0.0.1:51234/callback';
    const code_challenge = createHash('sha256').update(verifier).digest('base64url');
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: redirect,
      scope: 'openid',
      code_challenge,
      code_challenge_method: 'S256',
      state: 's',
    });
    const start = await fetch(url, { redirect: 'manual' });
    const page = new URL(start.headers.get('location')!, idp.issuer);
    const cookie = start.headers.getSetCookie().map((line) => line.split(';')[0]).join('; '); // biome-ignore format: one line
    const shown = await fetch(page, { headers: { cookie } });
    const html = await shown.text();
    expect(shown.headers.get('x-frame-options')).toBe('DENY');
    expect(html).toContain('Development identity provider');
    expect(html).toContain('Ada &#60;b&#62;&#38;&#34;');
    let next = await fetch(page, {
      method: 'POST',
      headers: { cookie },
      body: new URLSearchParams({ person: 'ben' }),
      redirect: 'manual',
    });
    const cookies = [cookie, ...next.headers.getSetCookie().map((line) => line.split(';')[0])].join('; ');
    next = await fetch(next.headers.get('location')!, { headers: { cookie: cookies }, redirect: 'manual' });
    const back = new URL(next.headers.get('location')!);
    expect(back.href.startsWith(`${redirect}?`)).toBe(true);
    const tokens = await client.authorizationCodeGrant(config, back, {
      pkceCodeVerifier: verifier,
      expectedState: 's',
    });
    expect((await login(tokens.access_token)).principal).toMatchObject({ id: 'demo:ben', kind: 'human' });
  });

  it('asks for PKCE, and sends nobody to an address it does not know', async () => {
    const ask = (parameters: Record<string, string>) =>
      fetch(
        `${idp.issuer}/auth?${new URLSearchParams({ client_id: demoCliClient, response_type: 'code', scope: 'openid', ...parameters })}`,
        { redirect: 'manual' },
      );
    const challenge = { code_challenge: randomBytes(32).toString('base64url'), code_challenge_method: 'S256' };
    const plain = await ask({ redirect_uri: 'http://127.0.0.1:1/callback' });
    expect(plain.headers.get('location')).toContain('error=invalid_request');
    const elsewhere = await ask({ redirect_uri: 'http://evil.example/callback', ...challenge });
    expect(elsewhere.status).toBe(400);
    expect(elsewhere.headers.get('location')).toBeNull();
  });

  it('answers to its own address only, so that no web page reaches it by another name', async () => {
    const status = await new Promise((resolve, reject) => {
      request(`${idp.issuer}/.well-known/openid-configuration`, { headers: { host: 'evil.example' } }, (r) =>
        resolve(r.resume().statusCode),
      )
        .on('error', reject)
        .end();
    });
    expect(status).toBe(421);
  });

  it('lets nobody answer a sign-in page that is not theirs', async () => {
    const answer = await fetch(`${idp.issuer}/interaction/guess`, {
      method: 'POST',
      body: new URLSearchParams({ person: 'ada' }),
    });
    expect(answer.status).toBe(400);
    expect(answer.headers.getSetCookie()).toEqual([]);
  });

  it('signs with the same keys after a restart, and keeps them to itself', async () => {
    const first = await startDevIdp(options);
    const token = await first.tokenForAgent('ci-shop');
    const secret = first.clientSecret('ci-shop');
    await first.close();
    const port = Number(new URL(first.issuer).port);
    const second = await startDevIdp({
      ...options,
      port,
      algorithm: 'RS256',
      agents: [...agents, { id: 'new', name: 'New', kind: 'agent', groups: [] }],
    });
    expect(second.clientSecret('ci-shop')).toBe(secret);
    const verifier = gatewayFor(second.issuer);
    const who = (t: string) => verifier.identity.authenticate(t, 'target', { address: 'x' });
    expect((await who(token)).principal.id).toBe('demo:ci-shop');
    const fresh = await second.tokenForAgent('new');
    expect(decodeProtectedHeader(fresh).alg).toBe('RS256');
    expect((await who(fresh)).principal).toMatchObject({ id: 'demo:new', kind: 'agent' });
    expect(statSync(join(dataDir, 'idp.json')).mode & 0o777).toBe(0o600);
    verifier.close();
    await second.close();
  });

  it('says when its port is taken, and when an id is used twice', async () => {
    await expect(startDevIdp({ ...options, port: Number(new URL(idp.issuer).port) })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
    await expect(startDevIdp({ ...options, agents: [{ ...agents[0], id: 'ada' }] })).rejects.toThrow(
      'two people or agents',
    );
  });

  it('publishes no private key', async () => {
    const jwks = await (await fetch(`${idp.issuer}/jwks`)).text();
    for (const { d, p, q, k, ...rest } of (JSON.parse(jwks) as { keys: Record<string, unknown>[] }).keys) {
      expect([d, p, q, k]).toEqual([undefined, undefined, undefined, undefined]);
      expect(rest.kid).toBeTypeOf('string');
    }
    expect(decodeJwt(await idp.tokenForAgent('ci-shop')).aud).toBe('sallyport');
  });
});
