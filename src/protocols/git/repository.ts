import { Refusal } from '../../model/errors.ts';

/** What a path asks for. */
export type Service = 'git-upload-pack' | 'git-receive-pack';
export type Asked =
  | { readonly kind: 'advertisement'; readonly service: Service }
  | { readonly kind: 'upload-pack' }
  | { readonly kind: 'receive-pack' }
  | { readonly kind: 'lfs-batch' }
  | { readonly kind: 'lfs-object'; readonly oid: string; readonly size: number }
  | { readonly kind: 'lfs-verify'; readonly oid: string; readonly size: number }
  | { readonly kind: 'lfs-locks'; readonly rest: string; readonly query: string };

export interface Address {
  readonly repository: Repository;
  readonly asked: Asked;
}

export interface Repository {
  /** As policy knows it: `group/repo`, without `.git`. */
  readonly id: string;
  /** As the target is asked: `/group/repo.git`. What policy sees is exactly this, but for the ending. */
  readonly path: string;
}

const suffixes: readonly (readonly [RegExp, string, (match: RegExpExecArray) => Asked])[] = [
  [
    /^\/info\/refs\?service=(git-upload-pack|git-receive-pack)$/,
    'GET',
    (match) => ({ kind: 'advertisement', service: match[1] as Service }),
  ],
  [/^\/git-upload-pack$/, 'POST', () => ({ kind: 'upload-pack' })],
  [/^\/git-receive-pack$/, 'POST', () => ({ kind: 'receive-pack' })],
  [/^\/info\/lfs\/objects\/batch$/, 'POST', () => ({ kind: 'lfs-batch' })],
  [
    /^\/info\/lfs\/objects\/([0-9a-f]{64})\?size=(0|[1-9]\d{0,14})$/,
    'GET PUT',
    (match) => ({ kind: 'lfs-object', oid: match[1]!, size: Number(match[2]) }),
  ],
  [
    /^\/info\/lfs\/objects\/([0-9a-f]{64})\/verify\?size=(0|[1-9]\d{0,14})$/,
    'POST',
    (match) => ({ kind: 'lfs-verify', oid: match[1]!, size: Number(match[2]) }),
  ],
  [
    /^\/info\/lfs\/locks(|\/verify|\/[A-Za-z0-9._-]{1,200}\/unlock)(\?[\x21-\x7e]{0,2000})?$/,
    'GET POST',
    (match) => ({ kind: 'lfs-locks', rest: match[1]!, query: match[2] ?? '' }),
  ],
];
const anySuffix =
  /\/(?:info\/refs(?:\?.*)?|git-upload-pack|git-receive-pack|info\/lfs\/.*|HEAD|objects\/.*|info\/attributes|info\/exclude)$/;

/**
 * One part of a repository's path. Nothing encoded, nothing that climbs, nothing that reads as an option, no spelling that a
 * server could take for another name (a trailing dot, `.git` in the middle).
 */
const part = /^(?![-.]*$)(?!-)[A-Za-z0-9_.~+-]{1,100}(?<![.])$/;
const maxParts = 20;

/**
 * Reads path and query of a request within a target. Throws Refusal: UNSUPPORTED for what this room does not do, UNPARSABLE
 * for a path that is no repository's. With `caseSensitive` false the names are folded to lower case, here and for the target, so
 * that one repository has one name for policy.
 */
export function addressOf(method: string, path: string, caseSensitive: boolean): Address {
  const [suffix] = anySuffix.exec(path) ?? [];
  if (suffix === undefined) throw new Refusal('UNPARSABLE', 'this is no address of a git repository', advice);
  const repository = repositoryOf(path.slice(0, path.length - suffix.length), caseSensitive);
  for (const [pattern, methods, asked] of suffixes) {
    const match = pattern.exec(suffix);
    if (match === null) continue;
    if (methods.split(' ').includes(method)) return { repository, asked: asked(match) };
    throw new Refusal('UNPARSABLE', `the method ${method.slice(0, 20)} does not fit this address`);
  }
  if (/^\/info\/lfs\//.test(suffix)) throw new Refusal('UNSUPPORTED', 'this part of the LFS API is not available here');
  if (/[?&]service=/.test(suffix)) throw new Refusal('UNSUPPORTED', 'this git service is not available here');
  throw new Refusal('UNSUPPORTED', 'the dumb HTTP protocol is not available here', {
    advice: 'use a git of version 1.6.6 or newer, without GIT_SMART_HTTP=0',
  });
}

const advice = { advice: 'addresses look like https://GATEWAY/git/TARGET/group/repo.git' };

/** `/group/repo.git` or without the ending. Throws Refusal UNPARSABLE. */
export function repositoryOf(path: string, caseSensitive: boolean): Repository {
  const folded = caseSensitive ? path : path.toLowerCase();
  const parts = folded.split('/').slice(1);
  const last = parts.at(-1) ?? '';
  const name = last.endsWith('.git') ? last.slice(0, -4) : last;
  const names = [...parts.slice(0, -1), name];
  const good = folded.startsWith('/') && names.length <= maxParts && names.every((each) => isName(each));
  if (!good) throw new Refusal('UNPARSABLE', 'this is no name of a repository', advice);
  return { id: names.join('/'), path: `/${[...parts.slice(0, -1), last].join('/')}` };
}

function isName(name: string): boolean {
  return (
    part.test(name) && !/^~.*~|(?<!^)~/.test(name) && !/\.(?:git|lock)$/i.test(name) && name.toLowerCase() !== '.git'
  );
}
