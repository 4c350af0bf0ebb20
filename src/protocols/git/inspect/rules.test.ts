import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCommit, parseTag } from './commit-object.ts';
import { confusion } from './confusable.ts';
import { PathPatterns, textMatches } from './glob.ts';
import { wellFormedRef } from './ref-rules.ts';
import { inspectSettings } from './settings.ts';
import { dangerousAttributes, dangerousModules, escapingLink } from './special-files.ts';
import { visibleLine } from './visible.ts';

function matches(glob: string, path: string): boolean {
  const patterns = new PathPatterns<string>();
  patterns.add(glob, 'x');
  return patterns.matching(path).size === 1;
}

describe('a path pattern', () => {
  it.each([
    ['a/b', 'a/b', true],
    ['a/b', 'a/b/c', false],
    ['a/b', 'x/a/b', false],
    ['a/**', 'a/b/c', true],
    ['a/**', 'ab/c', false],
    ['**/x.yml', 'x.yml', true],
    ['**/x.yml', 'a/b/x.yml', true],
    ['**/x.yml', 'a/xx.yml', false],
    ['**/a/*.y?l', 'q/a/b.yml', true],
    ['**/a/*.y?l', 'q/a/c/b.yml', false],
    ['a/**/z', 'a/z', true],
    ['a/**/z', 'a/b/c/z', true],
    ['*', 'a/b', false],
    ['**', 'a/b', true],
    ['azure-pipelines*.yml', 'azure-pipelines-2.yml', true],
    ['A/B', 'a/b', true],
    ['a/b', 'A/B', true],
    ['[ab]', 'a', false],
    ['.*', 'x', false],
  ])('%s on %s: %s', (glob, path, expected) => expect(matches(glob, path)).toBe(expected));

  it('stays quick on what makes others slow', () => {
    expect(matches('a*a*a*a*a*a*a*a*a*a*b', 'a'.repeat(3000))).toBe(false);
    expect(matches('**/**/**/**/**/**/**/x', 'a/'.repeat(1000))).toBe(false);
    expect(textMatches('*a*a*a*a*a*a*a*b', 'a'.repeat(3000))).toBe(false);
  });
});

describe('a path', () => {
  it.each([
    'src/a.ts',
    '.github/workflows/x.yml',
    'docs/.gitignore',
    'a b/c',
    'größe.txt',
    '日本語.md',
    'CODEOWNERS',
    'a~1/b',
    'x.git/y',
  ])('%j is nothing odd', (path) => expect(confusion(path)).toBeUndefined());

  it.each([
    '.Git/config',
    'a/.git',
    'a/.git /x',
    'a/.git./x',
    'GIT~1/x',
    '.git::$INDEX_ALLOCATION/x',
    '.gıt\u200d/x',
    '.gi\u200ct',
    '.ｇｉｔ/config',
    'a\u0000b',
    'a\nb',
    'a\\..\\b',
    '../b',
    'a/./b',
    'a\u202egpj.exe',
    '.GitModules',
    '.gitmodules.',
    'GITMOD~1',
    'ＣＯＤＥＯＷＮＥＲＳ',
    'a\ufffdb',
  ])('%j is odd', (path) => expect(confusion(path)).toBeTypeOf('string'));
});

describe('a ref name', () => {
  it.each(['refs/heads/main', 'refs/heads/a/b-c', 'refs/tags/v1.0', 'refs/heads/ü'])('%j is well-formed', (ref) =>
    expect(wellFormedRef(ref)).toBe(true),
  );
  it.each([
    'main',
    'HEAD',
    'refs/',
    'refs/heads/',
    'refs//x',
    'refs/heads/a..b',
    'refs/heads/a.lock',
    'refs/heads/.a',
    'refs/heads/a b',
    'refs/heads/a\x7f',
    'refs/heads/a:b',
    'refs/heads/a^',
    'refs/heads/@{x',
    'refs/heads/a.',
    'refs/heads/a\\b',
  ])('%j is not', (ref) => expect(wellFormedRef(ref)).toBe(false));
});

