import { createHash } from 'node:crypto';
import type { RefUpdate } from '../push.ts';
import { GitFailure } from '../quarantine/git-failure.ts';
import { parseTag } from './commit-object.ts';
import type { ReadCommit } from './commits.ts';
import type { Examination } from './examination.ts';
import { longestSecret } from './find-secrets.ts';
import type { Change } from './findings.ts';
import type { UpdateHistory } from './history.ts';
import { maskDiff } from './mask-secrets.ts';
import { visible } from './visible.ts';

/** A diff is read and hashed up to here; what is longer is nothing that a person reads. */
const mostDiff = 64 * 1024 * 1024;

const emptyTrees = {
  sha1: '4b825dc642cb6eb9a060e54bf8d69288fbee4904',
  sha256: '6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321',
} as const;

/** What the update changes in total; undefined where there is nothing to compare. */
export async function updateChange(
  update: RefUpdate,
  history: UpdateHistory,
  commits: ReadonlyMap<string, ReadCommit>,
  budget: number,
  exam: Examination,
): Promise<Change | undefined> {
  if (update.new === undefined || history.missing) return undefined;
  const tip = await commitOf(update.new, exam);
  if (tip === undefined) return undefined;
  if (update.old !== undefined) return await changeText(await commitOf(update.old, exam), tip, budget, exam);
  if (history.commits.length === 0) return undefined;
  // Where a new ref leaves what upstream has, along first parents.
  const arriving = new Set(history.commits);
  let base: string | undefined = tip;
  while (base !== undefined && arriving.has(base)) base = commits.get(base)!.commit.parents[0];
  return await changeText(base, tip, budget, exam);
}

async function commitOf(id: string, { reader }: Examination): Promise<string | undefined> {
  let at = id;
  for (let depth = 0; depth <= 10; depth++) {
    const info = await reader.info(at);
    if (info?.type !== 'tag') return info?.type === 'commit' ? at : undefined;
    at = parseTag((await reader.head(at, 65_536)) ?? Buffer.alloc(0))?.target ?? at;
  }
  return undefined;
}

/**
 * Diffstat and diff from `base` to `tip` (commits; the empty tree where base is undefined), of which at most `budget` bytes are shown.
 * Renames are found only where the content is the same, as anything else costs more than linear time.
 */
async function changeText(
  base: string | undefined,
  tip: string,
  budget: number,
  { git, search, signal }: Examination,
): Promise<Change> {
  const hash = createHash('sha256');
  const kept: Buffer[] = [];
  let bytes = 0;
  let complete = true;
  const question = {
    arguments: [
      'diff-tree',
      '-r',
      '-p',
      '--stat=100,70,200',
      '--summary',
      '--find-renames=100%',
      '--no-ext-diff',
      '--no-textconv',
      '--no-color',
      '--unified=3',
      '--src-prefix=a/',
      '--dst-prefix=b/',
      '--submodule=short',
      '--ignore-submodules=none',
      '--end-of-options',
      base ?? emptyTrees[git.format],
      tip,
    ],
    signal,
  };
  try {
    await git.stream(question, (chunk) => {
      hash.update(chunk);
      if (bytes < budget + longestSecret) kept.push(chunk);
      bytes += chunk.length;
      complete = bytes <= mostDiff;
      return complete;
    });
  } catch (error) {
    // Out of time or memory: what there is, is shown as incomplete. Whether the push may go on does not hang on it.
    if (!(error instanceof GitFailure) || !error.exhausted) throw error;
    complete = false;
  }
  const masked = maskDiff(
    search,
    Buffer.concat(kept)
      .subarray(0, budget + longestSecret)
      .toString('latin1'),
  );
  const cut = bytes > budget ? masked.slice(0, Math.max(0, masked.lastIndexOf('\n', budget) + 1)) : masked;
  const text = visible(Buffer.from(cut, 'latin1').toString('utf8'));
  const shown = cut.length;
  return {
    text:
      bytes > shown || !complete ? `${text}… ${complete ? `${bytes - shown} more bytes` : 'more'} not shown\n` : text,
    bytes,
    sha256: hash.digest('hex'),
    complete,
  };
}
