import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BareGateway, startBareGateway } from '../../../test/support/gateway.ts';
import { type GitBackend, git, gitResult, startGitBackend } from './testing/git-backend.fixture.ts';

const secret = 'the-credential-of-the-target';
const policies = `
@id("all") permit (principal, action, resource);
@id("no-secrets") @advice("take the credential out of every commit")
forbid (principal, action, resource) when { context has findings && context.findings.contains("secret") };
@id("release-is-for-people")
forbid (principal, action, resource == Ref::"code/acme/app:refs/heads/release");
`;

let backend: GitBackend;
let gateway: BareGateway;
let folder: string;
let token: string;

beforeAll(async () => {
  backend = await startGitBackend({
    authorization: `Basic ${Buffer.from(`x-access-token:${secret}`).toString('base64')}`,
  });
  folder = mkdtempSync(join(tmpdir(), 'sallyport-git-gateway-'));
  gateway = await startBareGateway({
    policies,
    files: { token: secret },
    targets: {
      code: {
        protocol: 'git',
        address: `http://127.0.0.1:${backend.port}`,
        credential: { file: './token' },
        labels: {},
      },
    },
  });
  token = await gateway.tokenOf('agent');
});

afterAll(async () => {
  await gateway?.stop();
  await backend?.close();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

/** git with the token as a credential helper would give it, over TLS and whichever HTTP it likes. */
const run = (cwd: string, ...args: string[]) =>
  gitResult(cwd, [
    ...['-c', `http.sslCAInfo=${gateway.caFile}`],
    ...['-c', `credential.helper=!f() { echo username=agent; echo password=${token}; }; f`],
    ...args,
  ]);

async function repository(name: string): Promise<{ bare: string; work: string; url: string }> {
  const bare = await backend.create(`acme/${name}.git`);
  const work = join(folder, name);
  await git(folder, ['init', '-q', '-b', 'main', work]);
  writeFileSync(join(work, 'a.txt'), 'a\n');
  await git(work, ['add', '.']);
  await git(work, ['commit', '-q', '-m', 'a']);
  return { bare, work, url: `${gateway.http}/git/code/acme/${name}.git` };
}

describe('git through a whole gateway', () => {
  it.each(['HTTP/1.1', 'HTTP/2'])('pushes, clones and fetches over %s', async (version) => {
    const { work, url, bare } = await repository(`over-${version.slice(5).replace('.', '-')}`);
    const over = ['-c', `http.version=${version}`];
    // More than curl sends in one piece, and more than one packet.
    writeFileSync(join(work, 'large.bin'), randomBytes(3 * 2 ** 20));
    await git(work, ['add', '.']);
    await git(work, ['commit', '-q', '-m', 'large']);
    expect((await run(work, ...over, 'push', url, 'main')).output).toContain('[new branch]');
    const to = `${work}-clone`;
    expect((await run(folder, ...over, 'clone', '-q', '--filter=blob:none', url, to)).output).toBe('');
    expect(readFileSync(join(to, 'large.bin')).equals(readFileSync(join(work, 'large.bin')))).toBe(true);
    await git(work, ['commit', '-q', '--allow-empty', '-m', 'more']);
    await git(work, ['push', '-q', bare, 'main']);
    expect((await run(to, ...over, 'pull', '-q')).output).toBe('');
    expect(await git(to, ['log', '-1', '--format=%s'])).toContain('more');
  });

  it('shows the rule and what would work where a push is refused', async () => {
    const { work, url } = await repository('refused');
    writeFileSync(join(work, 'key'), `token = "${'ghp_'}${randomBytes(18).toString('hex')}"\n`);
    await git(work, ['add', '.']);
    await git(work, ['commit', '-q', '-m', 'key']);
    const { status, output } = await run(work, 'push', url, 'main');
    expect(status).not.toBe(0);
    expect(output).toContain('remote: refs/heads/main: SP2001: no-secrets forbids');
    expect(output).toContain('remote: rule: no-secrets');
    expect(output).toContain('remote: take the credential out of every commit');
  });

  it('hides a branch, and refuses to make it', async () => {
    const { work, url, bare } = await repository('app');
    await git(work, ['push', '-q', bare, 'main', 'main:release']);
    expect((await run(folder, 'ls-remote', url)).output).not.toContain('release');
    const { output } = await run(work, 'push', url, 'main:release', 'main:topic');
    expect(output).toContain('[new branch]');
    expect(output).toMatch(/rejected\] +main -> release/);
  });

  it('asks who is there, and lets nobody in who is not', async () => {
    const { url } = await repository('closed');
    const { status, output } = await gitResult(folder, ['-c', `http.sslCAInfo=${gateway.caFile}`, 'ls-remote', url]);
    expect(status).not.toBe(0);
    expect(output).toMatch(/could not read Username|terminal prompts disabled/);
  });
});
