import type { ObjectFormat } from '../push.ts';
import { GitFailure } from './git-failure.ts';
import { defaultGitLimits, type GitLimits, type GitPrograms, type RunningGit, startGit } from './git-process.ts';
import { isObjectId } from './object-id.ts';

export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag';

export interface ObjectInfo {
  readonly id: string;
  readonly type: ObjectType;
  /** Bytes. */
  readonly size: number;
}

/** Takes the bytes of an object as they come. Must not keep a chunk. */
export type ObjectSink = (chunk: Buffer) => void;

interface Question {
  readonly id: string;
  readonly sink: ObjectSink | undefined;
  readonly resolve: (info: ObjectInfo | undefined) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Reads objects through one long-lived `git cat-file --batch-command`. Questions may be asked without waiting for each other; answers
 * come in order. Contents stream: what is buffered is one pipe read.
 */
export class ObjectReader {
  readonly #git: RunningGit;
  readonly #format: ObjectFormat;
  readonly #waiting: Question[] = [];
  #next = 0;
  #header = '';
  #info: ObjectInfo | undefined;
  #left = 0;
  #failure: Error | undefined;

  constructor(
    programs: GitPrograms,
    repository: string,
    format: ObjectFormat,
    options: { readonly signal?: AbortSignal | undefined; readonly limits?: GitLimits } = {},
  ) {
    this.#format = format;
    this.#git = startGit(programs, {
      repository,
      arguments: ['cat-file', '--batch-command'],
      limits: options.limits ?? defaultGitLimits,
      signal: options.signal,
    });
    this.#git.stdout.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#git.stdout.on('error', (error) => this.#fail(error));
    void this.#git.exit.then((exit) => this.#fail(new GitFailure('cat-file', exit)));
  }

  /** Type and size, or undefined where the object does not exist. */
  info(id: string): Promise<ObjectInfo | undefined> {
    return this.#ask('info', id, undefined);
  }

  /** Streams the content into `sink`. Undefined where the object does not exist. */
  read(id: string, sink: ObjectSink): Promise<ObjectInfo | undefined> {
    return this.#ask('contents', id, sink);
  }

  /** The first `limit` bytes of the content. */
  async head(id: string, limit: number): Promise<Buffer | undefined> {
    const chunks: Buffer[] = [];
    let size = 0;
    const info = await this.read(id, (chunk) => {
      if (size < limit) chunks.push(Buffer.from(chunk.subarray(0, limit - size)));
      size += chunk.length;
    });
    return info === undefined ? undefined : Buffer.concat(chunks);
  }

  /** Ends the child; questions under way fail. */
  close(): void {
    this.#git.kill('aborted');
    this.#fail(new Error('the reader was closed'));
  }

  #ask(command: 'info' | 'contents', id: string, sink: ObjectSink | undefined): Promise<ObjectInfo | undefined> {
    if (!isObjectId(this.#format, id)) return Promise.reject(new TypeError('not an object id'));
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ id, sink, resolve, reject });
      this.#git.stdin.write(`${command} ${id}\n`);
    });
  }

  #take(chunk: Buffer): void {
    try {
      this.#parse(chunk);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error('the reader of an object failed'));
    }
  }

  #parse(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.#failure === undefined) {
      const question = this.#waiting[this.#next];
      if (question === undefined) throw new Error('git answered what was not asked');
      if (this.#info !== undefined) {
        // One byte more than the content: the line feed behind it.
        const end = Math.min(chunk.length, at + this.#left);
        const content = Math.min(end, at + this.#left - 1);
        if (content > at) question.sink?.(chunk.subarray(at, content));
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#answer(this.#info);
        continue;
      }
      const feed = chunk.indexOf(0x0a, at);
      const end = feed < 0 ? chunk.length : feed;
      this.#header += chunk.toString('latin1', at, end);
      at = end + 1;
      if (this.#header.length > 200) throw new Error('git answers in no known form');
      if (feed >= 0) this.#headerIs(question);
    }
  }

  #headerIs(question: Question): void {
    const [id, type, size] = this.#header.split(' ');
    this.#header = '';
    if (id !== question.id) throw new Error('git answers another question');
    const info = { id, type: type as ObjectType, size: Number(size) };
    if (type === 'missing') this.#answer(undefined);
    else if (!/^(commit|tree|blob|tag)$/.test(type ?? '') || !Number.isSafeInteger(info.size)) {
      throw new Error('git answers in no known form');
    } else if (question.sink === undefined) this.#answer(info);
    else {
      this.#info = info;
      this.#left = info.size + 1;
    }
  }

  #answer(info: ObjectInfo | undefined): void {
    this.#info = undefined;
    const question = this.#waiting[this.#next]!;
    this.#next += 1;
    if (this.#next === this.#waiting.length || this.#next === 4096) {
      this.#waiting.splice(0, this.#next);
      this.#next = 0;
    }
    question.resolve(info);
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#git.kill('aborted');
    for (const question of this.#waiting.splice(this.#next)) question.reject(error);
    this.#waiting.length = 0;
    this.#next = 0;
  }
}
