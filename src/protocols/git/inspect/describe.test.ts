import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Push } from '../push.ts';
import { describePush } from './describe.ts';
import { Scene } from './scene.fixture.ts';
import type { InspectSettingsInput } from './settings.ts';

const key = ['glp', 'at-', 'aB3dE5gH7jK9mN1pQ3sT'].join('');

describe("the approver's text", () => {
  let scene: Scene;
  let main: string;
  beforeAll(() => {
    scene = new Scene();
    main = scene.commit({ files: { 'a.txt': 'a\n', 'large.txt': 'line\n' } });
    scene.upstream('refs/heads/main', main);
  });
  afterAll(() => scene.remove());
  const described = async (push: Push, settings: InspectSettingsInput = {}): Promise<string> =>
    describePush(push, await scene.inspect(push, settings));

  it('says what each ref becomes, who wrote what, what was found, and shows the diff', async () => {
    const one = scene.commit({ parents: [main], files: { 'a.txt': 'b\n' }, message: 'the first\n\nwith more' });
    const two = scene.commit({
      parents: [one],
      files: { '.gitlab-ci.yml': 'x\n' },
      author: 'Other <o@x.test> 1 +0000',
    });
    const push = scene.push([
      { old: main, new: two },
      { ref: 'refs/tags/v1', old: main },
    ]);
    const text = await described(push);
    expect(text).toContain(`push to group/repo\n\nrefs/heads/main: fast-forward\n  from ${main}\n  to   ${two}\n`);
    expect(text).toContain(`${one} Agent <agent@corp.test>\n      the first\n`);
    expect(text).toContain(`${two} Other <o@x.test>\n`);
    expect(text).toContain(`path.ci: changed in .gitlab-ci.yml (commit ${two})`);
    expect(text).toContain('author.mismatch: the author o@x.test is not the caller');
    expect(text).toContain('2 commits, oldest first:');
    expect(text).toContain('-a\n+b\n');
    expect(text).toContain(`refs/tags/v1: tag DELETED\n  from ${main}\n  to   nothing\n`);
    expect(await described(push)).toBe(text);
  });

  it('cannot be used to drive the terminal or to write further lines', async () => {
    const tip = scene.commit({
      parents: [main],
      files: { 'a.txt': 'x\x1b]0;title\x07\r\u202e\u200b\x9b31m\n', 'n\u202e\x1b[2J\n  to fake': 'x' },
      message: 'subject\x1b[2J\u202e\u2066\rsame line',
      author: 'Na\x1bme\u200f <a\x07@b> 1 +0000',
    });
    const push = { ...scene.push([{ old: main, new: tip }]), options: ['ci.skip\x1b[2J\nmore'] };
    const text = await described(push);
    expect(text).not.toMatch(/[^\P{C}\n\t]/u);
    expect(text).not.toMatch(/^ {2}to fake/m);
    expect(text).not.toMatch(/^more/m);
    expect(text).toContain('subject\\x1b[2J\\u{202e}');
  });

  it('shows no secret, wherever it stands', async () => {
    const tip = scene.commit({
      parents: [main],
      files: { 'a.txt': `a\nk = ${key}\n`, [`${key}`]: 'x' },
      message: `with ${key}`,
      author: `${key} <${key}@b> 1 +0000`,
    });
    const push = { ...scene.push([{ ref: `refs/heads/${key}`, new: tip }]), options: [key] };
    const text = await described(push);
    expect(text).not.toContain(key);
    expect(text).toContain('secret: gitlab-token');
    expect(text).toMatch(/fingerprint [0-9a-f]{64}/);
    expect(text).toContain(`+k = ${'*'.repeat(key.length)}`);
  });

  it('shows as much of the diff as fits, and says how much is missing and its digest', async () => {
    const large = Array.from({ length: 40_000 }, (_, i) => `line ${i}\n`).join('');
    const tip = scene.commit({ parents: [main], files: { 'large.txt': large } });
    const push = scene.push([
      { old: main, new: tip },
      { ref: 'refs/heads/same', new: tip },
    ]);
    const text = await described(push, { limits: { diff: '4KiB' } });
    expect(text.length).toBeLessThan(12_000);
    expect(text).toMatch(/diff of \d{6} bytes, SHA-256 [0-9a-f]{64}:/);
    expect(text).toMatch(/\n… \d{6} more bytes not shown\n/);
    expect(text).toContain('+line 1\n');
  });

  it('cuts no secret in two where the diff is cut', async () => {
    const lines = `${'x'.repeat(59)}\n`.repeat(60);
    for (const size of [3800, 3830, 3860, 3890]) {
      const tip = scene.commit({ parents: [main], files: { 'a.txt': `${lines}k = ${key}\n${lines}` } });
      const text = await described(scene.push([{ old: main, new: tip }]), { limits: { diff: size } });
      for (let length = key.length; length > 8; length--) expect(text).not.toContain(key.slice(0, length));
    }
  });

  it('names hidden objects', async () => {
    const tip = scene.commit({ parents: [main], files: { 'z.txt': 'z' } });
    const hidden = scene.blob('hidden');
    const push = scene.push([{ old: main, new: tip }], scene.packOf([...scene.objects([tip], [main]), hidden]));
    expect(await described(push)).toContain(`hidden: 1 objects that no update reaches\n    ${hidden}\n`);
  });
});
