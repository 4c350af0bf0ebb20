import { readFileSync } from 'node:fs';
import { Command, CommanderError, type OutputConfiguration } from 'commander';
import { approvalCommands } from './commands/approvals.ts';
import { auditCommands } from './commands/audit.ts';
import { classifyCommands } from './commands/classify.ts';
import { evidenceCommands } from './commands/evidence.ts';
import { helperCommands } from './commands/helpers.ts';
import { loginCommands } from './commands/login.ts';
import { policyCommands } from './commands/policy.ts';
import { serverCommands } from './commands/server.ts';
import { sessionCommands } from './commands/sessions.ts';
import { targetCommands } from './commands/targets.ts';
import { exitCodes, explainError } from './exit.ts';
import type { Terminal } from './terminal.ts';

const epilogue = `
Where it goes:
  --server, $SALLYPORT_SERVER, or the server of the last login. --ca or $SALLYPORT_CA names the authority that signed its certificate.
Who you are:
  --token-file FILE (- is standard input), $SALLYPORT_TOKEN, or the login that is kept in $SALLYPORT_HOME (default ~/.config/sallyport).

Exit status:
  ${exitCodes.ok}  done
  ${exitCodes.no}  the answer is no: a log that does not verify, a test that fails, a configuration with something wrong
  ${exitCodes.usage}  the command line or a file is not as it should be
  ${exitCodes.login}  not logged in, or the login was not accepted
  ${exitCodes.refused}  refused by policy or by a rule
  ${exitCodes.absent}  there is no such thing, or it is not yours to see
  ${exitCodes.server}  the server cannot be reached, or failed

Examples:
  sallyport demo                                           see all of it on one machine
  sallyport login --server https://gateway.example:8443
  PGPASSWORD=$(sallyport ticket --target shop) psql "host=gateway.example port=6432 dbname=shop sslmode=verify-full"
  sallyport approvals list --state open
  sallyport sessions replay ID
`;

/** The command line, as `sallyport` takes it. */
export function createProgram(terminal: Terminal, pending: Promise<void>[] = []): Command {
  const program = new Command('sallyport')
    .description('The gateway that AI coding agents pass through to reach production.')
    .version(version(), '-V, --version')
    .option('--server <url>', 'the API of the gateway')
    .option('--ca <file>', "PEM file with the authority of the server's certificate")
    .option('--token-file <file>', 'an OIDC token instead of the login')
    .showHelpAfterError('(add --help for more)')
    .addHelpText('after', epilogue);
  for (const add of [
    serverCommands,
    loginCommands,
    helperCommands,
    targetCommands,
    sessionCommands,
    approvalCommands,
    auditCommands,
    evidenceCommands,
    policyCommands,
    classifyCommands,
  ])
    add(program, terminal);
  const output: OutputConfiguration = {
    writeOut: (text) => void pending.push(terminal.out(text)),
    writeErr: (text) => terminal.err(text),
    getOutHelpWidth: () => terminal.columns,
    getErrHelpWidth: () => terminal.columns,
  };
  settle(program, output);
  return program;
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Settings that commander does not pass on to commands that exist already. */
function settle(command: Command, output: OutputConfiguration): void {
  command.exitOverride().configureOutput(output);
  for (const child of command.commands) settle(child, output);
}

/** Runs one command line; resolves with its exit status. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  const pending: Promise<void>[] = [];
  try {
    await createProgram(terminal, pending).parseAsync([...argv], { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const { exit, text } = explainError(error);
    terminal.err(`sallyport: ${text}\n`);
    return exit;
  } finally {
    await Promise.all(pending);
  }
}
