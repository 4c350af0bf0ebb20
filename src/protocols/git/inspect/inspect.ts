import { isAbsolute } from 'node:path';
import { Refusal } from '../../../model/errors.ts';
import type { Principal } from '../../../model/principal.ts';
import type { Push, Ref, UpdateKind } from '../push.ts';
import { Git } from '../quarantine/git.ts';
import { GitFailure } from '../quarantine/git-failure.ts';
import type { Quarantine } from '../quarantine/quarantine.ts';
import { turns } from '../quarantine/turns.ts';
import { ChangeFindings } from './change-findings.ts';
import { updateChange } from './change-text.ts';
import { type FileChange, fileChanges } from './changes.ts';
import { commitFindings, type JudgedCommit, summary } from './commit-findings.ts';
import { readCommits } from './commits.ts';
import { searchContents } from './contents.ts';
import { type Examination, examination } from './examination.ts';
import { FindingList } from './finding-list.ts';
import { type Change, type CommitSummary, type PushFindings, shownCommits, type UpdateFindings } from './findings.ts';
import { hiddenObjects, reachedObjects } from './hidden-objects.ts';
import { readHistory, type UpdateHistory } from './history.ts';
import { namespaceOf, refFindings, refNames } from './ref-rules.ts';
import type { InspectSettings } from './settings.ts';
import { verifiedCommits } from './signatures.ts';
import { tagFindings } from './tag-findings.ts';
import { TooLarge } from './too-large.ts';
import { Twins } from './twins.ts';

export interface InspectionOptions {
  readonly push: Push;
  /** Upstream's refs, all of them, hidden ones too, as they are now; the mirror is up to date with them. */
  readonly refs: readonly Ref[];
  /** Has received the push's pack. */
  readonly quarantine: Quarantine;
  readonly settings: InspectSettings;
  readonly principal: Principal;
  readonly signal?: AbortSignal | undefined;
}

/** What is known so far; every step adds to it. */
interface Progress {
  readonly whole: FindingList;
  readonly updates: readonly UpdateProgress[];
  hidden: readonly string[];
}

interface UpdateProgress {
  readonly list: FindingList;
  readonly commits: CommitSummary[];
  history: UpdateHistory | undefined;
  change: Change | undefined;
}

const mostHiddenShown = 100;
/** Over all refs of a push. */
const mostTold = 2000;
const mostSummaries = 2000;

/**
 * Looks at everything that a push brings, in the quarantine. Findings are for policy to judge, but for those that the settings let
 * refuse by themselves. Whatever is not looked at is a finding, too. Throws what `signal` was aborted with.
 */
export async function inspectPush(options: InspectionOptions): Promise<PushFindings> {
  const { push, quarantine, settings, signal } = options;
  const timeout = AbortSignal.timeout(settings.limits.time);
  const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
  const git = new Git(quarantine.git.programs, quarantine.git.path, quarantine.git.format, {
    ...quarantine.git.limits,
    timeMs: settings.limits.time,
  });
  const reader = git.reader(either);
  const told = { left: mostTold };
  const progress: Progress = {
    whole: new FindingList(told),
    updates: push.updates.map(() => ({
      list: new FindingList(told),
      commits: [],
      history: undefined,
      change: undefined,
    })),
    hidden: [],
  };
  try {
    await examine(options, examination(git, reader, settings, options.principal, either), progress);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    const text = timeout.aborted ? `more than ${settings.limits.time / 1000} seconds of work` : bound(error);
    if (text === undefined) throw error;
    progress.whole.add({ name: 'too-large-to-inspect', text });
  } finally {
    reader.close();
  }
  return result(options, progress);
}

function bound(error: unknown): string | undefined {
  if (error instanceof TooLarge) return error.message;
  return error instanceof GitFailure && error.exhausted ? 'more time or memory than an inspection gets' : undefined;
}

