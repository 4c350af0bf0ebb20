import type { ProposalAnswer } from '../../client/schema.ts';
import { type Commands, contextOf, examples } from '../command.ts';
import { clientFor, printJson } from '../context.ts';
import { exitCodes, Failure } from '../exit.ts';
import { table } from '../table.ts';
import { visible, visibleLine } from '../visible.ts';

export const classifyCommands: Commands = (program, terminal) => {
  program
    .command('classify <target>')
    .summary('propose what to classify at a target')
    .description(
      'Has the gateway look at the names of columns and at a sample of values, and proposes a `classify:` section for the configuration, with reasons. Values stay at the gateway; nothing is changed. Needs configure.',
    )
    .option('--min-confidence <number>', 'leave out what is less sure, 0 to 1', confidence, 0.5)
    .option('--json', 'print JSON')
    .addHelpText('after', examples('sallyport classify orders', 'sallyport classify orders --min-confidence 0.8'))
    .action(async (target: string, { minConfidence, json }: Options, command) => {
      const found = await clientFor(contextOf(command, terminal)).propose({ target, minConfidence });
      if (json === true) return printJson(terminal, found);
      await terminal.out(proposed(found));
      for (const warning of found.warnings) terminal.err(`warning: ${visibleLine(warning)}\n`);
      terminal.err(`${summary(found, minConfidence)}\n`);
    });
};

interface Options {
  readonly minConfidence: number;
  readonly json?: boolean;
}

function confidence(text: string): number {
  const number = Number(text);
  if (/^[01]?(?:\.\d{1,6})?$/.test(text) && text !== '' && number <= 1) return number;
  throw new Failure(exitCodes.usage, `expected a number from 0 to 1, got ${JSON.stringify(text)}`);
}

function proposed({ entries, section }: ProposalAnswer): string {
  if (entries.length === 0) return 'Nothing to propose.\n';
  const rows = entries.map((entry) => [
    entry.confidence.toFixed(2),
    entry.classification,
    entry.field,
    entry.reasons.join('; '),
  ]);
  return `${table(['SURE', 'CLASSIFICATION', 'FIELD', 'WHY'], rows)}\n${visible(section)}`;
}

function summary({ entries, below, looked }: ProposalAnswer, least: number): string {
  const more = below === 0 ? '' : ` ${below} more below ${least}: see --min-confidence.`;
  return `${looked.fields} fields, ${looked.classified} classified already; values of ${looked.sampled} sampled; ${entries.length} proposed.${more}`;
}
