import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { eventTypes } from '../model/event.ts';
import { type Api, type ApiDeps, createApi } from './api.ts';
import { createFake, fakeSession, populated } from './fake.ts';

const running: Api[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((api) => api.close()));
});

async function serve(deps: ApiDeps): Promise<string> {
  const api = createApi(deps);
  running.push(api);
  return api.listen({ host: '127.0.0.1', port: 0 });
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: () => Record<string, unknown>;
}

async function ask(
  url: string,
  credential?: string,
  init: { method?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method: init.method ?? 'GET',
    headers: {
      ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
      ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...init.headers,
    },
    ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: () => JSON.parse(text) as Record<string, unknown>,
  };
}

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly open: boolean;
}

async function operations(base: string): Promise<Operation[]> {
  const { paths } = (await ask(`${base}/openapi.json`)).json() as {
    paths: Record<string, Record<string, { security?: unknown[] }>>;
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security }]) => ({
      method: method.toUpperCase(),
      path,
      open: security?.length === 0,
    })),
  );
}

const bodies: Record<string, unknown> = {
  '/v1/sessions/{id}/terminate': { reason: 'test' },
  '/v1/approvals/{id}/approve': { reason: 'test' },
  '/v1/approvals/{id}/deny': { reason: 'test' },
  '/v1/policies/explain': { target: 'shop', text: 'SELECT 1' },
  '/v1/tickets': { targets: ['shop'] },
  '/v1/targets/classify': { target: 'shop' },
};

function bodyFor({ method, path }: Operation): { method: string; body?: unknown } {
  return method === 'POST' && path in bodies ? { method, body: bodies[path] } : { method };
}

