import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, createApi } from '../api/api.ts';
import { createFake, person } from '../api/fake.ts';
import { type DevIdp, startDevIdp } from '../demo/idp.ts';
import { approveDeviceLogin } from '../demo/idpLogin.ts';
import { loadServerTls } from '../wire/certificates.ts';
import { run } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-login-'));
let idp: DevIdp;
let api: Api;
let server: string;
let caFile: string;
const accepted: string[] = [];

beforeAll(async () => {
  idp = await startDevIdp({
    port: 0,
    people: [{ id: 'ada', name: 'Ada', email: 'ada@shop.example', groups: ['dba'] }],
    agents: [],
    dataDir: folder,
  });
  const tls = await loadServerTls({ names: [] }, folder, { baseDir: folder, warn: () => undefined });
  tls.close();
  caFile = tls.caFile ?? '';
  const fake = createFake();
  const login = { clientId: 'sallyport-cli', scope: 'openid sallyport', token: 'access_token' } as const;
  api = createApi({
    ...fake,
    tls: tls.pem,
    issuers: [{ name: 'people', issuer: idp.issuer, login }],
    identity: {
      ...fake.identity,
      authenticate: async (credential) => {
        const { sub = '', exp = 0 } = decodeJwt(credential);
        accepted.push(credential);
        return { principal: person(`people:${sub}`), proof: { kind: 'oidc', id: 'p', expiresAt: exp * 1000 } };
      },
    },
  });
  server = (await api.listen({ host: '127.0.0.1', port: 0 })).replace('127.0.0.1', 'localhost');
});
afterAll(async () => {
  await api.close();
  await idp.close();
  rmSync(folder, { recursive: true });
});

/** Runs a command; whatever it says on standard error goes to `heard` as it says it. */
async function sallyport(
  args: readonly string[],
  heard: (text: string) => void = () => undefined,
): Promise<{ exit: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const exit = await run(args, {
    env: { SALLYPORT_HOME: join(folder, 'home') },
    now: Date.now,
    interactive: false,
    answerable: false,
    columns: 100,
    rows: 24,
    out: async (text) => {
      out += String(text);
    },
    err: (text) => {
      err += text;
      heard(text);
    },
    input: async () => '',
    key: async () => 'q',
    ask: async () => 'n',
  });
  return { exit, out, err };
}

const profile = join(folder, 'home', 'profile.json');
const kept = () =>
  JSON.parse(readFileSync(profile, 'utf8')) as {
    servers: Record<string, { ca: string; login?: { token: string; expiresAt: number } }>;
  };

describe('a login with a real issuer, over TLS', () => {
  it('shows a link and a code, waits for the person, renews the token, and ends at the issuer too', async () => {
    const login = await sallyport(['login', '--server', server, '--ca', caFile], (text) => {
      const link = /Open (\S+)/.exec(text)?.[1];
      if (link !== undefined) void approveDeviceLogin(link, 'ada');
    });
    expect([login.exit, login.out]).toEqual([0, '']);
    expect(login.err).toMatch(
      /check that it shows the code \S+[\s\S]*Logged in at https:\/\/localhost:\d+ as .*people:ada/,
    );
    expect(statSync(profile).mode & 0o777).toBe(0o600);
    expect(login.err).not.toContain(kept().servers[server]?.login?.token ?? 'no token was kept');

    // The CA and the login are remembered: nothing has to be said again.
    const me = await sallyport(['whoami', '--json']);
    expect([me.exit, JSON.parse(me.out)]).toEqual([
      0,
      expect.objectContaining({ principal: expect.objectContaining({ id: 'people:ada' }) }),
    ]);

    const before = kept();
    const first = before.servers[server]!.login!.token;
    before.servers[server]!.login!.expiresAt = Date.now() - 1;
    writeFileSync(profile, JSON.stringify(before));
    expect((await sallyport(['whoami'])).exit).toBe(0);
    const renewed = kept().servers[server]!.login!;
    expect(renewed.token).not.toBe(first);
    expect(renewed.expiresAt).toBeGreaterThan(Date.now());
    expect(accepted.at(-1)).toBe(renewed.token);

    const logout = await sallyport(['logout']);
    expect([logout.exit, logout.err]).toEqual([0, expect.stringContaining(`Logged out of ${server}`)]);
    expect(kept().servers[server]).toEqual({ ca: caFile });
    expect((await sallyport(['whoami'])).exit).toBe(3);
  });

  it('is revoked at the issuer on logout', async () => {
    const heard: string[] = [];
    const issuer = createServer(async (request, response) => {
      if (request.url === '/revoke') heard.push((await request.toArray()).join(''));
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ issuer: url, revocation_endpoint: `${url}/revoke` }));
    });
    await new Promise<void>((ready) => issuer.listen(0, '127.0.0.1', ready));
    const url = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`;
    const refresh = { issuer: url, clientId: 'cli', token: 'id_token', refreshToken: 'the-refresh-token' };
    writeFileSync(
      profile,
      JSON.stringify({ current: server, servers: { [server]: { login: { token: 'x', expiresAt: 0, refresh } } } }),
      { mode: 0o600 },
    );
    const logout = await sallyport(['logout']);
    issuer.close();
    expect([logout.exit, logout.err]).toEqual([0, `Logged out of ${server}.\n`]);
    expect(heard).toEqual([expect.stringContaining('token=the-refresh-token')]);
  });

  it('trusts nobody but the authority it was told of', async () => {
    const { exit, err } = await sallyport([
      'targets',
      'list',
      '--server',
      server.replace('localhost', '127.0.0.1'),
      '--token-file',
      tokenFile(),
    ]);
    expect([exit, err]).toEqual([6, expect.stringMatching(/cannot reach .*(self.signed|unable to (verify|get))/i)]);
  });
});

function tokenFile(): string {
  const file = join(folder, 'token');
  writeFileSync(file, generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x ?? '');
  return file;
}
