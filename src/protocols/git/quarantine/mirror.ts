import { createHash } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { ConfigError, Refusal } from '../../../model/errors.ts';
import type { ObjectFormat, Ref } from '../push.ts';
import { makeBareRepository } from './bare-repository.ts';
import { accepted, Git } from './git.ts';
import { GitFailure } from './git-failure.ts';
import { defaultGitLimits, findPrograms, type GitLimits, type GitPrograms } from './git-process.ts';
import { checkedIds } from './object-id.ts';

/** Brings a bare pack (no sideband) of what `wants` reach and `haves` do not. */
export type FetchPack = (
  wants: readonly string[],
  haves: readonly string[],
  signal?: AbortSignal,
) => Promise<AsyncIterable<Buffer>>;

export interface MirrorOptions {
  readonly programs?: GitPrograms;
  readonly limits?: GitLimits;
  /** The same for taking in what upstream sends, which may be a whole history over a slow line. */
  readonly importLimits?: GitLimits;
  /** Largest pack that upstream may send, bytes. */
  readonly packBytes?: number;
  /** With this many packs, an update ends by joining small ones. */
  readonly packs?: number;
}

const defaultPackBytes = 4 * 1024 ** 3;
const defaultImportLimits: GitLimits = { memoryBytes: 2 * 1024 ** 3, timeMs: 30 * 60_000, fileBytes: 16 * 1024 ** 3 };
/** As many tips as are offered to upstream as haves. */
const mostHaves = 512;
const defaultPacks = 40;

/**
 * What upstream has of one repository, as far as we needed it: a bare repository that only our own fetches and accepted pushes fill.
 * Its refs are `refs/known/<id>`, one for each id that upstream's refs had when it was last brought up to date, so no name of anybody
 * else's becomes a file. What a known id reaches is complete.
 */
export class Mirror {
  readonly git: Git;
  readonly folder: string;
  readonly #importing: Git;
  readonly #packBytes: number;
  readonly #packs: number;
  #known: ReadonlySet<string>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(git: Git, folder: string, known: ReadonlySet<string>, options: MirrorOptions) {
    this.git = git;
    this.folder = folder;
    this.#known = known;
    this.#importing = new Git(git.programs, git.path, git.format, options.importLimits ?? defaultImportLimits);
    this.#packBytes = options.packBytes ?? defaultPackBytes;
    this.#packs = options.packs ?? defaultPacks;
  }

  /** Ids whose whole history is here. */
  get known(): ReadonlySet<string> {
    return this.#known;
  }

  /**
   * Brings the mirror to what upstream's refs are now. One update runs at a time. Throws Refusal UPSTREAM_PROTOCOL for a pack that
   * is broken or incomplete, LIMIT_EXCEEDED for one beyond the limits; the mirror is then as it was.
   */
  update(refs: readonly Pick<Ref, 'id'>[], fetchPack: FetchPack, signal?: AbortSignal): Promise<void> {
    return this.exclusively(async () => {
      const ids = checkedIds(
        this.git.format,
        refs.map(({ id }) => id),
      );
      const wants = ids.filter((id) => !this.#known.has(id));
      if (wants.length > 0) {
        const absent = await this.#incomplete(wants, signal);
        if (absent.length > 0) {
          await this.#import(absent, fetchPack, signal).finally(() => removeUnfinished(this.git.path));
        }
        await this.#mustBeComplete(wants, signal);
      }
      await this.#keep(new Set(ids));
      await this.#tidy();
    });
  }

  /** Runs when whatever changes the mirror before it is done. */
  exclusively<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(change);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Those whose object is not here at all. An object that is here is complete: nothing comes in with a link to what is absent. */
  async #incomplete(ids: readonly string[], signal?: AbortSignal): Promise<string[]> {
    const reader = this.git.reader(signal);
    try {
      const found = await Promise.all(ids.map((id) => reader.info(id)));
      return ids.filter((_, i) => found[i] === undefined);
    } finally {
      reader.close();
    }
  }

  async #import(wants: readonly string[], fetchPack: FetchPack, signal?: AbortSignal): Promise<void> {
    const pack = await fetchPack(wants, [...this.#known].slice(0, mostHaves), signal);
    const question = {
      arguments: [
        'index-pack',
        '--stdin',
        '--fix-thin',
        // Links are checked as with --strict; old histories that today's fsck complains about stay usable.
        '--check-self-contained-and-connected',
        '--threads=1',
        `--max-input-size=${this.#packBytes}`,
      ],
      signal,
      answers: [1], // “complete, but not by itself”
    };
    const git = this.#importing.start(question);
    let printed = '';
    git.stdout.on('data', (chunk: Buffer) => {
      if (printed.length < 200) printed += chunk.toString('latin1');
    });
    let ended = false;
    const over = git.exit.then(() => {
      ended = true;
    });
    try {
      for await (const chunk of pack) {
        if (ended) break;
        if (!git.stdin.write(chunk)) {
          await Promise.race([new Promise((resolve) => git.stdin.once('drain', resolve)), over]);
        }
      }
      git.stdin.end();
      await Promise.race([finished(git.stdin, { cleanup: true }).catch(() => undefined), over]);
    } catch (error) {
      git.kill('aborted');
      await over;
      throw error;
    }
    try {
      accepted(question, await git.exit);
      if (!/^(pack|keep)\t/.test(printed)) throw new GitFailure('index-pack', await git.exit);
    } catch (error) {
      if (!(error instanceof GitFailure)) throw error;
      if (error.limited === 'aborted') throw signal?.reason ?? error;
      if (error.exhausted) {
        throw new Refusal('LIMIT_EXCEEDED', "the repository's history is larger than this gateway takes in");
      }
      throw new Refusal('UPSTREAM_PROTOCOL', 'upstream sent a pack that is broken or incomplete');
    }
  }

  async #mustBeComplete(ids: readonly string[], signal?: AbortSignal): Promise<void> {
    try {
      await this.#importing.text({
        arguments: ['rev-list', '--objects', '--quiet', '--stdin'],
        input: [...ids, ...[...this.#known].map((id) => `^${id}`)],
        signal,
      });
    } catch (error) {
      if (!(error instanceof GitFailure) || error.limited === 'aborted') throw error;
      throw !error.exhausted
        ? new Refusal('UPSTREAM_PROTOCOL', 'upstream sent a history with gaps')
        : new Refusal('LIMIT_EXCEEDED', "the repository's history is larger than this gateway takes in");
    }
  }

  // What writes refs is brief, and not ended when a caller goes: it would leave its locks behind.
  async #keep(ids: ReadonlySet<string>): Promise<void> {
    const lines: string[] = [];
    for (const id of ids) if (!this.#known.has(id)) lines.push(`update refs/known/${id} ${id}`);
    for (const id of this.#known) if (!ids.has(id)) lines.push(`delete refs/known/${id}`);
    if (lines.length > 0) {
      await this.git.text({ arguments: ['update-ref', '--no-deref', '--stdin'], input: lines });
      if (lines.length > 100) await this.git.text({ arguments: ['pack-refs', '--all'] });
    }
    this.#known = ids;
  }

  async #tidy(): Promise<void> {
    const files = await readdir(join(this.git.path, 'objects/pack'));
    if (files.filter((name) => name.endsWith('.pack')).length < this.#packs) return;
    try {
      await this.git.text({ arguments: ['repack', '--geometric=2', '-d', '-q'] });
    } catch (error) {
      // Many packs are slower, not wrong: the next update tries again.
      if (!(error instanceof GitFailure)) throw error;
      await removeUnfinished(this.git.path);
    }
  }
}

