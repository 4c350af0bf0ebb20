import { run } from './program.ts';
import { processTerminal } from './terminal.ts';

/** The process's command line, to its exit status. */
export async function main(): Promise<void> {
  process.exitCode = await run(process.argv.slice(2), processTerminal());
}