describe('authentication', () => {
  it('asks for a credential at every operation of the OpenAPI but the four public ones', async () => {
    const base = await serve(populated());
    const all = await operations(base);
    expect(
      all
        .filter(({ open }) => open)
        .map(({ path }) => path)
        .sort(),
    ).toEqual(['/healthz', '/openapi.json', '/readyz', '/v1/issuers']);
    expect(all.length).toBeGreaterThan(18);
    for (const operation of all.filter(({ open }) => !open)) {
      const url = base + operation.path.replace('{id}', 's-agent');
      for (const headers of [
        {},
        { authorization: 'Basic YTpi' },
        { authorization: 'Bearer' },
        { authorization: 'Bearer a b' },
        { cookie: 'token=admin-token' },
        { 'x-forwarded-user': 'corp:admin' },
      ]) {
        const answer = await ask(url, undefined, { ...bodyFor(operation), headers });
        expect([operation.path, answer.status, answer.json().code]).toEqual([operation.path, 401, 'SP1001']);
        expect(answer.headers.get('www-authenticate')).toContain('Bearer');
        expect(answer.headers.get('content-type')).toContain('application/problem+json');
      }
    }
  });

  it('does not take a credential from the query string', async () => {
    const base = await serve(populated());
    expect((await ask(`${base}/v1/whoami?access_token=admin-token&token=admin-token`)).status).toBe(401);
  });

  it('refuses before it reads the body', async () => {
    const base = await serve(populated());
    const answer = await ask(`${base}/v1/tickets`, 'wrong-token', { method: 'POST', body: { nonsense: true } });
    expect(answer.status).toBe(401);
  });

  it('does not know methods and paths it does not declare', async () => {
    const base = await serve(populated());
    for (const path of [
      '/',
      '/v1',
      '/metrics',
      '/debug/pprof',
      '/v1/../healthz/x',
      '/documentation',
      '/documentation/json',
    ]) {
      const answer = await ask(base + path);
      expect([path, answer.status]).toEqual([path, 404]);
      expect(answer.json().code).toBe('SP8001');
    }
    expect((await ask(`${base}/v1/whoami`, 'admin-token', { method: 'OPTIONS' })).status).toBe(404);
  });

  it('slows down an address whose logins fail, without locking out callers that are known there', async () => {
    const fake = { ...populated(), failedLogins: 3 };
    const base = await serve(fake);
    expect((await ask(`${base}/v1/whoami`, 'agent-token')).status).toBe(200);
    for (let i = 0; i < 3; i++) expect((await ask(`${base}/v1/whoami`, `guess-${i}`)).status).toBe(401);
    const slowed = await ask(`${base}/v1/whoami`, 'guess-4', {
      headers: { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9' },
    });
    expect([slowed.status, slowed.json().code]).toEqual([429, 'SP7001']);
    expect(Number(slowed.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await ask(`${base}/v1/whoami`, 'dba-token')).status).toBe(429);
    expect((await ask(`${base}/v1/whoami`, 'agent-token')).status).toBe(200);
  });
});

describe('what belongs to others', () => {
  const foreign: readonly (readonly [string, string])[] = [
    ['/v1/sessions/{id}', 's-other'],
    ['/v1/sessions/{id}/replay', 's-other'],
    ['/v1/sessions/{id}/terminate', 's-other'],
    ['/v1/approvals/{id}', 'a-other'],
    ['/v1/approvals/{id}/approve', 'a-other'],
    ['/v1/approvals/{id}/deny', 'a-other'],
    ['/v1/tickets/{id}', 't-other'],
  ];

  it('is absent, at every operation that takes an id, exactly like what does not exist', async () => {
    const fake = populated();
    const base = await serve(fake);
    const withId = (await operations(base)).filter(({ path }) => path.includes('{'));
    expect(new Set(withId.map(({ path }) => path))).toEqual(new Set(foreign.map(([path]) => path)));
    for (const operation of withId) {
      const id = foreign.find(([path]) => path === operation.path)?.[1] ?? '';
      for (const credential of ['agent-token', 'agent-ticket', 'dba-token', 'owner-token']) {
        if (credential.endsWith('ticket') && operation.method === 'DELETE') continue;
        const theirs = await ask(base + operation.path.replace('{id}', id), credential, bodyFor(operation));
        const nobodys = await ask(base + operation.path.replace('{id}', 'none'), credential, bodyFor(operation));
        expect([operation.path, credential, theirs.status]).toEqual([operation.path, credential, 404]);
        expect(theirs.text).toBe(nobodys.text);
      }
    }
    expect(fake.calls).toEqual([]);
    expect(fake.tickets.has('t-other')).toBe(true);
  });

  it('does not appear in lists', async () => {
    const base = await serve(populated());
    const ids = async (path: string, credential: string) =>
      ((await ask(base + path, credential)).json().items as { id?: string; name?: string }[]).map(
        (item) => item.id ?? item.name,
      );
    expect(await ids('/v1/sessions', 'agent-token')).toEqual(['s-agent']);
    expect(await ids('/v1/sessions', 'auditor-token')).toEqual(['s-agent', 's-other', 's-admin']);
    expect(await ids('/v1/approvals', 'agent-token')).toEqual(['a-agent']);
    expect(await ids('/v1/approvals', 'owner-token')).toEqual(['a-agent']);
    expect(await ids('/v1/approvals', 'dba-token')).toEqual(['a-agent']);
    expect(await ids('/v1/approvals', 'other-token')).toEqual(['a-other']);
    expect(await ids('/v1/tickets', 'agent-token')).toEqual(['t-agent']);
    expect(await ids('/v1/targets', 'agent-token')).toEqual(['shop']);
    expect(await ids('/v1/targets', 'admin-token')).toEqual(['shop', 'vault']);
    expect(await ids('/v1/targets', 'admin-ticket')).toEqual(['shop']);
  });

  it('cannot be reached by asking for another principal', async () => {
    const base = await serve(populated());
    const answer = await ask(`${base}/v1/sessions?principal=corp:other`, 'agent-token');
    expect([answer.status, answer.json().code]).toEqual([403, 'SP2001']);
    expect((await ask(`${base}/v1/sessions?principal=corp:bot`, 'agent-token')).status).toBe(200);
  });

  it('stays with the targets of a ticket', async () => {
    const fake = populated();
    fake.sessions.set('s-vault', fakeSession('s-vault', 'corp:bot', { target: 'vault' }));
    const base = await serve(fake);
    expect((await ask(`${base}/v1/sessions/s-vault`, 'agent-token')).status).toBe(200);
    expect((await ask(`${base}/v1/sessions/s-vault`, 'agent-ticket')).status).toBe(404);
  });
});

describe('rights', () => {
  const reviewing = ['/v1/audit/events', '/v1/audit/checkpoint', '/v1/audit/export', '/v1/policies'];

  it('keeps the audit log and the policies for reviewers', async () => {
    const base = await serve(populated());
    for (const path of reviewing) {
      for (const credential of ['agent-token', 'agent-ticket', 'dba-token', 'owner-token', 'admin-ticket']) {
        const answer = await ask(base + path, credential);
        expect([path, credential, answer.status, answer.json().code]).toEqual([path, credential, 403, 'SP2001']);
      }
      expect((await ask(base + path, 'auditor-token')).status).toBe(200);
    }
  });

  it('keeps changes for those who may configure', async () => {
    const fake = populated();
    const base = await serve(fake);
    for (const credential of ['agent-token', 'dba-token', 'auditor-token', 'admin-ticket']) {
      expect((await ask(`${base}/v1/policies/reload`, credential, { method: 'POST' })).status).toBe(403);
    }
    const terminate = { method: 'POST', body: { reason: 'runaway' } };
    expect((await ask(`${base}/v1/sessions/s-agent/terminate`, 'auditor-token', terminate)).status).toBe(403);
    expect(fake.calls).toEqual([]);
    expect((await ask(`${base}/v1/policies/reload`, 'admin-token', { method: 'POST' })).json()).toEqual({
      version: 'v2',
    });
    expect((await ask(`${base}/v1/sessions/s-agent/terminate`, 'admin-token', terminate)).json()).toEqual({
      terminated: true,
    });
    expect((await ask(`${base}/v1/sessions/s-agent/terminate`, 'agent-token', terminate)).status).toBe(200);
    expect(fake.calls).toEqual([
      'reload',
      'terminate s-agent by corp:admin: runaway',
      'terminate s-agent by corp:bot: runaway',
    ]);
  });

  it('lets a ticket change nothing, whoever it stands for', async () => {
    const fake = populated();
    fake.tickets.set('t-admin', {
      id: 't-admin',
      principal: 'corp:admin',
      targets: ['shop'],
      createdAt: 0,
      expiresAt: 1,
    });
    fake.approvals.set('a-admin', {
      ...fake.approvals.get('a-agent')!,
      id: 'a-admin',
      requester: { id: 'corp:admin', name: 'admin', kind: 'human' },
    });
    const base = await serve(fake);
    const changes = [
      ['POST', '/v1/sessions/s-admin/terminate', { reason: 'x' }],
      ['POST', '/v1/approvals/a-admin/approve', { reason: 'x' }],
      ['POST', '/v1/approvals/a-admin/deny', { reason: 'x' }],
      ['POST', '/v1/tickets', { targets: ['shop'] }],
      ['DELETE', '/v1/tickets/t-admin', undefined],
      ['POST', '/v1/policies/reload', undefined],
      ['POST', '/v1/targets/classify', { target: 'shop' }],
    ] as const;
    for (const [method, path, body] of changes) {
      const answer = await ask(base + path, 'admin-ticket', { method, ...(body === undefined ? {} : { body }) });
      expect([path, answer.status, answer.json().code]).toEqual([path, 403, 'SP2001']);
    }
    expect(
      (await ask(`${base}/v1/approvals/a-agent/approve`, 'admin-ticket', { method: 'POST', body: { reason: 'x' } }))
        .status,
    ).toBe(404);
    expect((await ask(`${base}/v1/whoami`, 'admin-ticket')).json().may).toEqual({ review: false, configure: false });
    expect(fake.calls).toEqual([]);
    expect(fake.tickets.size).toBe(3);
  });

  it('explains for the caller at its targets, and for others only to reviewers', async () => {
    const fake = populated();
    const base = await serve(fake);
    const explain = (credential: string, body: unknown) =>
      ask(`${base}/v1/policies/explain`, credential, { method: 'POST', body });
    const mine = await explain('agent-token', { target: 'shop', text: 'DROP TABLE t' });
    expect(mine.json()).toMatchObject({ decision: { outcome: 'deny', rule: 'no-drop', advice: 'ask the dba' } });
    const somebody = { id: 'corp:other', kind: 'agent' };
    expect((await explain('agent-token', { target: 'shop', text: 'x', principal: somebody })).status).toBe(403);
    for (const target of ['vault', 'nowhere']) {
      const answer = await explain('agent-token', { target, text: 'x' });
      expect([answer.status, answer.json().code]).toEqual([404, 'SP1002']);
    }
    expect((await explain('auditor-token', { target: 'vault', text: 'x', principal: somebody })).status).toBe(200);
    expect(fake.calls).toEqual(['explain corp:bot shop DROP TABLE t', 'explain corp:other vault x']);
  });

  it('issues tickets only for targets the caller may reach, and cannot be asked which others exist', async () => {
    const fake = populated();
    const base = await serve(fake);
    const issue = (targets: string[]) =>
      ask(`${base}/v1/tickets`, 'agent-token', { method: 'POST', body: { targets, ttlMs: 60_000 } });
    const [hidden, absent] = [await issue(['shop', 'vault']), await issue(['shop', 'fault'])];
    expect(hidden.text.replace('vault', 'fault')).toBe(absent.text);
    expect(fake.tickets.size).toBe(2);
    const issued = await issue(['shop']);
    expect([issued.status, issued.json().secret]).toEqual([201, 'spt_the-secret']);
    expect((await ask(`${base}/v1/tickets`, 'agent-token')).text).not.toContain('spt_');
  });
});

describe('approvals', () => {
  it('shows a request as it is to be read, and takes a yes with its reason', async () => {
    const fake = populated();
    const base = await serve(fake);
    const shown = (await ask(`${base}/v1/approvals/a-agent`, 'dba-token')).json();
    expect(shown.presented).toBe('bot asks at shop:\nDELETE FROM orders WHERE id = $1');
    expect((await ask(`${base}/v1/approvals/a-agent/approve`, 'dba-token', { method: 'POST', body: {} })).status).toBe(
      400,
    );
    expect(
      (await ask(`${base}/v1/approvals/a-agent/approve`, 'dba-token', { method: 'POST', body: { reason: '   ' } }))
        .status,
    ).toBe(400);
    const answer = await ask(`${base}/v1/approvals/a-agent/approve`, 'dba-token', {
      method: 'POST',
      body: { reason: 'checked' },
    });
    expect(answer.json()).toMatchObject({ state: 'approved', decisions: [{ answer: 'approve', reason: 'checked' }] });
    expect(fake.calls).toEqual(['approve a-agent by corp:dba: checked']);
  });

  it('passes on why somebody may not answer', async () => {
    const base = await serve(populated());
    for (const credential of ['agent-token', 'owner-token']) {
      const answer = await ask(`${base}/v1/approvals/a-agent/approve`, credential, {
        method: 'POST',
        body: { reason: 'me' },
      });
      expect(answer.json()).toMatchObject({ status: 403, code: 'SP2001', rule: 'separation-of-duty' });
    }
  });
});

describe('answers', () => {
  it('hold nothing that is not declared', async () => {
    const fake = populated();
    fake.sessions.set('s-agent', { ...fakeSession('s-agent', 'corp:bot'), upstreamPassword: 'target-secret' } as never);
    fake.recordings.set('s-agent', [{ kind: 'row', exchange: 1, values: ['1'], original: 'target-secret' } as never]);
    fake.credentials.set('odd', {
      principal: { ...fake.credentials.get('agent-token')!.principal, rawToken: 'target-secret' } as never,
      proof: { kind: 'oidc', id: 'target-secret', expiresAt: 1 },
    });
    const base = await serve(fake);
    for (const path of [
      '/v1/sessions',
      '/v1/sessions/s-agent',
      '/v1/sessions/s-agent/replay',
      '/v1/targets',
      '/v1/whoami',
    ]) {
      const answer = await ask(base + path, 'odd');
      expect([path, answer.status]).toEqual([path, 200]);
      expect(answer.text).not.toContain('target-secret');
    }
    expect((await ask(`${base}/v1/targets`, 'agent-token')).text).not.toContain('may read ssn');
    expect((await ask(`${base}/v1/targets`, 'auditor-token')).text).toContain('may read ssn');
  });

  it('leave out what is undefined', async () => {
    const fake = populated();
    fake.sessions.set('s-agent', {
      ...fakeSession('s-agent', 'corp:bot'),
      endedAt: undefined,
      client: { address: 'a', application: undefined },
    } as never);
    fake.recordings.set('s-agent', [
      { kind: 'command', exchange: 1, at: 1, text: 'SELECT 1', parameters: undefined } as never,
    ]);
    const base = await serve(fake);
    expect((await ask(`${base}/v1/sessions/s-agent`, 'agent-token')).json().client).toEqual({ address: 'a' });
    expect((await ask(`${base}/v1/sessions/s-agent/replay`, 'agent-token')).json()).toEqual({
      kind: 'command',
      exchange: 1,
      at: 1,
      text: 'SELECT 1',
    });
  });

  it('carry headers that keep them from being framed, cached, sniffed or read by other origins', async () => {
    const base = await serve(populated());
    for (const [path, credential] of [
      ['/healthz', undefined],
      ['/v1/whoami', 'agent-token'],
      ['/v1/whoami', undefined],
      ['/nowhere', undefined],
    ] as const) {
      const { headers } = await ask(base + path, credential, { headers: { origin: 'https://evil.example' } });
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
      expect(headers.get('set-cookie')).toBeNull();
    }
  });

  it('say nothing of our own bugs but a name to find them in the log by', async () => {
    const fake = populated();
    const base = await serve({
      ...fake,
      admin: {
        ...fake.admin,
        sessions: {
          ...fake.admin.sessions,
          get: async () => {
            throw new Error('secret at /srv/file.ts:12');
          },
        },
      },
    });
    const answer = await ask(`${base}/v1/sessions/s-agent`, 'agent-token');
    expect(answer.json()).toMatchObject({
      status: 500,
      code: 'SP9001',
      instance: expect.stringMatching(/^urn:sallyport:request:/),
    });
    expect(answer.text).not.toContain('secret');
    expect(fake.calls.some((call) => call.startsWith('log error'))).toBe(true);
  });

  it('say no to bodies that are too large, of another type, broken, or hold unknown keys', async () => {
    const base = await serve(populated());
    const post = (init: RequestInit) =>
      fetch(`${base}/v1/tickets`, {
        ...init,
        method: 'POST',
        headers: { authorization: 'Bearer agent-token', ...init.headers },
      });
    const json = { 'content-type': 'application/json' };
    const cases: [RequestInit, number][] = [
      [{ body: JSON.stringify({ targets: ['x'.repeat(100_000)] }), headers: json }, 413],
      [{ body: 'targets=shop', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415],
      [{ body: '{"targets":', headers: json }, 400],
      [{ body: '{"__proto__":{"a":1},"targets":["shop"]}', headers: json }, 400],
      [{ body: '{"targets":["shop"],"principal":"corp:admin"}', headers: json }, 400],
    ];
    for (const [init, status] of cases) {
      const response = await post(init);
      expect(response.status).toBe(status);
      expect(((await response.json()) as { code: string }).code).toBe('SP8002');
    }
    const huge = await ask(`${base}/v1/sessions?limit=501`, 'agent-token');
    expect([huge.status, huge.json().detail]).toEqual([400, expect.stringContaining('limit')]);
  });

  it('tell whether the node can serve', async () => {
    const base = await serve({ ...createFake(), ready: () => false });
    expect((await ask(`${base}/healthz`)).json()).toEqual({ status: 'ok' });
    expect((await ask(`${base}/readyz`)).status).toBe(503);
    expect((await ask(`${base}/v1/issuers`)).json()).toMatchObject({
      items: [{ name: 'corp', issuer: 'https://id.example' }],
    });
  });
});

describe('replay', () => {
  it('streams one item a line, from where it is asked to', async () => {
    const base = await serve(populated());
    const kinds = async (query: string) =>
      (await ask(`${base}/v1/sessions/s-agent/replay${query}`, 'agent-token')).text
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { kind: string }).kind);
    expect(await kinds('')).toEqual(['command', 'columns', 'row', 'status']);
    expect(await kinds('?skip=2')).toEqual(['row', 'status']);
    expect((await ask(`${base}/v1/sessions/s-agent/replay?skip=-1`, 'agent-token')).status).toBe(400);
  });

  it('reads the recording only as fast as its viewer, and stops when the viewer goes', async () => {
    const fake = populated();
    let read = 0;
    let stopped: () => void = () => undefined;
    const end = new Promise<void>((resolve) => {
      stopped = resolve;
    });
    async function* endless() {
      try {
        for (;;) {
          read++;
          yield { kind: 'row' as const, exchange: 1, values: ['x'.repeat(10_000)] };
        }
      } finally {
        stopped();
      }
    }
    const base = await serve({
      ...fake,
      admin: { ...fake.admin, sessions: { ...fake.admin.sessions, replay: () => endless() } },
    });
    const { port } = new URL(base);
    const socket = connect(Number(port), '127.0.0.1');
    socket.write('GET /v1/sessions/s-agent/replay HTTP/1.1\r\nhost: x\r\nauthorization: Bearer agent-token\r\n\r\n');
    socket.pause();
    let before = -1;
    while (read !== before) {
      before = read;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // What fits into the sockets' buffers and no more: far less than a fast reader would have been sent.
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(5_000);
    socket.destroy();
    await end;
  });

  it('gives each caller a few streams at a time', async () => {
    const fake = populated();
    async function* slow() {
      yield { kind: 'status' as const, exchange: 1, at: 1, text: 'x'.repeat(20_000) };
      await new Promise(() => undefined);
    }
    const base = await serve({
      ...fake,
      admin: { ...fake.admin, sessions: { ...fake.admin.sessions, replay: () => slow() } },
    });
    const url = `${base}/v1/sessions/s-agent/replay`;
    const controllers = Array.from({ length: 4 }, () => new AbortController());
    for (const { signal } of controllers)
      expect((await fetch(url, { signal, headers: { authorization: 'Bearer agent-token' } })).status).toBe(200);
    expect((await ask(url, 'agent-token')).json()).toMatchObject({ status: 429, code: 'SP7001' });
    for (const controller of controllers) controller.abort();
  });

  it('breaks the stream off when the recording fails, so that no end is mistaken for the end', async () => {
    const fake = populated();
    async function* broken() {
      yield { kind: 'status' as const, exchange: 1, at: 1, text: 'x'.repeat(20_000) };
      throw new Error('digest does not match');
    }
    const base = await serve({
      ...fake,
      admin: { ...fake.admin, sessions: { ...fake.admin.sessions, replay: () => broken() } },
    });
    await expect(ask(`${base}/v1/sessions/s-agent/replay`, 'agent-token')).rejects.toThrow();
  });

  it('exports the log as a tar archive', async () => {
    const fake = populated();
    const base = await serve(fake);
    const answer = await ask(`${base}/v1/audit/export`, 'auditor-token');
    expect([answer.status, answer.headers.get('content-type'), answer.text]).toEqual([
      200,
      'application/x-tar',
      'tar bytes',
    ]);
    expect(fake.calls).toEqual(['export by corp:auditor']);
  });
});

describe('the description', () => {
  it('is OpenAPI 3.1 that resolves, names every parameter of its paths and what can go wrong', async () => {
    const base = await serve(populated());
    const document = (await ask(`${base}/openapi.json`)).json() as Record<string, unknown> & {
      paths: Record<string, Record<string, Record<string, unknown>>>;
    };
    expect(document.openapi).toBe('3.1.0');
    expect(JSON.stringify(document)).not.toContain('"$ref":"#/definitions');
    const schemes = (document.components as { securitySchemes: object }).securitySchemes;
    expect(Object.keys(schemes)).toEqual(['bearer']);
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const operation of Object.values(methods)) {
        const parameters = (operation.parameters ?? []) as { name: string; in: string }[];
        const inPath = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name);
        expect(inPath).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
        expect(operation.summary).toBeTypeOf('string');
        expect(Object.keys(operation.responses as object)).toContain('default');
      }
    }
    const replay = document.paths['/v1/sessions/{id}/replay']?.get?.responses as Record<string, { content: object }>;
    expect(Object.keys(replay['200']?.content ?? {})).toEqual(['application/x-ndjson']);
    expect(JSON.stringify(document.paths['/v1/audit/events'])).toContain(eventTypes[0]);
  });

  it('refuses to start with a route that does not say who may call it', async () => {
    const api = createApi(createFake());
    running.push(api);
    expect(() => api.get('/v1/forgotten', async () => 'open')).toThrow(/does not say/);
  });
});
