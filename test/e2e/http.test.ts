import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { type BareGateway, startBareGateway } from '../support/gateway.ts';
import { type Answered, callGateway } from '../support/http-client.ts';
import { customers, type HttpUpstream, startHttpUpstream } from '../support/http-upstream.ts';

const key = 'key/of+the=target-4711';

/** The demonstration's, for one target more: its messages are commands, and some words are not said. */
const policies = `${readFileSync(new URL('../../policies/demo/demo.cedar', import.meta.url), 'utf8')}
@id("live-approve") permit (principal in Group::"dba", action == Action::"approve", resource in Target::"live");
@id("live-connect") permit (principal, action == Action::"connect", resource == Target::"live");
@id("live-talk") permit (principal, action in [Action::"read", Action::"write"], resource in Target::"live");
@id("live-no-shutdown") forbid (principal, action in Action::"command", resource in Target::"live")
when { context.values.contains("body.do=shutdown") };
@id("live-restart") @approvers("dba") forbid (principal, action in Action::"command", resource in Target::"live")
when { context.values.contains("body.do=restart") } unless { context.grants.contains("dba") };
`.replace('&& context.protocol != "git" }', '&& context.protocol != "git" && context.target != Target::"live" }');

describe('an HTTP target', () => {
  let upstream: HttpUpstream;
  let gateway: BareGateway;
  let token: string;
  beforeAll(async () => {
    upstream = await startHttpUpstream();
    gateway = await startBareGateway({
      files: { 'api.key': key },
      policies,
      targets: {
        api: {
          protocol: 'http',
          address: `http://127.0.0.1:${upstream.port}`,
          internal: true,
          credential: { file: './api.key', as: 'bearer' },
          labels: { env: 'prod' },
          hold: '300ms',
          classify: { '$.customers[*].ssn': 'pii.ssn', '$.ssn': 'pii.ssn' },
        },
        live: {
          protocol: 'http',
          address: `http://127.0.0.1:${upstream.port}`,
          internal: true,
          labels: { env: 'test' },
          hold: '300ms',
          messages: 'commands',
          classify: { '$.customers[*].ssn': 'pii.ssn' },
        },
      },
    });
    token = await gateway.tokenOf('agent');
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });
  const get = (path: string, headers: Record<string, string> = {}): Promise<Answered> =>
    callGateway(gateway, token, 'GET', `/api${path}`, { headers });

  it('gets the gateway’s credential and never the caller’s', async () => {
    const { status } = await get('/orders/1', { 'X-Forwarded-User': 'root', cookie: 'session=1' });
    expect(status).toBe(200);
    const fields = upstream.lastFields();
    expect(fields.authorization).toBe(`Bearer ${key}`);
    expect(fields['x-forwarded-user']).toBeUndefined();
    expect(fields.cookie).toBeUndefined();
    expect(JSON.stringify(fields)).not.toContain(token);
  });

  it('cannot give the credential back, whichever way it writes it', async () => {
    const echoed = await get('/echo');
    expect(echoed.status).toBe(200);
    expect(echoed.body).toContain('Bearer **');
    expect(echoed.body).not.toContain(key);
    const redirected = await get('/redirect');
    expect(redirected.status).toBe(302);
    expect(JSON.stringify(redirected.headers)).not.toContain(key);
    expect(redirected.headers.location).toMatch(/^https:\/\/.*\/api\/customers\?token=\*+$/);
    expect(redirected.headers['set-cookie']).toBeUndefined();
  });

  it.each(['gzip', 'deflate', 'br', 'zstd'])('is masked in a body coded with %s, which comes coded', async (coding) => {
    const answer = await get(`/coded/${coding}`, { 'accept-encoding': 'gzip, deflate, br, zstd' });
    expect(answer.headers['content-encoding']).toBe(coding);
    const zlib = await import('node:zlib');
    const decode = {
      gzip: zlib.gunzipSync,
      deflate: zlib.inflateSync,
      br: zlib.brotliDecompressSync,
      zstd: zlib.zstdDecompressSync,
    }[coding]!;
    const text = decode(answer.bytes).toString();
    expect(text).toContain('Ada Lovelace');
    expect(text).not.toContain(customers[0]!.ssn);
    expect(JSON.parse(text)).toMatchObject({ customers: [{ id: 1 }, { id: 2 }] });
  });

  it('is masked by detectors where nothing is classified', async () => {
    const { body } = await get('/page');
    expect(body).toMatch(/^Ada pays with /);
    expect(body).not.toContain(customers[0]!.card);
  });

  it('is masked event by event', async () => {
    const { body } = await get('/events');
    expect(body.match(/^data: /gm)).toHaveLength(2);
    expect(body).toContain('Grace Hopper');
    for (const { ssn } of customers) expect(body).not.toContain(ssn);
  });

  it('takes and gives large bodies whole', async () => {
    const body = Buffer.alloc(8 * 1024 * 1024, 'large body ');
    const dana = await gateway.tokenOf('dana');
    const sent = await callGateway(gateway, dana, 'POST', '/api/upload', { body });
    expect(JSON.parse(sent.body)).toEqual({
      bytes: body.length,
      sha256: createHash('sha256').update(body).digest('hex'),
    });
    const got = await get('/bytes/20');
    expect(got.bytes.length).toBe(20 * 1024 * 1024);
    expect(got.bytes.every((byte) => byte === 0x78)).toBe(true);
  });

  it('that breaks off is seen to break off', async () => {
    await expect(get('/broken')).rejects.toThrow(/aborted|hang up|closed|reset/i);
  });

  it('holds a request with a long body and binds the yes to that very body', async () => {
    const body = Buffer.alloc(200_000, 'a');
    const post = (bytes: Buffer) => callGateway(gateway, token, 'POST', '/api/upload?held', { body: bytes });
    const held = await post(body);
    expect(held.status).toBe(403);
    expect(held.headers['content-type']).toBe('application/problem+json');
    expect(held.headers['retry-after']).toBe('15');
    const problem = JSON.parse(held.body) as { code: string; link: string };
    expect(problem.code).toBe('SP3001');
    expect(upstream.log()).not.toContain('/upload?held');
    const id = problem.link.slice(problem.link.lastIndexOf('/') + 1);
    const status = await callGateway(gateway, token, 'GET', String(held.headers.location));
    expect(JSON.parse(status.body)).toMatchObject({ id, state: 'open' });
    await gateway.call('dana', 'POST', `/v1/approvals/${id}/approve`, { reason: 'checked' });
    const other = Buffer.from(body);
    other[199_999] = 0x62;
    expect((await post(other)).status).toBe(403);
    expect(upstream.log()).not.toContain('/upload?held');
    expect(JSON.parse((await post(body)).body)).toMatchObject({ bytes: 200_000 });
  });

  it('refuses a held request whose body is too long to be kept, and has that in the log', async () => {
    const body = Buffer.alloc(17 * 1024 * 1024, 'b');
    const refused = await callGateway(gateway, token, 'POST', '/api/upload?too-long', { body });
    expect(refused.status).toBe(413);
    expect(refused.body).toContain('SP7001');
    expect(upstream.log()).not.toContain('too-long');
    const { body: log } = await gateway.call('dana', 'GET', '/v1/audit/events?type=command.denied&limit=500');
    const found = (log as { items: { text?: string; code?: string }[] }).items.find(({ text }) =>
      text?.includes('too-long'),
    );
    expect(found).toMatchObject({ code: 'SP7001', text: 'POST /upload?too-long' });
  });

  it('answers 202 to a held request whose caller prefers not to wait, and sends it only when it comes again', async () => {
    const post = (headers: Record<string, string>) =>
      callGateway(gateway, token, 'POST', '/api/orders/77/refund', { headers });
    const accepted = await post({ prefer: 'respond-async' });
    expect(accepted.status).toBe(202);
    expect(accepted.headers['preference-applied']).toBe('respond-async');
    const where = String(accepted.headers.location);
    const id = where.slice(where.lastIndexOf('/') + 1);
    await gateway.call('dana', 'POST', `/v1/approvals/${id}/approve`, { reason: 'checked' });
    expect(JSON.parse((await callGateway(gateway, token, 'GET', where)).body)).toMatchObject({ state: 'approved' });
    expect(upstream.log()).not.toContain('/orders/77');
    expect((await post({ prefer: 'respond-async' })).status).toBe(200);
    const others = await callGateway(gateway, await gateway.tokenOf('other-agent'), 'GET', where);
    expect(others.status).toBe(404);
  });

  it('keeps its connections for the next request', async () => {
    const before = upstream.connections();
    for (let i = 0; i < 20; i++) await get('/orders/5');
    expect(upstream.connections() - before).toBeLessThanOrEqual(1);
  });

  describe('over WebSocket', () => {
    const agent = () => new Agent({ ca: gateway.ca, servername: 'localhost' });
    const open = async (path: string): Promise<WebSocket> => {
      const socket = new WebSocket(`${gateway.http.replace('https', 'wss')}${path}`, {
        agent: agent(),
        headers: { authorization: `Bearer ${token}` },
      });
      await once(socket, 'open');
      return socket;
    };
    const say = async (socket: WebSocket, text: string | Buffer): Promise<string> => {
      socket.send(text);
      const [data] = (await once(socket, 'message')) as [Buffer];
      return data.toString();
    };

    it('passes messages both ways, masked, with no extension', async () => {
      const socket = await open('/live/socket');
      expect(socket.extensions).toBe('');
      expect(await say(socket, 'hello')).toBe('hello');
      const masked = await say(socket, 'customers');
      expect(masked).toContain('Ada Lovelace');
      for (const { ssn } of customers) expect(masked).not.toContain(ssn);
      expect(await say(socket, `my card is ${customers[1]!.card}`)).not.toContain(customers[1]!.card);
      const large = 'x'.repeat(300_000);
      expect(await say(socket, large)).toBe(large);
      socket.close();
      await once(socket, 'close');
    });

    it('decides on every message where messages are commands', async () => {
      const socket = await open('/live/socket');
      expect(await say(socket, '{"do":"greet"}')).toBe('{"do":"greet"}');
      socket.send('{"do":"shutdown"}');
      const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
      expect(code).toBe(1008);
      expect(reason.toString()).toMatch(/^SP2001 live-no-shutdown/);
      expect(upstream.log()).toContain('MESSAGE {"do":"greet"}');
      expect(upstream.log()).not.toContain('shutdown');
    });

    it('holds a message, and sends it when it is said again after a yes', async () => {
      const socket = await open('/live/socket');
      socket.send('{"do":"restart"}');
      const [, reason] = (await once(socket, 'close')) as [number, Buffer];
      expect(reason.toString()).toMatch(/^SP3001/);
      expect(upstream.log()).not.toContain('restart');
      const { body } = await gateway.call('dana', 'GET', '/v1/approvals?state=open&limit=500');
      const request = (body as { items: { id: string; text: string }[] }).items.find(({ text }) =>
        text.startsWith('MESSAGE'),
      );
      await gateway.call('dana', 'POST', `/v1/approvals/${request!.id}/approve`, { reason: 'checked' });
      const again = await open('/live/socket');
      expect(await say(again, '{"do":"restart"}')).toBe('{"do":"restart"}');
      again.close();
    });

    it('needs a token like any request', async () => {
      const socket = new WebSocket(`${gateway.http.replace('https', 'wss')}/live/socket`, { agent: agent() });
      const [error] = (await once(socket, 'error')) as [Error];
      expect(error.message).toContain('401');
    });
  });

  it('asks those without a token for one', async () => {
    const { status, headers } = await callGateway(gateway, '', 'GET', '/api/orders/1');
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toBe('Bearer realm="Sallyport"');
  });
});
