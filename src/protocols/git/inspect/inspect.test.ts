import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PushFindings } from './findings.ts';
import { caller, Scene } from './scene.fixture.ts';

const key = ['ghp', '_', 'aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5'].join('');

describe.each(['sha1', 'sha256'] as const)('a push to a %s repository', (format) => {
  let scene: Scene;
  let base: string;
  let unapproved: string;
  beforeAll(() => {
    scene = new Scene(format);
    base = scene.commit({ files: { 'a.txt': 'a\n', 'src/x.ts': 'x\n' } });
    const second = scene.commit({ parents: [base], files: { 'a.txt': 'a\nb\n' } });
    scene.upstream('refs/heads/main', second);
    unapproved = scene.commit({ parents: [base], files: { 'b.txt': 'b\n' }, message: 'not approved' });
  });
  afterAll(() => scene.remove());
  const main = (): string => scene.refs.find(({ name }) => name === 'refs/heads/main')!.id;

  it('tells a fast-forward with its commits, people and diff', async () => {
    const one = scene.commit({ parents: [main()], files: { 'a.txt': 'a\nb\nc\n' }, message: 'one\n\nmore' });
    const two = scene.commit({ parents: [one], files: { 'n.txt': 'n\n' }, message: 'two' });
    const found = await scene.inspect(scene.push([{ old: main(), new: two }]));
    expect(found.refusal).toBeUndefined();
    expect(found.findings).toEqual([]);
    const [update] = found.updates;
    expect(update).toMatchObject({ kind: 'fastForward', lost: 0, commitCount: 2, findings: ['unsigned'] });
    expect(update!.commits.map(({ id, subject }) => [id, subject])).toEqual([
      [one, 'one'],
      [two, 'two'],
    ]);
    expect(update!.change!.text).toContain('+c\n');
    expect(update!.change!.text).toMatch(/2 files changed, 2 insertions/);
    expect(update!.change!.complete).toBe(true);
  });

  it('tells tags: created, moved, annotated within annotated', async () => {
    const inner = scene.tag(main(), 'commit');
    const outer = scene.tag(inner, 'tag');
    const found = await scene.inspect(
      scene.push([
        { ref: 'refs/tags/new', new: outer },
        { ref: 'refs/tags/moved', old: base, new: main() },
      ]),
    );
    expect(found.hidden).toEqual([]);
    expect(found.updates.map(({ kind }) => kind)).toEqual(['tagCreate', 'tagMove']);
  });

  it('shows every commit of a new branch whose base upstream does not have (CVE-2025-54585)', async () => {
    const harmless = scene.commit({ parents: [unapproved], files: { 'c.txt': 'c\n' }, message: 'harmless' });
    const found = await scene.inspect(scene.push([{ ref: 'refs/heads/topic', new: harmless }]));
    expect(found.updates[0]!.kind).toBe('create');
    expect(found.updates[0]!.commits.map(({ subject }) => subject)).toEqual(['not approved', 'harmless']);
    expect(found.updates[0]!.change!.text).toContain('b.txt');
  });

  it('finds hidden objects of every type (CVE-2025-54586) and refuses the push', async () => {
    const tip = scene.commit({ parents: [main()], files: { 'h.txt': 'h\n' } });
    const hiddenCommit = scene.commit({ parents: [main()], files: { 'evil.txt': `${key}\n` }, message: 'hidden' });
    const hiddenBlob = scene.blob('only a blob');
    const hiddenTag = scene.tag(scene.tag(tip, 'commit'), 'tag');
    const innerTag = scene.line(['cat-file', 'tag', hiddenTag]).split('\n')[0]!.slice(7);
    const extra = [...scene.objects([hiddenCommit], [main()]), hiddenBlob, hiddenTag, innerTag];
    const pack = scene.packOf([...scene.objects([tip], [main()]), ...extra]);
    const found = await scene.inspect(scene.push([{ old: main(), new: tip }], pack));
    expect(found.hidden).toEqual([...extra].sort());
    expect(found.findings).toEqual(['hidden']);
    expect(found.refusal?.code).toBe('SP2001');
  });

  it('finds a secret that one commit adds and the next removes', async () => {
    const adds = scene.commit({ parents: [main()], files: { 'src/x.ts': `x\nconst t = '${key}';\n` } });
    const removes = scene.commit({ parents: [adds], files: { 'src/x.ts': 'x\n' } });
    const found = await scene.inspect(scene.push([{ old: main(), new: removes }]));
    expect(found.updates[0]!.findings).toContain('secret');
    const secret = found.updates[0]!.details.find(({ name }) => name === 'secret')!;
    expect(secret).toMatchObject({ rule: 'github-token', commit: adds, path: 'src/x.ts', line: 2 });
    expect(secret.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(everythingSaid(found)).not.toContain(key);

    const allowed = await scene.inspect(scene.push([{ old: main(), new: removes }]), {
      secrets: { ignore: [secret.fingerprint!] },
    });
    expect(allowed.updates[0]!.findings).not.toContain('secret');
  });
  // What follows has nothing to do with how ids are made.
  if (format === 'sha256') return;

  it('is not misled by the dates of commits', async () => {
    const old = 'Agent <agent@corp.test> 1 +0000';
    let tip = main();
    for (let i = 0; i < 7; i++) tip = scene.commit({ parents: [tip], author: old });
    const found = await scene.inspect(scene.push([{ old: main(), new: tip }]));
    expect(found.updates[0]).toMatchObject({ kind: 'fastForward', lost: 0, commitCount: 7 });
  });

  it('tells a forced update, with how much is lost', async () => {
    const found = await scene.inspect(scene.push([{ old: main(), new: unapproved }]));
    expect(found.updates[0]).toMatchObject({ kind: 'force', lost: 1, commitCount: 1 });
  });

  it('tells deletions without a pack', async () => {
    const found = await scene.inspect(scene.push([{ old: main() }, { ref: 'refs/tags/t', old: main() }]));
    expect(found.updates.map(({ kind, lost }) => [kind, lost])).toEqual([
      ['delete', 2],
      ['tagDelete', 0],
    ]);
  });

  it('shows commits that another branch of upstream has when they come to this one', async () => {
    const ci = scene.commit({ parents: [main()], files: { '.github/workflows/x.yml': 'on: push\n' } });
    scene.upstream('refs/heads/feature', ci);
    try {
      const found = await scene.inspect(scene.push([{ old: main(), new: ci }], scene.packOf([])));
      expect(found.updates[0]).toMatchObject({ kind: 'fastForward', commitCount: 1 });
      expect(found.updates[0]!.commits[0]!.known).toBe(true);
      expect(found.updates[0]!.findings).toContain('path.ci');
    } finally {
      scene.refs = scene.refs.filter(({ name }) => name !== 'refs/heads/feature');
    }
  });

  it('does not call hidden what upstream has', async () => {
    const tip = scene.commit({ parents: [main()], files: { 'i.txt': 'i\n' } });
    const pack = scene.packOf([...scene.objects([tip], [main()]), ...scene.objects([main()], [])]);
    const found = await scene.inspect(scene.push([{ old: main(), new: tip }], pack));
    expect(found.findings).toEqual([]);
  });

  it('refuses an update whose objects it does not bring', async () => {
    const tip = scene.commit({ parents: [main()], files: { 'j.txt': 'j\n' } });
    const found = await scene.inspect(scene.push([{ old: main(), new: tip }], scene.packOf([])));
    expect(found.updates[0]!.refusal?.code).toBe('SP2002');
    expect(found.updates[0]!.kind).toBe('force');
  });
});

describe('what a push adds', () => {
  let scene: Scene;
  let main: string;
  beforeAll(() => {
    scene = new Scene();
    main = scene.commit({ files: { 'a.txt': `a\nold = "${key}"\n`, 'b.txt': 'b\n' } });
    scene.upstream('refs/heads/main', main);
  });
  afterAll(() => scene.remove());

  const inspected = async (
    content: Parameters<Scene['commit']>[0],
    settings: Parameters<Scene['inspect']>[1] = {},
  ): Promise<PushFindings> => {
    const tip = scene.commit({ parents: [main], ...content });
    return await scene.inspect(scene.push([{ old: main, new: tip }]), settings);
  };
  const names = async (...args: Parameters<typeof inspected>): Promise<readonly string[]> =>
    (await inspected(...args)).updates[0]!.findings.filter((name) => name !== 'unsigned');

  const told = async (...args: Parameters<typeof inspected>): Promise<readonly string[]> =>
    (await inspected(...args)).updates[0]!.details.flatMap(({ name, path }) =>
      path === undefined ? [] : [`${path} ${name}`],
    ).sort();

  it('counts as added only what the file did not hold before', async () => {
    expect(await names({ files: { 'a.txt': `more\na\nold = "${key}"\n` } })).toEqual([]);
    expect(await names({ files: { 'moved.txt': `old = "${key}"\n` } })).toEqual(['secret']);
  });

  it('is searched for secrets wherever they are', async () => {
    const utf16 = Buffer.from(`\ufeffkey = ${key}\r\n`, 'utf16le');
    const binary = Buffer.concat([Buffer.alloc(9000), Buffer.from(key), Buffer.alloc(100)]);
    const large = Buffer.concat([
      Buffer.alloc(3_000_000, 'line of text\n'),
      Buffer.from(`\n${key}\n`),
      Buffer.alloc(65_536, 'x\n'),
    ]);
    expect(await names({ files: { 'u.txt': utf16 } })).toContain('secret');
    expect(await names({ files: { 'u.bin': binary } })).toEqual(['file.binary', 'secret']);
    expect(await names({ files: { 'u.log': large } })).toEqual(['secret']);
    expect(await names({ files: { [`dir/${key}/x`]: 'x' } })).toEqual(['secret']);
    expect(await names({ files: { 'c.txt': 'c' }, message: `use ${key}` })).toEqual(['secret']);
    expect(await names({ files: { 'c.txt': 'c' }, author: `${key} <agent@corp.test> 1 +0000` })).toEqual(['secret']);
    expect(await names({ files: { lnk: { mode: '120000', content: key } } })).toEqual(['secret']);
  });

  it('never shows a secret in what is said about it', async () => {
    const found = await inspected({
      files: { [`${key}.txt`]: `${key}\n` },
      message: key,
      author: `${key} <${key}@corp.test> 1 +0000`,
    });
    expect(found.updates[0]!.findings).toContain('secret');
    expect(everythingSaid(found)).not.toContain(key);
  });

  it('is searched for secrets below tags of trees and blobs, too', async () => {
    const blob = scene.blob(`${key}\n`);
    const tree = scene.line(['mktree'], `100644 blob ${blob}\tf\n`);
    const found = await scene.inspect(scene.push([{ ref: 'refs/tags/tree', new: scene.tag(tree, 'tree') }]));
    expect(found.findings).toEqual(['secret']);
    expect(found.hidden).toEqual([]);
    const message = await scene.inspect(scene.push([{ ref: 'refs/tags/m', new: scene.tag(main, 'commit', key) }]));
    expect(message.updates[0]!.findings).toEqual(['secret', 'unsigned']);
  });

  it('finds what only a merge adds', async () => {
    const side = scene.commit({ parents: [main], files: { 's.txt': 's\n' } });
    const merge = { parents: [main, side], files: { 's.txt': 's\n', 'm.txt': `${key}\n` } };
    expect(await names(merge)).toEqual(['secret']);
    expect(await names({ parents: [main, side], files: { 's.txt': 's\n' } })).toEqual([]);
  });

  it('is judged by paths', async () => {
    const files = [
      '.github/workflows/ci.yml',
      '.GitHub/Workflows/ci.yml',
      '.gitlab-ci.yml',
      'docs/CODEOWNERS',
      'web/package-lock.json',
    ];
    expect(await told({ files: Object.fromEntries(files.map((path) => [path, 'x\n'])) })).toEqual([
      '.GitHub/Workflows/ci.yml path.ci',
      '.github/workflows/ci.yml path.ci',
      '.github/workflows/ci.yml path.confusable',
      '.gitlab-ci.yml path.ci',
      'docs/CODEOWNERS path.owners',
      'web/package-lock.json path.lock',
    ]);
    const paths = { own: ['*.txt'], ci: [] };
    expect(await told({ files: { 'b.txt': null, '.gitlab-ci.yml': 'x' } }, { paths })).toEqual(['b.txt path.own']);
  });

  it('is judged by kind: links, submodules, attributes, programs, large files', async () => {
    const program = Buffer.concat([Buffer.from('\x7fELF', 'latin1'), Buffer.alloc(200)]);
    const link = (content: string): { mode: string; content: string } => ({ mode: '120000', content });
    const files = {
      'd/inside': link('../b.txt'),
      'd/outside': link('../../etc/passwd'),
      'd/absolute': link('/etc/passwd'),
      'd/git': link('../.git/config'),
      sub: { mode: '160000', content: main },
      '.gitattributes': '*.ts filter=run\n',
      'lfs/.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n',
      tool: { mode: '100755', content: program },
      large: `${'x'.repeat(2000)}\n${key}`,
    };
    expect(await told({ files }, { largeFile: '1KiB' })).toEqual([
      '.gitattributes attributes.dangerous',
      'd/absolute symlink.escape',
      'd/git symlink.escape',
      'd/outside symlink.escape',
      'large file.large',
      'large secret',
      'sub submodule',
      'tool file.binary',
      'tool file.executable',
    ]);
  });

  it('is told where paths are confusing', async () => {
    const files = ['a\u202etxt.exe', 'a\\b', 'x/.ｇｉｔ/y', '.gitattributes ', 'CODEOWNER\u017f', 'plain'];
    const found = await told({ files: Object.fromEntries(files.map((path) => [path, 'x'])) });
    expect(found).toEqual(
      files
        .slice(0, -1)
        .sort()
        .map((path) => `${path} path.confusable`),
    );
  });

  it('is told where two paths are one on other systems', async () => {
    const files = {
      'd/A': { mode: '120000', content: 'x' },
      'd/a/hooks': 'x',
      'e/F': 'x',
      'e/g': 'x',
      'ä/x': 'x',
      'a\u0308/y': 'x',
    };
    expect(await told({ files })).toEqual(['d/a/hooks path.confusable', 'ä/x path.confusable']);
    expect(await told({ files: { 'b.txt': null, 'B.txt': 'b\n' } })).toEqual([]);
  });

  it("compares authors, committers and taggers with the caller's address only", async () => {
    const stranger = 'Approver <approver@corp.test> 1 +0000';
    expect(await names({ author: stranger })).toEqual(['author.mismatch']);
    expect(await names({ committer: stranger })).toEqual(['author.mismatch']);
    expect(await names({ author: stranger }, { authors: { allow: ['*@corp.test'] } })).toEqual([]);
    expect(await names({ author: 'Agent <AGENT@corp.test> 1 +0000' })).toEqual([]);
    const tip = scene.commit({ parents: [main] });
    const push = scene.push([{ old: main, new: tip }]);
    for (const claims of [{}, { email: 'agent@corp.test', email_verified: false }, { email: ['agent@corp.test'] }]) {
      const found = await scene.inspect(push, {}, { ...caller, claims });
      expect(found.updates[0]!.findings).toContain('author.mismatch');
    }
    const tag = scene.tag(main, 'commit', 't', stranger);
    const tagged = await scene.inspect(scene.push([{ ref: 'refs/tags/t', new: tag }]));
    expect(tagged.updates[0]!.findings).toContain('author.mismatch');
  });

  it('tells other namespaces, symbolic refs, names that look alike or like options', async () => {
    const tip = scene.commit({ parents: [main] });
    scene.upstream('refs/remotes/origin/HEAD', main, { target: 'refs/heads/main' });
    const push = scene.push(
      [
        { ref: 'refs/pull/1/head', new: tip },
        { ref: 'refs/notes/commits', new: tip },
        { ref: 'refs/remotes/origin/HEAD', old: main, new: tip },
        { ref: 'refs/heads/Main', new: tip },
        { ref: 'refs/heads/--upload-pack=x', new: tip },
        { ref: 'refs/heads/a..b', new: tip },
        { ref: 'refs/replace/x', new: tip },
      ],
      scene.packBetween([tip], [main]),
    );
    const found = await scene.inspect(push);
    const said = found.updates.map(({ findings }) => findings.filter((name) => name.startsWith('ref.')));
    expect(said).toEqual([
      ['ref.namespace'],
      ['ref.namespace'],
      ['ref.namespace', 'ref.symref'],
      ['ref.confusable'],
      ['ref.invalid'],
      ['ref.invalid'],
      ['ref.namespace'],
    ]);
    expect(found.updates.map(({ refusal }) => refusal !== undefined)).toEqual([
      false,
      false,
      true,
      false,
      true,
      true,
      false,
    ]);
    scene.refs = scene.refs.filter(({ target }) => target === undefined);
  });

  it('does not follow tags within tags without end', async () => {
    let tag = scene.tag(main, 'commit');
    for (let i = 0; i < 12; i++) tag = scene.tag(tag, 'tag');
    const found = await scene.inspect(scene.push([{ ref: 'refs/tags/deep', new: tag }]));
    expect(found.refusal?.code).toBe('SP7001');
  });

  it('refuses a branch that points to a tag or a tree', async () => {
    const tag = scene.tag(main, 'commit');
    const found = await scene.inspect(scene.push([{ ref: 'refs/heads/t', new: tag }]));
    expect(found.updates[0]!.refusal?.code).toBe('SP2001');
  });

  it('says what it could not look at, and refuses', async () => {
    const tip = scene.commit({ parents: [scene.commit({ parents: [main], files: { x: 'x', y: 'y' } })] });
    const push = scene.push([{ old: main, new: tip }]);
    for (const limits of [{ commits: 1 }, { changes: 1 }, { content: 1 }, { objects: 1 }]) {
      const found = await scene.inspect(push, { limits });
      expect([limits, found.findings]).toEqual([limits, ['too-large-to-inspect']]);
      expect(found.refusal?.code).toBe('SP7001');
    }
    const lenient = await scene.inspect(push, { limits: { commits: 1 }, refuse: [] });
    expect(lenient.refusal).toBeUndefined();
    expect(lenient.findings).toEqual(['too-large-to-inspect']);
    expect(lenient.updates[0]!.kind).toBe('force');
  });
});

function everythingSaid(found: PushFindings): string {
  return JSON.stringify(found);
}
