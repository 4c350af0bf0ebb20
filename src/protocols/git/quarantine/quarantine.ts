import { randomUUID } from 'node:crypto';
import { type FileHandle, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Refusal } from '../../../model/errors.ts';
import { makeBareRepository } from './bare-repository.ts';
import { accepted, Git } from './git.ts';
import { GitFailure } from './git-failure.ts';
import type { GitLimits } from './git-process.ts';
import type { Mirror } from './mirror.ts';
import { checkedIds, idLength } from './object-id.ts';
import { packEntries } from './pack-index.ts';
import { turns } from './turns.ts';

export interface QuarantineOptions {
  /** Most objects that a pack may hold. */
  readonly objects?: number;
  /** Largest pack, bytes. */
  readonly packBytes?: number;
  readonly limits?: GitLimits;
}

/** What came in. */
export interface Received {
  /** Every object of the pack, each once, hidden ones too. Bases that were added to complete a thin pack are not among them. */
  readonly ids: readonly string[];
  readonly bytes: number;
}

export const defaultPushedObjects = 250_000;
const defaultPackBytes = 2 * 1024 ** 3;

/**
 * Where a push is looked at before anything of it goes anywhere: a bare object store of its own that reads the mirror's objects and
 * writes none of them. Nothing is checked out, no ref is set, nothing that came in is run.
 */
export class Quarantine {
  readonly git: Git;
  readonly mirror: Mirror;
  readonly #objects: number;
  readonly #packBytes: number;
  #received: Received = { ids: [], bytes: 0 };
  #destroyed = false;

  constructor(git: Git, mirror: Mirror, objects: number, packBytes: number) {
    this.git = git;
    this.mirror = mirror;
    this.#objects = objects;
    this.#packBytes = packBytes;
  }

  get received(): Received {
    return this.#received;
  }

  /**
   * Takes the client's pack in, as it was spooled: every object whole, well-formed and linked only to what is here or in the mirror,
   * nothing behind the end. Throws Refusal UNPARSABLE for a pack that is not so, LIMIT_EXCEEDED for one beyond the limits.
   */
  async receive(file: string | undefined, signal?: AbortSignal): Promise<Received> {
    if (file === undefined) return this.#received;
    const pack = await open(file, 'r');
    try {
      const { size } = await pack.stat();
      await this.#checkHeader(pack, size);
      await this.#index(pack, signal);
      // Bases added to a thin pack stand where its checksum stood, and behind.
      const end = size - idLength(this.git.format) / 2;
      const names = await readdir(join(this.git.path, 'objects/pack'));
      const index = names.filter((name) => name.endsWith('.idx'));
      if (index.length !== 1) throw new Error('the quarantine does not hold exactly one pack');
      const bytes = await readFile(join(this.git.path, 'objects/pack', index[0]!));
      const ids: string[] = [];
      const turn = turns();
      for (const { id, offset } of packEntries(bytes, this.git.format)) {
        if (offset < end) ids.push(id);
        if (ids.length % 1000 === 0) await turn();
      }
      this.#received = { ids, bytes: size };
      return this.#received;
    } finally {
      await pack.close();
    }
  }

  /**
   * Writes a pack of what `tips` reach and `known` (what upstream's refs are) does not, to go upstream in place of the client's:
   * objects of refused refs and hidden ones are not in it. `file` must not exist.
   */
  async pack(
    tips: readonly string[],
    known: readonly string[],
    file: string,
    signal?: AbortSignal,
  ): Promise<{ bytes: number }> {
    const wanted = checkedIds(this.git.format, tips);
    const excluded = checkedIds(this.git.format, known);
    const output = await open(file, 'wx', 0o600);
    try {
      const question = {
        arguments: ['pack-objects', '--revs', '--stdout', '--threads=1', '-q'],
        signal,
      };
      const git = this.git.start(question, { output: output.fd });
      git.stdin.end([...wanted, '--not', ...excluded].map((line) => `${line}\n`).join(''));
      accepted(question, await git.exit);
      return { bytes: (await output.stat()).size };
    } catch (error) {
      await rm(file, { force: true });
      throw error;
    } finally {
      await output.close();
    }
  }

