import type { Classified } from '../../model/command.ts';
import { Refusal } from '../../model/errors.ts';
import { listCommand, partOf, readOf } from './classify.ts';
import type { UpdateKind } from './push.ts';
import { isPushableRefName } from './ref-name.ts';
import { repositoryOf } from './repository.ts';

const kinds: Readonly<Record<string, readonly [UpdateKind, UpdateKind]>> = {
  create: ['create', 'tagCreate'],
  update: ['fastForward', 'tagMove'],
  force: ['force', 'tagMove'],
  delete: ['delete', 'tagDelete'],
};

const examples =
  'expected something like: list acme/app · fetch acme/app refs/heads/main · push acme/app force refs/heads/main secret';

/**
 * A command in words, for `policy explain`: `list REPOSITORY`, `fetch REPOSITORY REF…`, or
 * `push REPOSITORY create|update|force|delete REF FINDING…`. Throws Refusal UNPARSABLE.
 */
export function classifyText(text: string): Classified {
  const [verb = '', repository = '', ...rest] = text.trim().split(/\s+/);
  const id = idOf(repository);
  switch (verb.toLowerCase()) {
    case 'list':
      return listCommand(id, 'git-upload-pack').classified;
    case 'fetch':
      return readOf(id, rest.map(refOf));
    case 'push': {
      const [word = '', name = '', ...findings] = rest;
      const pair = Object.hasOwn(kinds, word) ? kinds[word] : undefined;
      if (pair === undefined) throw new Refusal('UNPARSABLE', examples);
      const ref = refOf(name);
      const kind = pair[ref.startsWith('refs/tags/') ? 1 : 0];
      const update = { ref, old: undefined, new: undefined };
      const push = { repository: id, objectFormat: 'sha1', updates: [update], options: [], atomic: false } as const;
      return partOf(push, { update, kind, findings });
    }
    default:
      throw new Refusal('UNPARSABLE', examples);
  }
}

function idOf(repository: string): string {
  try {
    return repositoryOf(`/${repository}`, true).id;
  } catch {
    throw new Refusal('UNPARSABLE', examples);
  }
}

function refOf(name: string): string {
  const full = name.startsWith('refs/') ? name : `refs/heads/${name}`;
  if (!isPushableRefName(full)) throw new Refusal('UNPARSABLE', `${name} is no name of a ref`);
  return full;
}
