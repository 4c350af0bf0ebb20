import { connect as connectHttp2 } from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BareGateway, startBareGateway } from '../../support/gateway.ts';
import { callGateway } from '../../support/http-client.ts';
import { type RawCaller, rawCaller } from './raw-caller.ts';
import { startTalker, type Talker } from './talker.ts';

const policies = `
@id("connect") permit (principal, action == Action::"connect", resource)
unless { resource == Target::"closed" };
@id("work") permit (principal, action in Action::"command", resource);
@id("not-others") forbid (principal in Group::"agents", action in Action::"command", resource == Path::"api//people");
@id("oversee") permit (principal in Group::"dba", action in [Action::"review", Action::"configure"], resource);
`;

describe('a caller among others', () => {
  let talker: Talker;
  let gateway: BareGateway;
  let agent: string;
  let dana: string;
  beforeAll(async () => {
    talker = await startTalker();
    talker.on('/stream', (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: first\n\n');
    });
    const target = { protocol: 'http', address: `http://127.0.0.1:${talker.port}`, internal: true, labels: {} };
    gateway = await startBareGateway({
      policies,
      targets: { api: target, other: target, closed: target, stream: target, brief: target },
    });
    [agent, dana] = await Promise.all([gateway.tokenOf('agent'), gateway.tokenOf('dana')]);
  });
  afterAll(async () => {
    await gateway?.stop();
    await talker?.stop();
  });

  const asking = (path: string, token: string, scheme = 'Bearer') =>
    `GET ${path} HTTP/1.1\r\nhost: g\r\nauthorization: ${scheme} ${token}\r\n\r\n`;
  const sessionsOf = async (who: string, target: string) => {
    const { body } = await gateway.call('dana', 'GET', `/v1/sessions?principal=test:${who}&limit=500`);
    const { items } = body as { items: { id: string; target: string; endedAt?: number }[] };
    return items.filter((session) => session.target === target);
  };
  const streaming = async (token: string, target: string): Promise<RawCaller> => {
    const caller = await rawCaller(gateway);
    caller.say(asking(`/${target}/stream`, token));
    await caller.heard(/data: first/);
    return caller;
  };

  it('is decided on by its own token on a connection that others use too', async () => {
    const caller = await rawCaller(gateway);
    const basic = Buffer.from(`someone:${agent}`).toString('base64');
    caller.say(
      asking('/api/people', dana) +
        asking('/api/people', agent) +
        asking('/api/people', basic, 'Basic') +
        asking('/api/people', 'nonsense') +
        asking('/api/people', dana),
    );
    const heard = await caller.heard(/(?:HTTP\/1\.1 [\s\S]*){5}\r\n\r\n/);
    caller.end();
    expect(heard.match(/HTTP\/1\.1 \d+/g)).toEqual(
      ['200', '403', '403', '401', '200'].map((code) => `HTTP/1.1 ${code}`),
    );
  });

  it('is decided on by its own token on each stream of an HTTP/2 connection', async () => {
    const session = connectHttp2(gateway.http, { ca: gateway.ca, servername: 'localhost' });
    const ask = (token: string) =>
      new Promise<number>((resolve, reject) => {
        const stream = session.request({ ':path': '/api/people', authorization: `Bearer ${token}` });
        stream.on('response', (fields) => resolve(Number(fields[':status'])));
        stream.on('error', reject);
        stream.resume();
        stream.end();
      });
    const tokens = Array.from({ length: 30 }, (_, i) => [dana, agent, 'nonsense'][i % 3] as string);
    expect(await Promise.all(tokens.map(ask))).toEqual(tokens.map((_, i) => [200, 403, 401][i % 3]));
    session.destroy();
  });

  it('gets in by exactly one credential, where a credential is expected', async () => {
    const caller = async (fields: string) => {
      const raw = await rawCaller(gateway);
      raw.say(`GET /other/x HTTP/1.1\r\nhost: g\r\n${fields}\r\n`);
      const heard = await raw.heard(/HTTP\/1\.1 \d+[^\n]*\r\n[\s\S]*\r\n\r\n/);
      raw.end();
      return Number(heard.slice(9, 12));
    };
    const before = talker.seen.length;
    const bearer = `authorization: Bearer ${agent}\r\n`;
    expect(await caller(`authorization: Bearer x\r\n${bearer}`)).toBeGreaterThanOrEqual(400);
    expect(await caller(`${bearer}authorization: Bearer x\r\n`)).toBeGreaterThanOrEqual(400);
    expect(await caller(`authorization: Bearer x, Bearer ${agent}\r\n`)).toBe(401);
    expect(await caller(`proxy-authorization: Bearer ${agent}\r\n`)).toBe(401);
    expect(await caller(`cookie: authorization=Bearer ${agent}\r\n`)).toBe(401);
    expect(await caller(`x-amz-security-token: ${agent}\r\n`)).toBe(401);
    expect(await caller(`authorization: Basic ${Buffer.from(agent).toString('base64')}\r\n`)).toBe(401);
    expect(talker.seen.length).toBe(before);
    expect(await caller(bearer)).toBe(200);
  });

  it('does not take its token to the target, where that could use it', async () => {
    const before = talker.seen.length;
    for (const headers of [{ 'x-auth-token': agent }, { cookie: `t=${agent}` }, { referer: `https://g/?t=${agent}` }])
      expect((await callGateway(gateway, agent, 'GET', '/api/x', { headers })).status).toBe(400);
    expect((await callGateway(gateway, agent, 'GET', `/api/x?access_token=${agent}`)).status).toBe(400);
    expect(talker.seen.length).toBe(before);
    await callGateway(gateway, agent, 'GET', '/api/x', { headers: { 'proxy-authorization': `Bearer ${agent}` } });
    expect(JSON.stringify(talker.seen.slice(before).map(({ fields }) => fields))).not.toContain(agent);
  });

  it('reaches a target by its exact name only, and none that it may not reach', async () => {
    const before = talker.seen.length;
    for (const path of [
      '/API/x',
      '/api%2f/x',
      '/%61pi/x',
      '//api/x',
      '/api;/x',
      '/./api/x',
      '/git/api/x',
      '/../api/x',
      '/__proto__/x',
      '/constructor/x',
      '/',
      '/api /x',
      '/closed/x',
      '/closed',
      '/*',
    ])
      expect(
        (await callGateway(gateway, agent, 'GET', encodeURI(path).replaceAll('%25', '%'))).status,
        path,
      ).toBeGreaterThanOrEqual(400);
    expect(talker.seen.length).toBe(before);
  });

  it('loses a stream that is under way when its ticket is revoked', async () => {
    const made = await gateway.call('agent', 'POST', '/v1/tickets', { targets: ['stream'] });
    const { ticket, secret } = made.body as { ticket: { id: string }; secret: string };
    const caller = await streaming(secret, 'stream');
    expect((await callGateway(gateway, secret, 'GET', '/api/x')).status).toBe(403);
    await gateway.call('agent', 'DELETE', `/v1/tickets/${ticket.id}`);
    await caller.heard(/never/); // the connection breaks off
    expect((await callGateway(gateway, secret, 'GET', '/stream/x')).status).toBeGreaterThanOrEqual(400);
    await expect
      .poll(async () => (await sessionsOf('agent', 'stream')).every(({ endedAt }) => endedAt !== undefined))
      .toBe(true);
  });

  it('stays out in every spelling of its token when its session was terminated', async () => {
    const caller = await streaming(agent, 'brief');
    const [session] = (await sessionsOf('agent', 'brief')).filter(({ endedAt }) => endedAt === undefined);
    await gateway.call('dana', 'POST', `/v1/sessions/${session?.id}/terminate`, { reason: 'enough' });
    await caller.heard(/never/);
    const before = talker.seen.length;
    for (const token of [agent, ...twins(agent)]) {
      const { status, body } = await callGateway(gateway, token, 'GET', '/brief/x');
      expect(status, body).toBe(503);
    }
    expect(talker.seen.length).toBe(before);
    expect((await callGateway(gateway, agent, 'GET', '/other/x')).status).toBe(200);
  });
});

/** The order of P-256 (FIPS 186-5): with (r, s) verifies (r, n - s). */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** Other tokens that say the same and verify as well. */
function twins(token: string): readonly string[] {
  const [head, payload, signature] = token.split('.') as [string, string, string];
  const bytes = Buffer.from(signature, 'base64url');
  const s = BigInt(`0x${bytes.toString('hex', 32)}`);
  const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex')]);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet.indexOf(signature.at(-1) as string);
  const spare = alphabet[last ^ 1] as string; // 64 bytes leave four bits of the last character unused
  return [`${head}.${payload}.${twin.toString('base64url')}`, `${head}.${payload}.${signature.slice(0, -1)}${spare}`];
}
