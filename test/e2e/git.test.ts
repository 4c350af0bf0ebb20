import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type GitBackend,
  git,
  gitResult,
  startGitBackend,
} from '../../src/protocols/git/testing/git-backend.fixture.ts';
import { type BareGateway, startBareGateway } from '../support/gateway.ts';

const sallyport = fileURLToPath(new URL('../../bin/sallyport.mjs', import.meta.url));

describe('git through a whole gateway', () => {
  let backend: GitBackend;
  let gateway: BareGateway;
  let home: string;
  let url: string;
  let agent: readonly string[];

  beforeAll(async () => {
    backend = await startGitBackend();
    const bare = await backend.create('shop/backend.git');
    home = mkdtempSync(join(tmpdir(), 'sallyport-home-'));
    const seed = join(home, 'seed');
    await git(home, ['init', '-q', '-b', 'main', seed]);
    writeFileSync(join(seed, 'README.md'), 'hello\n');
    await git(seed, ['add', '.']);
    await git(seed, ['commit', '-q', '-m', 'first']);
    await git(seed, ['push', '-q', bare, 'main']);
    gateway = await startBareGateway({
      targets: {
        code: {
          protocol: 'git',
          address: `http://127.0.0.1:${backend.port}`,
          internal: true,
          labels: { env: 'prod' },
          hold: '20s',
        },
      },
    });
    url = `${gateway.http}/git/code/shop/backend.git`;
    const token = await gateway.tokenOf('agent');
    agent = [
      ...['-c', `http.sslCAInfo=${gateway.caFile}`],
      ...['-c', `http.extraHeader=Authorization: Bearer ${token}`],
    ];
  });
  afterAll(async () => {
    await gateway?.stop();
    await backend?.close();
    if (home !== undefined) rmSync(home, { recursive: true, force: true });
  });

  it('gets in by the credential helper, which asks for one ticket and keeps it', async () => {
    const sallyportHome = join(home, 'profile');
    const helper = join(home, 'helper.sh');
    writeFileSync(helper, `#!/bin/sh\nexec "${process.execPath}" "${sallyport}" credential git "$@"\n`);
    chmodSync(helper, 0o755);
    const env = {
      SALLYPORT_HOME: sallyportHome,
      SALLYPORT_SERVER: gateway.api,
      SALLYPORT_CA: gateway.caFile,
      SALLYPORT_TOKEN: await gateway.tokenOf('agent'),
      GIT_SSL_CAINFO: gateway.caFile,
    };
    const options = ['-c', `credential.helper=${helper}`, '-c', 'credential.useHttpPath=true'];
    await git(home, [...options, 'clone', '-q', url, join(home, 'by-helper')], env);
    expect(readFileSync(join(home, 'by-helper/README.md'), 'utf8')).toBe('hello\n');
    await git(join(home, 'by-helper'), [...options, 'fetch', '-q'], env);
    expect(readdirSync(join(sallyportHome, 'tickets'))).toHaveLength(1);
    const { body } = await gateway.call('agent', 'GET', '/v1/tickets');
    expect((body as { items: unknown[] }).items).toHaveLength(1);
  });

  it('takes the gateway’s address for another by insteadOf', async () => {
    const instead = ['-c', `url.${gateway.http}/git/code/.insteadOf=https://code.example/`];
    await git(home, [
      ...agent,
      ...instead,
      'clone',
      '-q',
      'https://code.example/shop/backend.git',
      join(home, 'instead'),
    ]);
    expect(existsSync(join(home, 'instead/README.md'))).toBe(true);
  });

  it('is told at once that a push waits, and goes on in the same push when a second person says yes', async () => {
    const work = join(home, 'held');
    await git(home, [...agent, 'clone', '-q', url, work]);
    writeFileSync(join(work, 'orders.js'), 'export const orders = [];\n');
    await git(work, ['add', '.']);
    await git(work, ['commit', '-q', '-m', 'orders']);
    const pushing = gitResult(work, [...agent, 'push', 'origin', 'main']);
    const request = await openRequest(gateway);
    expect(
      backend.seen.filter(({ url: seen, method }) => method === 'POST' && seen.endsWith('/git-receive-pack')),
    ).toEqual([]);
    const shown = await gateway.call('dana', 'GET', `/v1/approvals/${request}`);
    expect(JSON.stringify(shown.body)).toContain('+export const orders = [];');
    await gateway.call('dana', 'POST', `/v1/approvals/${request}/approve`, { reason: 'reviewed' });
    const { status, output } = await pushing;
    expect(status, output).toBe(0);
    expect(output).toMatch(/remote: .*waiting for approval by engineers/);
    expect(output).toContain('main -> main');
  });

  it('reports a refused ref, and does the others', async () => {
    const work = join(home, 'several');
    await git(home, [...agent, 'clone', '-q', url, work]);
    await git(work, ['checkout', '-q', '-b', 'fine']);
    writeFileSync(join(work, 'fine.js'), 'export {};\n');
    await git(work, ['add', '.']);
    await git(work, ['commit', '-q', '-m', 'fine']);
    await git(work, ['checkout', '-q', '-b', 'leaky', 'main']);
    writeFileSync(
      join(work, 'key.js'),
      `export const key = '${['sk', 'live', 'abcdefghijklmnop12345678'].join('_')}';\n`,
    );
    await git(work, ['add', '.']);
    await git(work, ['commit', '-q', '-m', 'leaky']);
    const { status, output } = await gitResult(work, [...agent, 'push', 'origin', 'fine', 'leaky']);
    expect(status).not.toBe(0);
    expect(output).toContain('fine -> fine');
    expect(output).toMatch(/rejected\] +leaky -> leaky \(SP2001 no-secrets-in-code/);
    const refs = await git(backend.root, ['-C', 'shop/backend.git', 'for-each-ref', '--format=%(refname)']);
    expect(refs).toContain('refs/heads/fine');
    expect(refs).not.toContain('refs/heads/leaky');
    // What was refused must not be there under no name either.
    const leaky = (await git(work, ['rev-parse', 'leaky'])).trim();
    expect((await gitResult(backend.root, ['-C', 'shop/backend.git', 'cat-file', '-e', leaky])).status).not.toBe(0);
  });

  it('replays a push with its commits and its diff', async () => {
    const sessions = await gateway.call('dana', 'GET', '/v1/sessions?principal=test:agent&limit=500');
    const texts: string[] = [];
    for (const { id } of (sessions.body as { items: { id: string }[] }).items)
      texts.push(String((await gateway.call('dana', 'GET', `/v1/sessions/${id}/replay`)).body));
    const all = texts.join('\n');
    expect(all).toContain('push to shop/backend');
    expect(all).toContain('export const orders');
    expect(all).not.toContain('abcdefghijklmnop12345678');
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