  /** Moves what came in into the mirror, once upstream has accepted every ref of the push. */
  async promote(): Promise<void> {
    await this.mirror.exclusively(async () => {
      const from = join(this.git.path, 'objects/pack');
      const to = join(this.mirror.git.path, 'objects/pack');
      const names = await readdir(from);
      // The index last: a pack without one is not looked at.
      for (const end of ['.pack', '.idx']) {
        for (const name of names.filter((candidate) => candidate.endsWith(end)))
          await rename(join(from, name), join(to, name));
      }
    });
  }

  /** Removes everything. Further calls do nothing. */
  async destroy(): Promise<void> {
    if (this.#destroyed) return;
    this.#destroyed = true;
    await rm(this.git.path, { recursive: true, force: true, maxRetries: 3 });
  }

  async #checkHeader(pack: FileHandle, size: number): Promise<void> {
    const { buffer, bytesRead } = await pack.read(Buffer.alloc(12), 0, 12, 0);
    // gitformat-pack(5): "PACK", version 2 or 3, the number of objects.
    if (bytesRead < 12 || buffer.toString('latin1', 0, 4) !== 'PACK' || ![2, 3].includes(buffer.readUInt32BE(4))) {
      throw new Refusal('UNPARSABLE', 'the push does not bring a pack');
    }
    if (size > this.#packBytes) throw tooLarge(`more than ${this.#packBytes} bytes`);
    if (buffer.readUInt32BE(8) > this.#objects) throw tooLarge(`more than ${this.#objects} objects`);
  }

  async #index(pack: FileHandle, signal?: AbortSignal): Promise<void> {
    const question = {
      arguments: [
        'index-pack',
        '--stdin',
        '--strict',
        '--fix-thin',
        '--threads=1',
        `--max-input-size=${this.#packBytes}`,
      ],
      signal,
    };
    // The file itself is standard input, so that git sees what stands behind the pack's end. It reads from where the file stands.
    const git = this.git.start(question, { input: pack.fd });
    git.stdout.resume();
    const exit = await git.exit;
    try {
      accepted(question, exit);
    } catch (error) {
      if (!(error instanceof GitFailure)) throw error;
      if (error.limited === 'aborted') throw signal?.reason ?? error;
      if (error.exhausted) throw tooLarge('more time or memory than an inspection gets');
      throw new Refusal('UNPARSABLE', `the pack is not sound: ${plain(error.complaint)}`);
    }
  }
}

/** A new, empty quarantine beside its mirror. The caller destroys it, whatever happens. */
export async function openQuarantine(mirror: Mirror, options: QuarantineOptions = {}): Promise<Quarantine> {
  const path = join(mirror.folder, `quarantine-${randomUUID()}.git`);
  const { format, programs } = mirror.git;
  try {
    await makeBareRepository(path, format, mirror.git.path);
  } catch (error) {
    await rm(path, { recursive: true, force: true });
    throw error;
  }
  const git = new Git(programs, path, format, options.limits ?? mirror.git.limits);
  return new Quarantine(git, mirror, options.objects ?? defaultPushedObjects, options.packBytes ?? defaultPackBytes);
}

function tooLarge(what: string): Refusal {
  return new Refusal('LIMIT_EXCEEDED', `the push is too large to be inspected: ${what}`, {
    advice: 'push fewer commits at once',
  });
}

/** The last words of git, which may quote names from the pack. */
function plain(complaint: string): string {
  const lines = complaint.split('\n').filter((line) => /^(error|fatal):/.test(line));
  return lines
    .slice(0, 2)
    .join('; ')
    .replace(/[^ -~]/g, '?')
    .slice(0, 300);
}
