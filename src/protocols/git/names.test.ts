import { describe, expect, it } from 'vitest';
import { Refusal } from '../../model/errors.ts';
import { parseGitAddress } from './address.ts';
import { classifyText } from './classify-text.ts';
import { isPushableRefName, isRefName } from './ref-name.ts';
import { addressOf } from './repository.ts';
import { gitSettings } from './settings.ts';

describe('names of refs', () => {
  it.each([
    'refs/heads/main',
    'refs/heads/feature/x-1',
    'refs/tags/v1.0',
    'refs/heads/ünïcode',
    'refs/notes/commits',
    'refs/for/main',
  ])('%s is one that may be pushed to', (name) => expect(isPushableRefName(name)).toBe(true));

  it.each([
    ...[
      'HEAD',
      'refs',
      'refs/',
      'refs//x',
      'refs/heads/',
      '/refs/heads/x',
      'refs/heads/.x',
      'refs/heads/x.',
      'refs/heads/x.lock',
    ],
    ...[
      'refs/heads/a..b',
      'refs/../x',
      'refs/heads/a b',
      'refs/heads/a~1',
      'refs/heads/a^',
      'refs/heads/a:b',
      'refs/heads/a?',
      'refs/heads/a*',
    ],
    ...[
      'refs/heads/a[',
      'refs/heads/a\\b',
      'refs/heads/a@{1}',
      'refs/heads/a\x7f',
      'refs/heads/a\n',
      `refs/heads/${'x'.repeat(1100)}`,
    ],
  ])('%j is none', (name) => expect(isRefName(name)).toBe(false));

  it.each([
    'refs/heads/-x',
    'refs/heads/a\u200bb',
    'refs/heads/a\u202eb',
    'refs/heads/a\u00a0b',
    'refs/heads/\u2028',
    'refs/heads/a\u00adb',
  ])('%j may be there, but nobody makes it', (name) => {
    expect(isRefName(name)).toBe(true);
    expect(isPushableRefName(name)).toBe(false);
  });
});

describe('addresses of repositories', () => {
  const service = '/info/refs?service=git-upload-pack';

  it.each([
    ['/app.git', 'app', '/app.git'],
    ['/app', 'app', '/app'],
    ['/Group/Sub/App.git', 'group/sub/app', '/group/sub/app.git'],
    ['/~user/app', '~user/app', '/~user/app'],
    ['/org/.github.git', 'org/.github', '/org/.github.git'],
    ['/a/b+c_d-e.f', 'a/b+c_d-e.f', '/a/b+c_d-e.f'],
  ])('%s is %s', (path, id, sent) => {
    expect(addressOf('GET', path + service, false).repository).toEqual({ id, path: sent });
  });

  it('keep their case where it matters', () => {
    expect(addressOf('GET', `/Group/App.git${service}`, true).repository).toEqual({
      id: 'Group/App',
      path: '/Group/App.git',
    });
  });

  it.each([
    ...[
      '',
      '/',
      '//a',
      '/a//b',
      '/a/',
      '/.',
      '/..',
      '/a/..',
      '/a/../b',
      '/...',
      '/-a',
      '/a/-b',
      '/a b',
      '/a%2fb',
      '/%2e%2e',
      '/a%00',
    ],
    ...[
      '/a\\b',
      '/a;b',
      '/a:b',
      '/a@b',
      '/.git',
      '/a/.GIT',
      '/a.git/b',
      '/a.git.git',
      '/a.',
      '/a.lock',
      '/GIT~1',
      '/a~1',
      '/é',
      '/a?x',
      '/a#x',
    ],
    ...[`/${'a'.repeat(101)}`, '/a'.repeat(21)],
  ])('%j is none', (path) => {
    expect(() => addressOf('GET', path + service, false)).toThrow(Refusal);
  });

  it.each([
    ['GET', '/a/git-upload-pack'],
    ['POST', `/a${service}`],
    ['PUT', '/a/git-receive-pack'],
    ['POST', '/a/git-upload-pack?x'],
    ['GET', '/a/info/refs'],
    ['GET', `/a${service}&x=1`],
    ['GET', '/a/info/refs?service=git-upload-pack%00'],
    ['GET', '/a/info/refs?service=git-upload-archive'],
    ['GET', '/a/HEAD'],
    ['GET', '/a/objects/pack/pack-1.pack'],
    ['DELETE', `/a/info/lfs/objects/${'a'.repeat(64)}?size=1`],
    ['GET', `/a/info/lfs/objects/${'a'.repeat(63)}?size=1`],
    ['GET', `/a/info/lfs/objects/${'a'.repeat(64)}`],
    ['POST', '/a/info/lfs/locks/../x/unlock'],
  ])('%s %s is refused', (method, path) => {
    expect(() => addressOf(method, path, false)).toThrow(Refusal);
  });
});

describe('words for a command', () => {
  it.each([
    ['list acme/app', 'LIST', ['read'], 'acme/app'],
    ['fetch acme/app main', 'FETCH', ['read'], 'acme/app:refs/heads/main'],
    ['push acme/app update main secret', 'PUSH', ['write'], 'acme/app:refs/heads/main'],
    ['push acme/app.git force refs/heads/main', 'PUSH', ['write', 'destroy'], 'acme/app:refs/heads/main'],
    ['push acme/app delete refs/tags/v1', 'PUSH', ['destroy'], 'acme/app:refs/tags/v1'],
  ])('%s', (text, verb, actions, id) => {
    const classified = classifyText(text);
    expect(classified).toMatchObject({ verb, actions });
    expect(classified.resources.map((resource) => resource.id)).toEqual([id]);
  });

  it.each([
    '',
    'push',
    'push acme/app',
    'push acme/app constructor main',
    'push acme/app force a..b',
    'rm -rf /',
    'list ../x y',
  ])('%j is none', (text) => expect(() => classifyText(text)).toThrow(Refusal));
});

describe('settings', () => {
  it.each([
    'ftp://x',
    'https://user:password@x',
    'https://x?y',
    'https://x/#y',
    'https://x/a/../b',
    'https://x//a',
    'x',
    'https://x/%2e',
  ])('know no address %s', (text) => expect(typeof parseGitAddress(text)).toBe('string'));

  it('know where a server is', () => {
    expect(parseGitAddress('https://Code.example:8443/scm/')).toEqual({
      scheme: 'https',
      host: 'code.example',
      port: 8443,
      authority: 'code.example:8443',
      basePath: '/scm',
    });
  });

  it.each([
    [{ address: 'http://code.example' }, 'only on this machine'],
    [{ address: 'https://x', authentication: 'githubApp', credential: { env: 'X' } }, 'go together'],
    [{ address: 'https://x', authentication: 'bearer' }, 'needs a credential'],
    [{ address: 'https://x', maxPackBytes: '2TB' }, 'expected a size'],
    [{ address: 'https://x', lfsStorage: ['http://y'] }, 'expected an origin'],
    [{ address: 'https://x', unknown: 1 }, 'unknown'],
  ])('refuse %j', (given, why) => {
    expect(JSON.stringify(gitSettings.safeParse(given).error?.issues)).toContain(why);
  });

  it('take http:// on this machine', () => {
    expect(gitSettings.safeParse({ address: 'http://127.0.0.1:3000' }).success).toBe(true);
    expect(gitSettings.safeParse({ address: 'http://code.example', insecure: true }).success).toBe(true);
  });
});
