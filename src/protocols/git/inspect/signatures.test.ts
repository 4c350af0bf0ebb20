import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Scene } from './scene.fixture.ts';

describe('required signatures', () => {
  let scene: Scene;
  let main: string;
  let signers: string;
  const keys = { allowed: '', other: '' };
  beforeAll(() => {
    scene = new Scene();
    main = scene.commit({ files: { a: 'a' } });
    scene.upstream('refs/heads/main', main);
    for (const name of ['allowed', 'other'] as const) {
      keys[name] = join(scene.folder, name);
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', keys[name]]);
    }
    signers = join(scene.folder, 'allowed_signers');
    writeFileSync(signers, `agent@corp.test namespaces="git" ${readFileSync(`${keys.allowed}.pub`, 'utf8')}`);
  });
  afterAll(() => scene.remove());

  const signedBy = (key: string, args: readonly string[]): string =>
    scene.line([
      '-c',
      'gpg.format=ssh',
      '-c',
      `user.signingKey=${key}`,
      '-c',
      'user.name=Agent',
      '-c',
      'user.email=agent@corp.test',
      ...args,
    ]);
  const commit = (key: string): string =>
    signedBy(key, ['commit-tree', '-S', '-p', main, '-m', `by ${key}`, `${main}^{tree}`]);

  it('count only where an allowed key made them, over exactly this commit', async () => {
    const good = commit(keys.allowed);
    const stranger = commit(keys.other);
    const bytes = scene.git(['cat-file', 'commit', good]).toString();
    const forged = scene.object('commit', bytes.replace(`by ${keys.allowed}`, 'by somebody'));
    const nonsense = scene.object(
      'commit',
      bytes.replace(/gpgsig[\s\S]*?-----END SSH SIGNATURE-----\n/, 'gpgsig nonsense\n'),
    );
    const unsigned = scene.commit({ parents: [main] });
    const tips = [good, stranger, forged, nonsense, unsigned];
    const push = scene.push(tips.map((id, i) => ({ ref: `refs/heads/b${i}`, new: id })));

    const verified = await scene.inspect(push, { signatures: { allowedSigners: signers } });
    expect(verified.updates.map(({ commits }) => commits[0]!.signature)).toEqual([
      'verified',
      'present',
      'present',
      'present',
      'none',
    ]);
    expect(verified.updates.map(({ findings }) => findings.includes('unsigned'))).toEqual([
      false,
      true,
      true,
      true,
      true,
    ]);
    expect(verified.updates[0]!.commits[0]!.signer).toBe('agent@corp.test');

    const present = await scene.inspect(push);
    expect(present.updates.map(({ findings }) => findings.includes('unsigned'))).toEqual([
      false,
      false,
      false,
      false,
      true,
    ]);
  });

  it('count for tags, too', async () => {
    const tag = (key: string): string => {
      signedBy(key, ['tag', '-f', '-s', '-m', 'a tag', 'v1', main]);
      return scene.line(['rev-parse', 'refs/tags/v1']);
    };
    const push = scene.push([tag(keys.allowed), tag(keys.other)].map((id, i) => ({ ref: `refs/tags/t${i}`, new: id })));
    const found = await scene.inspect(push, { signatures: { allowedSigners: signers } });
    expect(found.updates.map(({ findings }) => findings)).toEqual([[], ['unsigned']]);
  });
});