describe('files that git obeys', () => {
  it.each([
    '[submodule "a"]\n\tpath = a\n\turl = -uhelper\n',
    '[submodule "a"]\n\turl = ext::sh -c touch% x\n',
    '[submodule "a"]\n\turl = file:///etc\n',
    '[submodule "a"]\n\tupdate = !sh\n',
    '[submodule "../a"]\n\turl = https://x\n',
    '[submodule "a"]\n\tpath = ../x\n',
    '[submodule "a"]\n\tpath = .git/hooks\n',
    '[submodule "a"]\n\tpath = "a\r"\n',
    '[submodule "a"] URL = -x\n',
  ])('%j is dangerous in .gitmodules', (content) => expect(dangerousModules(content)).toBeTypeOf('string'));
  it('lets an ordinary .gitmodules be', () => {
    const content = '[submodule "lib/a"]\n\tpath = lib/a\n\turl = ../a.git\n\tbranch = main\r\n';
    expect(dangerousModules(content.replaceAll('\r', ''))).toBeUndefined();
  });

  it.each([
    '*.c filter=indent',
    '* merge=mine',
    '*.txt working-tree-encoding=UTF-7',
    '*.ts -diff',
    '* -diff',
    '* export-subst',
  ])('%j is dangerous in .gitattributes', (content) => expect(dangerousAttributes(content)).toBeTypeOf('string'));
  it.each([
    '* text=auto',
    '*.png binary',
    '*.bin filter=lfs diff=lfs merge=lfs -text',
    '# * filter=x',
    'package-lock.json -diff',
  ])('%j is not', (content) => expect(dangerousAttributes(content)).toBeUndefined());

  it.each([
    ['a/b', '../c', undefined],
    ['a/b', './c/../d', undefined],
    ['b', '../c', 'out of the tree'],
    ['a/b', '../../c', 'out of the tree'],
    ['a/b', 'x/../../../c', 'out of the tree'],
    ['a', '/etc/passwd', 'to an absolute path'],
    ['a', 'C:\\x', 'to an absolute path'],
    ['a', '.GIT/config', 'into .git'],
    ['a', '', 'to nowhere'],
  ])('the link %s to %j leads %s', (path, target, expected) => expect(escapingLink(path, target)).toBe(expected));
});

describe('a commit', () => {
  it('is read as git reads it', () => {
    const text =
      'tree 1\nparent a\nparent b\nauthor A B <a@b> 1 +0000\ncommitter C <c@d> 2 +0000\ngpgsig -----BEGIN SSH SIGNATURE-----\n author X <x@y> 1 +0\n -----END\n\n\n the subject\nbody\nauthor Z <z@z> 1 +0\n';
    expect(parseCommit(Buffer.from(text))).toEqual({
      parents: ['a', 'b'],
      author: { name: 'A B', email: 'a@b' },
      committer: { name: 'C', email: 'c@d' },
      signed: true,
      ssh: true,
      subject: 'the subject',
    });
    expect(parseCommit(Buffer.from('tree 1\n\ngpgsig x'))).toBeUndefined();
  });

  it('takes any bytes', () => {
    const line = fc.constantFrom(
      'author ',
      'committer ',
      'A <a@b> 1 +0000',
      '\n',
      '\n\n',
      'parent ',
      'gpgsig ',
      'object ',
      'type ',
      '<',
      '>',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(line, fc.string({ unit: 'binary' }))), (parts) => {
        const bytes = Buffer.from(parts.join(''), 'latin1');
        parseCommit(bytes);
        parseTag(bytes);
        expect(visibleLine(bytes.toString('latin1'))).not.toMatch(/\p{Cc}/u);
      }),
    );
  });
});

describe('the settings', () => {
  it('have bounds and defaults', () => {
    const settings = inspectSettings.parse({ paths: { ci: ['x'], infra: ['terraform/**'] }, largeFile: '1MiB' });
    expect(Object.keys(settings.paths)).toEqual(['ci', 'owners', 'lock', 'infra']);
    expect(settings.paths.ci).toEqual(['x']);
    expect(settings.largeFile).toBe(1024 ** 2);
    expect(settings.refuse).toContain('hidden');
  });
  it.each([
    { path: {} },
    { refuse: ['hiden'] },
    { limits: { time: '0s' } },
    { secrets: { ignore: ['x'] } },
    { largeFile: 'big' },
  ])('refuse %j', (wrong) => expect(inspectSettings.safeParse(wrong).success).toBe(false));
});