async function examine(
  { push, refs, quarantine, settings }: InspectionOptions,
  exam: Examination,
  progress: Progress,
): Promise<void> {
  const { git, reader, signal } = exam;
  const { limits, signatures } = settings;
  if (push.updates.length > limits.updates) throw new TooLarge(`more than ${limits.updates} refs`);
  const names = refNames(refs, push.updates);
  for (const [i, update] of push.updates.entries()) {
    const { list } = progress.updates[i]!;
    list.add(...refFindings(update, names));
    list.add(...exam.secretsOf(update.ref, { text: 'in the name of the ref' }));
  }
  for (const option of push.options) progress.whole.add(...exam.secretsOf(option, { text: 'in a push option' }));

  const history = await readHistory(git, reader, push, refs, limits.commits, signal);
  for (const [i, update] of history.updates.entries()) progress.updates[i]!.history = update;
  const tips = push.updates.flatMap(({ new: id }, i) => (id === undefined || history.updates[i]!.missing ? [] : [id]));
  const upstream = [...new Set(refs.map(({ id }) => id))];
  const reached = await reachedObjects(git, [...new Set(tips)], upstream, 2 * limits.objects, signal);
  progress.hidden = await hiddenObjects(quarantine, reached, signal);
  if (progress.hidden.length > 0) {
    progress.whole.add({ name: 'hidden', text: `${progress.hidden.length} objects that no update reaches` });
  }

  const changes = await fileChanges(git, history.commits, limits.changes, signal);
  const commits = await readCommits(reader, history.commits, exam.search);
  const contents = await searchContents(
    reader,
    [...reached].filter((id) => !history.arriving.has(id)),
    exam.search,
    { bytes: limits.content, entropy: settings.secrets.entropy, largeFile: settings.largeFile },
  );
  const signed = history.commits.filter((id) => commits.get(id)!.commit.ssh);
  const verified = await verifiedBy(signatures.allowedSigners, signed, exam);

  const byCommit = grouped(changes);
  const judge = new ChangeFindings(exam, contents);
  const turn = turns();
  let budget = limits.diff;
  let summaries = mostSummaries;
  for (const [i, update] of push.updates.entries()) {
    const progressing = progress.updates[i]!;
    const { list } = progressing;
    const mine = history.updates[i]!;
    list.add(...mine.findings);
    for (const id of mine.commits) {
      const known = !history.arriving.has(id);
      const judged: JudgedCommit = { id, ...commits.get(id)!, known, verified: verified.get(id) };
      list.add(...commitFindings(judged, exam));
      if (progressing.commits.length < shownCommits && summaries > 0) {
        progressing.commits.push(summary(judged, exam));
        summaries -= 1;
      }
      const twins = new Twins();
      for (const change of byCommit.get(id) ?? []) {
        list.add(...(await judge.of(change, known)));
        for (const finding of twins.of(change)) list.add({ ...finding, path: exam.masked(change.path) });
        await turn();
      }
      await turn();
      signal.throwIfAborted();
    }
    for (const tag of mine.tags) list.add(...(await tagFindings(tag, exam)));
    progressing.change = await updateChange(update, mine, commits, budget, exam);
    budget = Math.max(0, budget - (progressing.change?.text.length ?? 0));
  }
  progress.whole.add(...judge.elsewhere(changes));
}

function verifiedBy(
  allowedSigners: string | undefined,
  commits: readonly string[],
  { git, signal }: Examination,
): ReturnType<typeof verifiedCommits> {
  if (allowedSigners === undefined) return Promise.resolve(new Map());
  if (!isAbsolute(allowedSigners)) throw new TypeError('allowedSigners is not an absolute path');
  return verifiedCommits(git, commits, allowedSigners, signal);
}

function grouped(changes: readonly FileChange[]): ReadonlyMap<string, readonly FileChange[]> {
  const groups = new Map<string, FileChange[]>();
  for (const change of changes) {
    const group = groups.get(change.commit);
    if (group === undefined) groups.set(change.commit, [change]);
    else group.push(change);
  }
  return groups;
}

function result({ push, quarantine, settings }: InspectionOptions, { whole, updates, hidden }: Progress): PushFindings {
  const refuse = new Set<string>(settings.refuse);
  const refusal = whole.refusal(refuse, 'the push');
  return {
    updates: push.updates.map((update, i) => updateFindings(update, updates[i]!, refuse)),
    findings: whole.names(),
    details: whole.details(),
    hidden: hidden.slice(0, mostHiddenShown),
    hiddenCount: hidden.length,
    objects: quarantine.received.ids.length,
    bytes: quarantine.received.bytes,
    ...(refusal === undefined ? {} : { refusal }),
  };
}

function updateFindings(
  update: Push['updates'][number],
  { list, commits, history, change }: UpdateProgress,
  refuse: ReadonlySet<string>,
): UpdateFindings {
  const refusal = history?.missing
    ? new Refusal('UNPARSABLE', `the push does not bring what ${update.ref} would need`)
    : list.refusal(refuse, update.ref);
  return {
    ref: update.ref,
    kind: history?.kind ?? worstKind(update),
    findings: list.names(),
    details: list.details(),
    commits,
    commitCount: history?.commits.length ?? 0,
    lost: history?.lost ?? 0,
    change,
    ...(refusal === undefined ? {} : { refusal }),
  };
}

/** What an update counts as whose history was not read. */
function worstKind(update: Push['updates'][number]): UpdateKind {
  const tag = namespaceOf(update.ref) === 'tag';
  if (update.new === undefined) return tag ? 'tagDelete' : 'delete';
  if (update.old === undefined) return tag ? 'tagCreate' : 'create';
  return tag ? 'tagMove' : 'force';
}
