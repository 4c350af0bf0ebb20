import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { setPriority } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { ConfigError } from '../../../model/errors.ts';

/** What a child may use. Beyond a limit the child ends, and what it was asked to do has failed. */
export interface GitLimits {
  /** Private memory of one child, bytes; enforced where the system has `prlimit`. */
  readonly memoryBytes: number;
  /** Processor time and time by the clock of one child, ms. */
  readonly timeMs: number;
  /** Size of a file it may write, bytes. */
  readonly fileBytes: number;
}

export const defaultGitLimits: GitLimits = { memoryBytes: 1024 ** 3, timeMs: 120_000, fileBytes: 8 * 1024 ** 3 };

/** The programs, by absolute path. */
export interface GitPrograms {
  readonly git: string;
  readonly prlimit: string | undefined;
  readonly sshKeygen: string | undefined;
}

/** Finds them on a search path once; a child never searches. Throws ConfigError where git is missing. */
export function findPrograms(searchPath: string): GitPrograms {
  const git = find('git', searchPath);
  if (git === undefined) throw new ConfigError('git is not installed: pushes cannot be inspected without it');
  return { git, prlimit: find('prlimit', searchPath), sshKeygen: find('ssh-keygen', searchPath) };
}

function find(name: string, searchPath: string): string | undefined {
  for (const folder of searchPath.split(delimiter)) {
    if (!isAbsolute(folder)) continue;
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not here; the next folder may have it.
    }
  }
  return undefined;
}

export interface GitCall {
  /** The bare repository it works on. */
  readonly repository: string;
  /** From our own constants, full object ids and paths of ours only. */
  readonly arguments: readonly string[];
  readonly limits: GitLimits;
  readonly signal?: AbortSignal | undefined;
  /** An open file as standard input; a pipe where absent. */
  readonly input?: number;
  /** An open file as standard output; a pipe where absent. */
  readonly output?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** How a child ended. `limited` says that we ended it, and why. */
export interface GitExit {
  readonly code: number | null;
  readonly limited: 'time' | 'aborted' | 'output' | undefined;
  /** The first 4 KiB of what it complained about. May quote hostile text. */
  readonly complaint: string;
}

export interface RunningGit {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly exit: Promise<GitExit>;
  /** Ends the child and everything it started. */
  kill(reason: 'aborted' | 'output'): void;
}

/**
 * Starts git in its own process group, at low priority, with an environment that holds nothing of ours and a configuration that
 * runs nothing: no hooks, filters, external diffs, helpers, transports. See also bare-repository.ts, which writes the configuration.
 */
export function startGit(programs: GitPrograms, call: GitCall): RunningGit {
  const { limits } = call;
  const git = [programs.git, '--no-pager', '--no-replace-objects', ...call.arguments];
  const argv = programs.prlimit === undefined ? git : [...caps(programs.prlimit, limits), ...git];
  const child: ChildProcess = spawn(argv[0]!, argv.slice(1), {
    cwd: call.repository,
    env: { ...environment(call.repository), ...call.environment },
    stdio: [call.input ?? 'pipe', call.output ?? 'pipe', 'pipe'],
    detached: true,
    shell: false,
  });
  try {
    if (child.pid !== undefined) setPriority(child.pid, 10);
  } catch {
    // It has ended already, which `exit` tells.
  }
  let limited: GitExit['limited'];
  const kill = (reason: NonNullable<GitExit['limited']>): void => {
    limited ??= reason;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      child.kill('SIGKILL');
    }
  };
  const timer = setTimeout(() => kill('time'), limits.timeMs);
  const abort = (): void => kill('aborted');
  if (call.signal?.aborted) abort();
  call.signal?.addEventListener('abort', abort, { once: true });
  const complaints: Buffer[] = [];
  let complained = 0;
  child.stderr?.on('data', (chunk: Buffer) => {
    if (complained < 4096) complaints.push(chunk.subarray(0, 4096 - complained));
    complained += chunk.length;
  });
  child.stderr?.on('error', () => kill('aborted'));
  // A child that ends early closes its input under our hands; its exit says what that means.
  child.stdin?.on('error', () => {});
  const exit = new Promise<GitExit>((resolve) => {
    let failure = '';
    const ended = (code: number | null): void => {
      clearTimeout(timer);
      call.signal?.removeEventListener('abort', abort);
      resolve({ code, limited, complaint: failure || Buffer.concat(complaints).toString('utf8') });
    };
    child.once('error', (error) => {
      failure = error.message;
      if (child.pid === undefined) ended(null);
    });
    child.once('close', (code) => ended(code));
  });
  return { stdin: child.stdin as Writable, stdout: child.stdout as Readable, exit, kill };
}

/** prlimit replaces itself by git, so that the process we know is git's. */
function caps(prlimit: string, limits: GitLimits): string[] {
  const seconds = Math.ceil(limits.timeMs / 1000);
  return [
    prlimit,
    `--data=${limits.memoryBytes}`,
    `--cpu=${seconds}`,
    `--fsize=${limits.fileBytes}`,
    '--core=0',
    '--nofile=512',
    '--',
  ];
}

function environment(repository: string): Record<string, string> {
  return {
    PATH: '/usr/bin:/bin',
    HOME: repository,
    XDG_CONFIG_HOME: repository,
    TMPDIR: repository,
    LC_ALL: 'C',
    TZ: 'UTC',
    GIT_DIR: repository,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    SSH_ASKPASS: '/bin/false',
    GIT_ALLOW_PROTOCOL: '',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_NO_LAZY_FETCH: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_LITERAL_PATHSPECS: '1',
    GIT_FLUSH: '1',
  };
}