/** Removes what a git child left that was ended midway. Nothing else may be writing. */
async function removeUnfinished(path: string): Promise<void> {
  for (const name of await readdir(join(path, 'objects/pack'))) {
    if (/^\.?tmp[_-]/.test(name)) await rm(join(path, 'objects/pack', name), { force: true });
  }
}

/**
 * Opens or makes the mirror in a folder of its own. One Mirror a folder: a second one of the same would change it under the first.
 * What a crash left behind is cleared away.
 */
export async function openMirror(folder: string, format: ObjectFormat, options: MirrorOptions = {}): Promise<Mirror> {
  const programs = options.programs ?? findPrograms(process.env.PATH ?? '/usr/bin:/bin');
  // A repository that changed its format is another repository.
  const path = join(folder, `mirror-${format}.git`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await makeBareRepository(path, format);
  for (const name of await readdir(folder)) {
    if (name.startsWith('quarantine-')) await rm(join(folder, name), { recursive: true, force: true });
  }
  await removeUnfinished(path);
  for (const name of await readdir(path, { recursive: true })) {
    if (/^(?:refs\/.*|packed-refs)\.lock$/.test(name)) await rm(join(path, name), { force: true });
  }
  const git = new Git(programs, path, format, options.limits ?? defaultGitLimits);
  await mustBeRecent(git);
  const known = await git.text({ arguments: ['for-each-ref', '--format=%(objectname)', 'refs/known/'] }, 100_000_000);
  return new Mirror(git, folder, new Set(known.split('\n').filter((id) => id !== '')), options);
}

/** `cat-file --batch-command` came with git 2.36. */
async function mustBeRecent(git: Git): Promise<void> {
  const printed = await git.text({ arguments: ['version'] });
  const [, major, minor] = /^git version (\d+)\.(\d+)/.exec(printed) ?? [];
  if (Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 36)) return;
  throw new ConfigError('git 2.36 or newer is needed to inspect pushes');
}

/** A folder name for one repository of one target, whatever they are called. */
export function mirrorName(target: string, repository: string): string {
  return createHash('sha256').update(`${target}\0${repository}`).digest('hex').slice(0, 32);
}
