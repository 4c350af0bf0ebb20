import { ApiError, UnreachableError } from '../client/client.ts';
import { ConfigError } from '../model/errors.ts';
import { visible } from './visible.ts';

/** What the shell gets to know. Documented in `sallyport --help`. */
export const exitCodes = {
  /** Done. */
  ok: 0,
  /** The answer is no: a log that does not verify, a test that fails, something wrong with a configuration. */
  no: 1,
  /** The command line or a file is not as it should be. */
  usage: 2,
  /** Nobody is logged in, or the login was not accepted. */
  login: 3,
  /** Refused: by policy, or by a rule. */
  refused: 4,
  /** There is no such thing, or it is not yours to see. */
  absent: 5,
  /** The server cannot be reached, or failed. */
  server: 6,
} as const;

/** Ends a command with a message and an exit code. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly exit: number;

  constructor(exit: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exit = exit;
  }
}

/** An error as the person at the terminal reads it. Messages may come from a server, so they are made harmless. */
export function explainError(error: unknown): { readonly exit: number; readonly text: string } {
  if (error instanceof Failure) return { exit: error.exit, text: visible(error.message) };
  if (error instanceof ApiError) return { exit: exitOf(error.problem.status), text: visible(problemText(error)) };
  if (error instanceof UnreachableError) return { exit: exitCodes.server, text: visible(error.message) };
  if (error instanceof ConfigError) return { exit: exitCodes.usage, text: visible(error.message) };
  if (error instanceof TypeError || !(error instanceof Error))
    return { exit: exitCodes.server, text: visible(String(error)) };
  return { exit: 'syscall' in error ? exitCodes.usage : exitCodes.server, text: visible(error.message) };
}

function problemText({ message, problem }: ApiError): string {
  const rule = problem.rule === undefined ? '' : `, rule ${problem.rule}`;
  const more = [problem.advice, problem.link, problem.instance]
    .filter((line) => line !== undefined)
    .map((line) => `\n  ${line}`);
  return `${message} (${problem.code}${rule})${more.join('')}`;
}

function exitOf(status: number): number {
  if (status === 401) return exitCodes.login;
  if (status === 403 || status === 409 || status === 429) return exitCodes.refused;
  if (status === 404) return exitCodes.absent;
  return status < 500 ? exitCodes.usage : exitCodes.server;
}
