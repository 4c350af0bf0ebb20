import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { type BareGateway, startBareGateway } from '../../support/gateway.ts';
import { callGateway } from '../../support/http-client.ts';
import { rawCaller } from './raw-caller.ts';
import { startTalker, type Talker } from './talker.ts';

const policies = `
@id("connect") permit (principal, action == Action::"connect", resource);
@id("work") permit (principal, action in Action::"command", resource);
@id("ask") @approvers("dba") forbid (principal, action in [Action::"write", Action::"destroy"], resource)
unless { context.grants.contains("dba") };
@id("approve") permit (principal in Group::"dba", action == Action::"approve", resource);
`;

describe('a yes', () => {
  let talker: Talker;
  let gateway: BareGateway;
  let token: string;
  beforeAll(async () => {
    talker = await startTalker();
    const target = { protocol: 'http', address: `http://127.0.0.1:${talker.port}`, internal: true, labels: {} };
    gateway = await startBareGateway({
      policies,
      targets: {
        api: { ...target, hold: '50ms' },
        api2: { ...target, hold: '50ms' },
        slow: { ...target, hold: '20s' },
        live: { ...target, hold: '50ms', messages: 'commands' },
        slowlive: { ...target, hold: '20s', messages: 'commands' },
      },
    });
    token = await gateway.tokenOf('agent');
  });
  afterAll(async () => {
    await gateway?.stop();
    await talker?.stop();
  });

  type Given = { readonly headers?: Record<string, string>; readonly body?: string | Buffer };
  const post = (path: string, given: Given = {}, target = 'api') =>
    callGateway(gateway, token, 'POST', `/${target}${path}`, given);
  /** Asks, and has dana say yes. */
  const approved = async (path: string, given: Given = {}): Promise<string> => {
    const held = await post(path, given);
    expect([202, 403], held.body).toContain(held.status);
    const { link } = JSON.parse(held.body) as { link: string };
    const id = link.slice(link.lastIndexOf('/') + 1);
    await gateway.call('dana', 'POST', `/v1/approvals/${id}/approve`, { reason: 'checked' });
    return id;
  };
  const arrived = (path: string) => talker.seen.filter(({ line }) => line === `POST ${path}`).length;

  const json = { 'content-type': 'application/json' };
  it.each<{ readonly name: string; readonly asked?: Given; readonly sent: Given; readonly path?: string }>([
    {
      name: 'another preference',
      asked: { headers: { prefer: 'return=minimal' } },
      sent: { headers: { prefer: 'resolution=merge-duplicates' } },
    },
    { name: 'a preference where there was none', sent: { headers: { prefer: 'tx=commit' } } },
    {
      name: 'another version of the interface',
      asked: { headers: { accept: 'application/vnd.x.v1+json' } },
      sent: { headers: { accept: 'application/vnd.x.v2+json' } },
    },
    {
      name: 'another type of the same body',
      asked: { headers: json, body: '{"a":1}' },
      sent: { headers: { 'content-type': 'text/plain' }, body: '{"a":1}' },
    },
    {
      name: 'another body of the same length',
      asked: { headers: json, body: '{"a":1}' },
      sent: { headers: json, body: '{"a":2}' },
    },
    {
      name: 'the body in another coding',
      asked: { headers: json, body: '{"a":1}' },
      sent: { headers: { ...json, 'content-encoding': 'gzip' }, body: '{"a":1}' },
    },
    { name: 'another query', sent: {}, path: '?force=1' },
    {
      name: 'another idempotency key',
      asked: { headers: { 'idempotency-key': 'a' } },
      sent: { headers: { 'idempotency-key': 'b' } },
    },
    { name: 'a condition taken away', asked: { headers: { 'if-match': '"1"' } }, sent: {} },
  ])('is not for $name', async ({ name, asked = {}, sent, path = '' }) => {
    const where = `/other/${name.replaceAll(' ', '-')}`;
    await approved(where, asked);
    expect((await post(`${where}${path}`, sent)).status).toBe(403);
    expect(talker.seen.filter(({ line }) => line.includes(where))).toEqual([]);
    expect((await post(where, asked)).status).toBe(200);
    expect(arrived(where)).toBe(1);
  });

  it('is neither for another target nor for another caller', async () => {
    await approved('/elsewhere');
    expect((await post('/elsewhere', {}, 'api2')).status).toBe(403);
    const other = await callGateway(gateway, await gateway.tokenOf('other-agent'), 'POST', '/api/elsewhere');
    expect(other.status).toBe(403);
    expect(arrived('/elsewhere')).toBe(0);
  });

  it('for a text is not for a body that is described by that text', async () => {
    const body = Buffer.alloc(20_000, 0x61);
    const text = `${body.length} bytes, sha256 ${createHash('sha256').update(body).digest('hex')}`;
    await approved('/described', { body: text, headers: { 'content-type': 'text/plain' } });
    expect((await post('/described', { body, headers: { 'content-type': 'text/plain' } })).status).toBe(403);
    expect(arrived('/described')).toBe(0);
  });

  it('does not carry fields that trail the body, which nobody saw', async () => {
    const say = async (trailer: string) => {
      const caller = await rawCaller(gateway);
      caller.say(
        `POST /api/trailed HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\n` +
          `transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n${trailer}\r\n`,
      );
      const heard = await caller.heard(/\r\n\r\n[\s\S]+/);
      caller.end();
      return heard;
    };
    const held = await say('');
    expect(held).toContain('403');
    const id = /approvals\/([0-9a-f-]{36})/.exec(held)?.[1];
    await gateway.call('dana', 'POST', `/v1/approvals/${id}/approve`, { reason: 'checked' });
    let trailers: object = {};
    talker.on('/trailed', (request, response) => {
      request.on('end', () => {
        trailers = request.trailers;
        response.end('{}');
      });
    });
    await say('x-really: delete-everything\r\n');
    expect(trailers).toEqual({});
  });

  it('is asked for with all that it is bound to, and how a long body begins', async () => {
    const headers = {
      'x-force': 'yes',
      prefer: 'return=minimal',
      cookie: 'c=secret',
      'x-api-key': 'my-secret',
      'content-type': 'text/plain',
    };
    const id = await approved('/shown', { headers, body: `first words ${'x'.repeat(100_000)}` });
    const { body } = await gateway.call('dana', 'GET', `/v1/approvals/${id}`);
    const { preview } = body as { preview: string };
    expect(preview).toContain('x-force: yes');
    expect(preview).toContain('prefer: return=minimal');
    expect(preview).toContain('first words xxx');
    expect(preview).not.toMatch(/secret|Bearer/);
    expect(preview.length).toBeLessThan(20_000);
  });

  it('is not waited for with more memory than a caller may have', async () => {
    const large = Buffer.alloc(12 * 1024 * 1024, 0x61);
    const headers = { 'content-type': 'text/plain' };
    const uploads = [1, 2, 3, 4, 5].map((n) => post(`/large/${n}`, { body: large, headers }, 'slow'));
    const first = await Promise.race(uploads);
    expect(first.status).toBe(413);
    expect(first.body).toContain('SP');
    const refused = await Promise.all([1, 2].map((n) => post(`/more/${n}`, { body: large, headers }, 'slow')));
    expect(refused.map(({ status }) => status)).toEqual([413, 413]);
    await gateway.call('dana', 'POST', `/v1/approvals/${await openRequest(gateway, 'large/1')}/deny`, { reason: 'no' });
    await gateway.call('dana', 'POST', `/v1/approvals/${await openRequest(gateway, 'large/2')}/deny`, { reason: 'no' });
    expect((await Promise.all(uploads)).map(({ status }) => status)).toEqual([403, 403, 413, 413, 413]);
    const again = await post('/large/6', { body: large, headers: { ...headers, prefer: 'respond-async' } }, 'slow');
    expect(again.status).toBe(202);
  });

  it('is for the same request whether its caller waits or not', async () => {
    await approved('/patient', { headers: { prefer: 'respond-async, wait=5' } });
    expect((await post('/patient')).status).toBe(200);
  });

  it('is good for one of many that come at once', async () => {
    await approved('/race');
    const answers = await Promise.all(Array.from({ length: 12 }, () => post('/race')));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(arrived('/race')).toBe(1);
  });

  it('waits for a caller who has gone, and sends nothing without one', async () => {
    const caller = await rawCaller(gateway);
    caller.say(`POST /slow/gone HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${token}\r\ncontent-length: 0\r\n\r\n`);
    const id = await openRequest(gateway, '/gone');
    caller.end();
    await gateway.call('dana', 'POST', `/v1/approvals/${id}/approve`, { reason: 'checked' });
    const status = await callGateway(gateway, token, 'GET', `/slow/.sallyport/approvals/${id}`);
    expect(JSON.parse(status.body)).toMatchObject({ state: 'approved' });
    expect(arrived('/gone')).toBe(0);
    expect((await post('/gone', {}, 'slow')).status).toBe(200);
    expect(arrived('/gone')).toBe(1);
  });

  describe('to a message of a WebSocket', () => {
    const heard: string[] = [];
    beforeAll(() => {
      const upgrades = new WebSocketServer({ noServer: true });
      talker.onUpgrade((request, socket) => {
        upgrades.handleUpgrade(request, socket as never, Buffer.alloc(0), (client) => {
          client.on('message', (data, binary) => heard.push(`${binary ? 'binary' : 'text'} ${data}`));
        });
      });
    });
    const open = async (target: string): Promise<WebSocket> => {
      const socket = new WebSocket(`${gateway.http.replace('https', 'wss')}/${target}/socket`, {
        agent: new Agent({ ca: gateway.ca, servername: 'localhost' }),
        headers: { authorization: `Bearer ${token}` },
      });
      await once(socket, 'open');
      return socket;
    };

    it('sends nothing for a caller who has gone', async () => {
      const socket = await open('slowlive');
      socket.send('gone');
      const id = await openRequest(gateway, '/socket');
      socket.terminate();
      await gateway.call('dana', 'POST', `/v1/approvals/${id}/approve`, { reason: 'checked' });
      const status = await callGateway(gateway, token, 'GET', `/slowlive/.sallyport/approvals/${id}`);
      expect(JSON.parse(status.body)).toMatchObject({ state: 'approved' });
      expect(heard).toEqual([]);
      const again = await open('slowlive');
      again.send('gone');
      await expect.poll(() => heard).toEqual(['text gone']);
      again.terminate();
    });

    it('is not for other bytes, nor for the same as another kind', async () => {
      const say = async (data: string | Buffer) => {
        const socket = await open('live');
        socket.send(data);
        const before = heard.length;
        await Promise.race([
          once(socket, 'close'),
          expect.poll(() => heard.length, { timeout: 5000 }).toBe(before + 1),
        ]);
        socket.terminate();
      };
      const before = heard.length;
      await say('restart');
      await gateway.call('dana', 'POST', `/v1/approvals/${await openRequest(gateway, '/socket')}/approve`, {
        reason: 'ok',
      });
      await say(Buffer.from('restart'));
      await say(`\\x${Buffer.from('restart').toString('hex')}`);
      expect(heard.length).toBe(before);
      await say('restart');
      expect(heard.slice(before)).toEqual(['text restart']);
    });
  });

  it('is told of at the target that it is for, to its caller only', async () => {
    const id = await approved('/told');
    const ask = (target: string, path = `/.sallyport/approvals/${id}`, who = token) =>
      callGateway(gateway, who, 'GET', `/${target}${path}`);
    expect((await ask('api')).status).toBe(200);
    expect((await ask('api2')).status).toBe(404);
    expect((await ask('api', undefined, await gateway.tokenOf('dana'))).status).toBe(404);
    for (const path of [
      '/.sallyport/approvals/',
      '/.sallyport/',
      `/.sallyport/approvals/${id}/`,
      `/.sallyport/approvals/%2e%2e`,
    ])
      expect((await ask('api', path)).status).toBe(404);
    expect(talker.seen.filter(({ line }) => line.includes('.sallyport'))).toEqual([]);
  });
});

async function openRequest(gateway: BareGateway, path: string): Promise<string> {
  for (;;) {
    const { body } = await gateway.call('dana', 'GET', '/v1/approvals?state=open&limit=500');
    const found = (body as { items: { id: string; text: string }[] }).items.find(({ text }) => text.endsWith(path));
    if (found !== undefined) return found.id;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
