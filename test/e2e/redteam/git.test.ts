import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type GitBackend,
  git,
  gitResult,
  startGitBackend,
} from '../../../src/protocols/git/testing/git-backend.fixture.ts';
import { type BareGateway, startBareGateway } from '../../support/gateway.ts';
import { callGateway } from '../../support/http-client.ts';

const sallyport = fileURLToPath(new URL('../../../bin/sallyport.mjs', import.meta.url));

const policies = `
@id("connect") permit (principal, action == Action::"connect", resource);
@id("work") permit (principal, action in Action::"command", resource);
@id("secret") forbid (principal, action in Action::"command", resource is Ref) when { resource.ref == "refs/heads/secret" };
@id("vault") forbid (principal, action in Action::"command", resource == Repository::"code/shop/vault");
@id("main-needs-review") @approvers("engineers")
forbid (principal, action == Action::"write", resource is Ref) when { resource.ref == "refs/heads/main" }
unless { context.grants.contains("engineers") };
@id("oversee") permit (principal in Group::"dba", action in [Action::"review", Action::"configure"], resource);
@id("approve") permit (principal in Group::"engineers", action == Action::"approve", resource);
`;

/** pkt-lines (gitprotocol-common): texts, `''` for a flush, `|` for a delimiter. */
function packets(...lines: readonly string[]): Buffer {
  return Buffer.from(
    lines
      .map((line) =>
        line === '' ? '0000' : line === '|' ? '0001' : `${(line.length + 5).toString(16).padStart(4, '0')}${line}\n`,
      )
      .join(''),
  );
}

