import type { ObjectFormat } from '../push.ts';
import { GitFailure } from './git-failure.ts';
import { type GitExit, type GitLimits, type GitPrograms, type RunningGit, startGit } from './git-process.ts';
import { ObjectReader } from './object-reader.ts';

export interface GitQuestion {
  readonly arguments: readonly string[];
  /** Lines for standard input. */
  readonly input?: Iterable<string>;
  readonly signal?: AbortSignal | undefined;
  readonly environment?: Readonly<Record<string, string>>;
  /** Exit codes that are answers, beside 0. */
  readonly answers?: readonly number[];
}

/** One bare repository of ours and how to ask git about it. */
export class Git {
  readonly programs: GitPrograms;
  readonly path: string;
  readonly format: ObjectFormat;
  readonly limits: GitLimits;

  constructor(programs: GitPrograms, path: string, format: ObjectFormat, limits: GitLimits) {
    this.programs = programs;
    this.path = path;
    this.format = format;
    this.limits = limits;
  }

  start(question: GitQuestion, files: { readonly input?: number; readonly output?: number } = {}): RunningGit {
    return startGit(this.programs, {
      repository: this.path,
      arguments: question.arguments,
      limits: this.limits,
      signal: question.signal,
      ...(question.environment === undefined ? {} : { environment: question.environment }),
      ...files,
    });
  }

  /**
   * Gives standard output to `take` as it comes; `take` returns false when it has seen enough, which ends the child.
   * Throws GitFailure, or what `take` throws.
   */
  async stream(question: GitQuestion, take: (chunk: Buffer) => boolean | undefined): Promise<GitExit> {
    const git = this.start(question);
    let thrown: unknown;
    let enough = false;
    git.stdout.on('data', (chunk: Buffer) => {
      if (enough) return;
      try {
        enough = take(chunk) === false;
      } catch (error) {
        thrown = error;
        enough = true;
      }
      if (enough) git.kill('output');
    });
    await feed(git, question.input);
    const exit = await git.exit;
    if (thrown !== undefined) throw thrown;
    if (enough) return exit;
    return accepted(question, exit);
  }

  /** Standard output piece by piece, without the separators. `take` as above. */
  async pieces(
    question: GitQuestion,
    separator: '\n' | '\0',
    take: (piece: string) => boolean | undefined,
  ): Promise<void> {
    let rest = '';
    await this.stream(question, (chunk) => {
      const parts = (rest + chunk.toString('latin1')).split(separator);
      rest = parts.pop()!;
      if (rest.length > 1_000_000) throw new Error('git gives an endless line');
      for (const part of parts) if (take(part) === false) return false;
      return undefined;
    });
  }

  /** Standard output as one text. Throws GitFailure when it is longer than `maxBytes`. */
  async text(question: GitQuestion, maxBytes = 1_000_000): Promise<string> {
    const chunks: Buffer[] = [];
    let size = 0;
    const exit = await this.stream(question, (chunk) => {
      chunks.push(chunk);
      size += chunk.length;
      return size <= maxBytes;
    });
    if (size > maxBytes) throw new GitFailure(question.arguments[0]!, exit);
    return Buffer.concat(chunks).toString('latin1');
  }

  reader(signal?: AbortSignal): ObjectReader {
    return new ObjectReader(this.programs, this.path, this.format, { signal, limits: this.limits });
  }
}

export function accepted(question: GitQuestion, exit: GitExit): GitExit {
  const answer = exit.code === 0 || (exit.code !== null && (question.answers ?? []).includes(exit.code));
  if (exit.limited !== undefined || !answer) throw new GitFailure(question.arguments[0]!, exit);
  return exit;
}

/** Writes lines as fast as the child reads them, then closes its input. */
async function feed(git: RunningGit, lines: Iterable<string> = []): Promise<void> {
  let ended = false;
  void git.exit.then(() => {
    ended = true;
  });
  let batch = '';
  for (const line of lines) {
    batch += `${line}\n`;
    if (batch.length < 65_536) continue;
    if (!git.stdin.write(batch)) {
      await Promise.race([new Promise((resolve) => git.stdin.once('drain', resolve)), git.exit]);
    }
    batch = '';
    if (ended) return;
  }
  git.stdin.end(batch);
}
