import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Credential } from './credential.ts';

/** Far above any password, private keys and cloud tokens included. */
export const maxSecretBytes = 64 * 1024;

export interface SecretContext {
  /** Where relative paths start, and where commands run: the configuration's folder. */
  readonly baseDir: string;
  /** The gateway's own environment when absent; commands get it too. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Why a secret could not be had, for the operator's log. Holds neither the secret nor anything a command printed: programs print
 * secrets into their errors too.
 */
export class SecretError extends Error {
  override readonly name = 'SecretError';
}

/** The secret a credential names, or undefined when it names none. Throws SecretError; an empty secret is an error. */
export async function readSecret(credential: Credential, context: SecretContext): Promise<string | undefined> {
  const { env, file, command } = credential;
  if (env !== undefined) return checked((context.env ?? process.env)[env], `environment variable ${env}`);
  if (file !== undefined)
    return checked(withoutNewline(await readFile(resolve(context.baseDir, file))), `file ${file}`);
  if (command !== undefined) {
    const output = await run(command, credential.timeoutMs, context);
    return checked(withoutNewline(output), `command ${command[0]}`);
  }
  return undefined;
}

function checked(secret: string | undefined, source: string): string {
  if (secret === undefined || secret === '') throw new SecretError(`${source} is not set or empty`);
  // A NUL would end the password early in C-string protocols: the target would compare another secret than ours.
  if (secret.includes('\0')) throw new SecretError(`${source} holds a NUL byte`);
  return secret;
}

/** One newline, as editors and `echo` put it; any other space may belong to the secret. */
function withoutNewline(text: string): string {
  return text.replace(/\r?\n$/, '');
}

async function readFile(path: string): Promise<string> {
  let size = 0;
  try {
    // Opening a FIFO would wait for a writer for ever.
    await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!(await handle.stat()).isFile()) throw new SecretError(`${path} is not a file`);
    const buffer = Buffer.alloc(maxSecretBytes + 1);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, size, buffer.length - size);
      size += bytesRead;
      if (size > maxSecretBytes) throw new SecretError(`${path} is larger than ${maxSecretBytes} bytes`);
      if (bytesRead === 0) return buffer.toString('utf8', 0, size);
    }
  } catch (error) {
    if (error instanceof SecretError) throw error;
    throw new SecretError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

function run(
  command: readonly string[],
  timeoutMs: number,
  { baseDir, env = process.env }: SecretContext,
): Promise<string> {
  const [program, ...args] = command as [string, ...string[]];
  return new Promise((done, fail) => {
    const options = {
      cwd: baseDir,
      env,
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: maxSecretBytes,
      encoding: 'utf8',
    } as const;
    const child = execFile(program, args, options, (error, stdout) => {
      if (error === null) done(stdout);
      else fail(new SecretError(`command ${program} ${failure(error, timeoutMs)}`));
    });
    child.stdin?.end();
  });
}

/** Not `error.message`: it holds the arguments and what the program printed. */
function failure(error: Error & { code?: unknown; killed?: boolean; signal?: unknown }, timeoutMs: number): string {
  if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return `printed more than ${maxSecretBytes} bytes`;
  if (error.killed) return `did not finish within ${timeoutMs} ms`;
  if (typeof error.code === 'number') return `ended with status ${error.code}`;
  if (typeof error.signal === 'string') return `was ended by ${error.signal}`;
  return `could not be started (${typeof error.code === 'string' ? error.code : 'unknown'})`;
}
