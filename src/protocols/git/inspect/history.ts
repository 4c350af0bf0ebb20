import type { Push, Ref, RefUpdate, UpdateKind } from '../push.ts';
import type { Git } from '../quarantine/git.ts';
import type { ObjectReader } from '../quarantine/object-reader.ts';
import { turns } from '../quarantine/turns.ts';
import { parseTag } from './commit-object.ts';
import type { Finding } from './findings.ts';
import { namespaceOf } from './ref-rules.ts';
import { TooLarge } from './too-large.ts';

/** What an update does to the history that its ref reaches. */
export interface UpdateHistory {
  readonly kind: UpdateKind;
  /** New to the ref, oldest first. */
  readonly commits: readonly string[];
  readonly lost: number;
  /** Annotated tags between the ref and what it finally points to. */
  readonly tags: readonly string[];
  readonly findings: readonly Finding[];
  /** The new id, or something that it needs, is not here. */
  readonly missing: boolean;
}

export interface History {
  readonly updates: readonly UpdateHistory[];
  /** Every commit that some update brings, oldest first, each once. */
  readonly commits: readonly string[];
  /** Of those, the ones that no ref of upstream's reaches. */
  readonly arriving: ReadonlySet<string>;
}

const mostLost = 10_000;
const mostNestedTags = 10;

/**
 * Finds what each update brings. An update of an existing ref brings whatever its old id does not reach, even where another ref of
 * upstream's does: a branch that was let in is not thereby let into main. A new ref brings what none of upstream's refs reach, so a
 * base that upstream does not have arrives with it, commit by commit.
 */
export async function readHistory(
  git: Git,
  reader: ObjectReader,
  push: Push,
  refs: readonly Ref[],
  mostCommits: number,
  signal?: AbortSignal,
): Promise<History> {
  const upstream = [...new Set(refs.map(({ id }) => id))];
  const tips = await Promise.all(push.updates.map(({ new: id }) => (id === undefined ? undefined : peel(reader, id))));
  const ids = push.updates.flatMap(({ new: id }, i) => (id === undefined || tips[i]?.type === undefined ? [] : [id]));
  const parents = await graph(git, [...new Set(ids)], upstream, mostCommits, signal);
  const updates: UpdateHistory[] = [];
  const turn = turns();
  for (const [i, update] of push.updates.entries()) {
    updates.push(await updateHistory(git, update, tips[i], parents, { refs, mostCommits, signal }));
    await turn();
    signal?.throwIfAborted();
  }
  return { updates, commits: merged(updates, parents), arriving: new Set(parents.keys()) };
}

interface Tip {
  /** Undefined where it is missing. */
  readonly type: string | undefined;
  readonly id: string;
  readonly tags: readonly string[];
}

async function peel(reader: ObjectReader, id: string): Promise<Tip> {
  const tags: string[] = [];
  let at = id;
  for (;;) {
    const info = await reader.info(at);
    if (info?.type !== 'tag') return { type: info?.type, id: at, tags };
    tags.push(at);
    const tag = parseTag((await reader.head(at, 65_536)) ?? Buffer.alloc(0));
    if (tag === undefined || tags.length > mostNestedTags)
      throw new TooLarge('a tag within more tags than are followed');
    at = tag.target;
  }
}

/** Commits that `tips` reach and `known` do not, with their parents, oldest first. */
async function graph(
  git: Git,
  tips: readonly string[],
  known: readonly string[],
  limit: number,
  signal?: AbortSignal,
): Promise<Map<string, readonly string[]>> {
  const parents = new Map<string, readonly string[]>();
  if (tips.length === 0) return parents;
  const question = {
    arguments: ['rev-list', '--topo-order', '--reverse', '--parents', `--max-count=${limit + 1}`, '--stdin'],
    input: [...tips, ...known.map((id) => `^${id}`)],
    signal,
  };
  await git.pieces(question, '\n', (line) => {
    const [id, ...rest] = line.split(' ');
    if (parents.size >= limit) throw new TooLarge(`more than ${limit} commits`);
    parents.set(id!, rest);
    return undefined;
  });
  return parents;
}