describe('a git caller who wants more than it may', () => {
  let backend: GitBackend;
  let gateway: BareGateway;
  let home: string;
  let work: string;
  let token: string;
  let agent: readonly string[];
  const id: Record<string, string> = {};
  beforeAll(async () => {
    backend = await startGitBackend();
    home = mkdtempSync(join(tmpdir(), 'sallyport-redteam-'));
    work = join(home, 'seed');
    await git(home, ['init', '-q', '-b', 'main', work]);
    for (const branch of ['main', 'secret']) {
      if (branch !== 'main') await git(work, ['checkout', '-q', '-b', branch]);
      writeFileSync(join(work, `${branch}.txt`), `${branch}\n`);
      await git(work, ['add', '.']);
      await git(work, ['commit', '-q', '-m', branch]);
      id[branch] = (await git(work, ['rev-parse', branch])).trim();
    }
    for (const name of ['shop/backend.git', 'shop/vault.git'])
      await git(work, ['push', '-q', await backend.create(name), 'main', 'secret']);
    gateway = await startBareGateway({
      policies,
      targets: {
        code: { protocol: 'git', address: `http://127.0.0.1:${backend.port}`, internal: true, labels: {}, hold: '20s' },
      },
    });
    token = await gateway.tokenOf('agent');
    agent = ['-c', `http.sslCAInfo=${gateway.caFile}`, '-c', `http.extraHeader=Authorization: Bearer ${token}`];
  });
  afterAll(async () => {
    await gateway?.stop();
    await backend?.close();
    rmSync(home, { recursive: true, force: true });
  });
  const url = (repository: string) => `${gateway.http}/git/code/${repository}`;
  const uploadPack = (body: Buffer, version = '2') =>
    callGateway(gateway, token, 'POST', '/git/code/shop/backend.git/git-upload-pack', {
      headers: { 'content-type': 'application/x-git-upload-pack-request', 'git-protocol': `version=${version}` },
      body,
    });

  it('learns nothing of a hidden ref by listing, by its name, or by its id', async () => {
    for (const version of ['0', '1', '2']) {
      const listed = await gitResult(home, [
        ...agent,
        '-c',
        `protocol.version=${version}`,
        'ls-remote',
        url('shop/backend.git'),
      ]);
      expect(listed.output).toContain('refs/heads/main');
      expect(listed.output).not.toContain('secret');
      expect(listed.output).not.toContain(id.secret);
    }
    const asked = [
      packets('command=ls-refs', '|', 'symrefs', 'ref-prefix refs/heads/secret', ''),
      packets('command=fetch', '|', `want ${id.secret}`, 'done', ''),
      packets('command=fetch', '|', 'want-ref refs/heads/secret', 'done', ''),
      packets('command=fetch', '|', `want ${id.main}`, 'deepen-not secret', 'done', ''),
      packets('command=object-info', '|', 'size', `oid ${id.secret}`, ''),
    ];
    for (const body of asked) {
      const { bytes } = await uploadPack(body);
      expect(bytes.includes('PACK')).toBe(false);
      expect(bytes.toString('latin1')).not.toMatch(new RegExp(`^[0-9a-f]{4}${id.secret} `));
    }
    const v0 = await uploadPack(packets(`want ${id.secret} ofs-delta`, '', 'done'), '0');
    expect(v0.bytes.includes('PACK')).toBe(false);
  });

  it('cannot have a submodule send a ticket elsewhere', async () => {
    const env = {
      PATH: process.env.PATH,
      SALLYPORT_HOME: join(home, 'profile'),
      SALLYPORT_SERVER: gateway.api,
      SALLYPORT_CA: gateway.caFile,
      SALLYPORT_TOKEN: token,
    };
    const helper = (protocol: string, host: string) =>
      new Promise<string>((resolve, reject) => {
        const child = execFile(process.execPath, [sallyport, 'credential', 'git', 'get'], { env }, (error, out) =>
          error === null ? resolve(out) : reject(error),
        );
        child.stdin?.end(`protocol=${protocol}\nhost=${host}\npath=git/code/shop/backend.git\n\n`);
      });
    const { host } = new URL(gateway.http);
    const answers = await Promise.all([
      helper('https', host),
      ...['code.example', `${host}.code.example`, `${host}@code.example`].map((other) => helper('https', other)),
      helper('http', 'code.example'),
    ]);
    expect(answers[0]).toMatch(/^password=spt_/m);
    expect(answers.slice(1)).toEqual(['', '', '', '']);
  });

  it.each([
    'shop/vault',
    'shop/vault.git',
    'shop/VAULT',
    'Shop/Vault.git',
    'shop/vault.git/',
    'shop//vault',
    'shop/./vault',
    'shop/x/../vault',
    'shop/vault%2egit',
    'shop%2fvault',
    'shop/vault.git.git',
    'shop/vault.git/.',
    'shop/vault/.git',
    'shop/vault;x',
    '/shop/vault',
    'shop/vault.',
  ])('does not get at a forbidden repository as %s', async (name) => {
    const before = backend.seen.length;
    const { status, body } = await callGateway(
      gateway,
      token,
      'GET',
      `/git/code/${name}/info/refs?service=git-upload-pack`,
    );
    expect(body).not.toContain(id.main);
    expect(status).not.toBe(404);
    expect(backend.seen.slice(before).filter(({ url: seen }) => /vault/i.test(seen))).toEqual([]);
  });

  it('gets one push for one yes, whoever else sends the same', async () => {
    const clone = join(home, 'race');
    await git(home, [...agent, 'clone', '-q', url('shop/backend.git'), clone]);
    writeFileSync(join(clone, 'new.txt'), 'new\n');
    await git(clone, ['add', '.']);
    await git(clone, ['commit', '-q', '-m', 'new']);
    const pushes = [1, 2].map(() => gitResult(clone, [...agent, 'push', url('shop/backend.git'), 'HEAD:main']));
    const request = await openRequest(gateway);
    const received = () =>
      backend.seen.filter(({ method, url: seen }) => method === 'POST' && seen.endsWith('/git-receive-pack')).length;
    expect(received()).toBe(0);
    // The second has to be waiting too.
    await expect.poll(async () => waiting(gateway), { timeout: 10_000 }).toBe(2);
    await gateway.call('sam', 'POST', `/v1/approvals/${request}/approve`, { reason: 'reviewed' });
    const results = await Promise.all(pushes);
    expect(results.filter(({ status }) => status === 0)).toHaveLength(1);
    expect(received()).toBe(1);
    // Back where it was: the yes has been used.
    await git(join(backend.root, 'shop/backend.git'), ['update-ref', 'refs/heads/main', id.main as string]);
    const again = gitResult(clone, [...agent, 'push', url('shop/backend.git'), 'HEAD:main']);
    const next = await openRequest(gateway);
    expect(next).not.toBe(request);
    await gateway.call('sam', 'POST', `/v1/approvals/${next}/deny`, { reason: 'no' });
    expect((await again).output).toContain('SP3002');
    expect(received()).toBe(1);
  });
});

async function openRequest(gateway: BareGateway): Promise<string> {
  for (;;) {
    const { body } = await gateway.call('dana', 'GET', '/v1/approvals?state=open');
    const [request] = (body as { items: { id: string }[] }).items;
    if (request !== undefined) return request.id;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Commands that were held so far. */
async function waiting(gateway: BareGateway): Promise<number> {
  const { body } = await gateway.call('dana', 'GET', '/v1/audit/events?type=command.held&limit=100');
  return (body as { items: unknown[] }).items.length;
}
