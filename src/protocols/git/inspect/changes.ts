import type { Git } from '../quarantine/git.ts';
import { TooLarge } from './too-large.ts';

/** A file that a commit changes, compared with its parent; for a merge, with all of them: only what differs from each is the merge's own. */
export interface FileChange {
  readonly commit: string;
  readonly path: string;
  /** Octal, as in a tree: 100644, 100755, 120000, 160000; 000000 where the file is gone. */
  readonly mode: string;
  readonly id: string;
  readonly oldModes: readonly string[];
  /** Zeros where the file is new. */
  readonly oldIds: readonly string[];
}

/**
 * What each of the commits changes, in their order. Trees are compared, contents are not looked at, so neither attributes nor a
 * costly diff come into it. Throws TooLarge beyond `limit`.
 */
export async function fileChanges(
  git: Git,
  commits: readonly string[],
  limit: number,
  signal?: AbortSignal,
): Promise<readonly FileChange[]> {
  const changes: FileChange[] = [];
  if (commits.length === 0) return changes;
  let commit = '';
  let meta = '';
  const question = {
    arguments: [
      'diff-tree',
      '--stdin',
      '-r',
      '-z',
      '--raw',
      '--root',
      '-c',
      '--no-renames',
      '--no-abbrev',
      '--ignore-submodules=none',
    ],
    input: commits,
    signal,
  };
  // gitdiff raw format: `:modes ids status` and, for merges, as many colons as parents; then the path.
  await git.pieces(question, '\0', (piece) => {
    if (meta !== '') {
      changes.push({ commit, path: utf8(piece), ...parse(meta) });
      meta = '';
      if (changes.length > limit) throw new TooLarge(`more than ${limit} changed files`);
    } else if (piece.startsWith(':')) meta = piece;
    else commit = piece.trim();
    return undefined;
  });
  return changes;
}

function parse(meta: string): Pick<FileChange, 'mode' | 'id' | 'oldModes' | 'oldIds'> {
  const parents = /^:+/.exec(meta)![0].length;
  const words = meta.slice(parents).split(' ');
  return {
    oldModes: words.slice(0, parents),
    mode: words[parents]!,
    oldIds: words.slice(parents + 1, 2 * parents + 1),
    id: words[2 * parents + 1]!,
  };
}

/** Text of git's that came as latin1. What is not UTF-8 shows as U+FFFD. */
export function utf8(latin1: string): string {
  return /^[\0-\x7f]*$/.test(latin1) ? latin1 : Buffer.from(latin1, 'latin1').toString('utf8');
}