interface Surroundings {
  readonly refs: readonly Ref[];
  readonly mostCommits: number;
  readonly signal: AbortSignal | undefined;
}

async function updateHistory(
  git: Git,
  update: RefUpdate,
  tip: Tip | undefined,
  parents: ReadonlyMap<string, readonly string[]>,
  { refs, mostCommits, signal }: Surroundings,
): Promise<UpdateHistory> {
  const space = namespaceOf(update.ref);
  const nothing = { commits: [], lost: 0, tags: [], findings: [], missing: false };
  if (update.new === undefined || tip === undefined) {
    const others = refs.flatMap(({ name, id }) => (name === update.ref ? [] : [id]));
    const lost = update.old === undefined ? 0 : await count(git, [update.old], others, signal);
    return { ...nothing, kind: space === 'tag' ? 'tagDelete' : 'delete', lost };
  }
  const { old } = update;
  const kindOf = (created: boolean, lost: number): UpdateKind =>
    space === 'tag' ? (created ? 'tagCreate' : 'tagMove') : created ? 'create' : lost === 0 ? 'fastForward' : 'force';
  // An old id counts as lost history until it is shown not to be.
  if (tip.type === undefined) return { ...nothing, kind: kindOf(old === undefined, 1), missing: true };
  const findings: Finding[] = [];
  if (tip.type !== 'commit') {
    const name = space === 'branch' ? 'ref.type' : 'ref.namespace';
    findings.push({ name, text: `it points to a ${tip.type}` });
  }
  if (space === 'branch' && tip.tags.length > 0)
    findings.push({ name: 'ref.type', text: 'a branch cannot point to a tag' });
  if (old === undefined) {
    return { ...nothing, kind: kindOf(true, 0), commits: reached(tip.id, parents), tags: tip.tags, findings };
  }
  const alone = refs.every(({ id }) => id === old);
  const commits = alone
    ? reached(tip.id, parents)
    : [...(await graph(git, [update.new], [old], mostCommits, signal)).keys()];
  // Counting goes by dates, which commits make up; whether one reaches the other does not (git-merge-base(1)).
  const forward = await isAncestor(git, old, update.new, signal);
  const lost = forward ? 0 : Math.max(1, await count(git, [old], [update.new], signal));
  return { ...nothing, kind: kindOf(false, lost), commits, lost, tags: tip.tags, findings };
}

async function isAncestor(git: Git, old: string, id: string, signal?: AbortSignal): Promise<boolean> {
  const question = { arguments: ['merge-base', '--is-ancestor', old, id], signal, answers: [1, 128] };
  return (await git.stream(question, () => true)).code === 0;
}

async function count(
  git: Git,
  tips: readonly string[],
  known: readonly string[],
  signal?: AbortSignal,
): Promise<number> {
  const printed = await git.text({
    arguments: ['rev-list', '--count', `--max-count=${mostLost}`, '--stdin'],
    input: [...tips, ...new Set(known.map((id) => `^${id}`))],
    signal,
  });
  return Number(printed);
}

/** Those of the graph's commits that `tip` reaches, in the graph's order. */
function reached(tip: string, parents: ReadonlyMap<string, readonly string[]>): string[] {
  const seen = new Set<string>();
  const open = [tip];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (seen.has(id) || !parents.has(id)) continue;
    seen.add(id);
    open.push(...parents.get(id)!);
  }
  return seen.size === parents.size ? [...parents.keys()] : [...parents.keys()].filter((id) => seen.has(id));
}

function merged(updates: readonly UpdateHistory[], parents: ReadonlyMap<string, readonly string[]>): string[] {
  const known = new Set<string>();
  for (const { commits } of updates) for (const id of commits) if (!parents.has(id)) known.add(id);
  return [...known, ...parents.keys()];
}
