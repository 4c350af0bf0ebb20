import type { ReplayLine } from '../../client/schema.ts';
import { formatDuration } from '../../model/duration.ts';
import { type Commands, contextOf, count, examples, given, offset } from '../command.ts';
import { clientFor, collect, printJson } from '../context.ts';
import { exitCodes, Failure } from '../exit.ts';
import { page } from '../pager.ts';
import { replayLines } from '../replay.ts';
import { details, instant, table } from '../table.ts';
import { safeJson } from '../visible.ts';

export const sessionCommands: Commands = (program, terminal) => {
  const sessions = program
    .command('sessions')
    .summary('see, replay and end sessions')
    .description('Sessions: one principal at one target, from login to hang-up. You see your own; reviewers see all.');

  sessions
    .command('list')
    .summary('the newest sessions')
    .option('--principal <id>', 'only of this principal')
    .option('--target <name>', 'only at this target')
    .option('--live', 'only those that go on')
    .option('-n, --limit <count>', 'how many', count, 50)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples('sallyport sessions list --live', 'sallyport sessions list --target shop --limit 200 --json'),
    )
    .action(
      async (
        {
          principal,
          target,
          live,
          limit,
          json,
        }: { principal?: string; target?: string; live?: boolean; limit: number; json?: boolean },
        command,
      ) => {
        const client = clientFor(contextOf(command, terminal));
        const found = await collect(limit, (paging) =>
          client.sessions({ ...given({ principal, target, live }), ...paging }),
        );
        if (json === true) return printJson(terminal, found);
        const rows = found.map((s) => [
          s.id,
          instant(s.startedAt),
          s.live ? 'live' : formatDuration((s.endedAt ?? s.startedAt) - s.startedAt),
          s.principalName,
          s.target,
          String(s.commands),
          String(s.denied),
          String(s.held),
        ]);
        await terminal.out(table(['SESSION', 'STARTED', 'FOR', 'WHO', 'TARGET', 'COMMANDS', 'DENIED', 'HELD'], rows));
      },
    );

  sessions
    .command('show <id>')
    .summary('one session')
    .option('--json', 'print JSON')
    .action(async (id: string, { json }: { json?: boolean }, command) => {
      const s = await clientFor(contextOf(command, terminal)).session(id);
      if (json === true) return printJson(terminal, s);
      await terminal.out(
        details([
          ['session', s.id],
          ['who', `${s.principalName} (${s.principalKind} ${s.principal})`],
          ['target', `${s.target} (${s.protocol})`],
          ['client', [s.client.address, s.client.application].filter((part) => part !== undefined).join(', ')],
          ['started', instant(s.startedAt)],
          ['ended', s.endedAt === undefined ? (s.live ? 'goes on' : 'unknown') : instant(s.endedAt)],
          ['because', s.endReason],
          ['commands', `${s.commands}, of which ${s.denied} denied and ${s.held} held`],
        ]),
      );
    });

  sessions
    .command('replay <id>')
    .summary('page through statements and rows')
    .description(
      'Shows what was asked and what the caller saw, masks and all. Pages when it writes to a terminal: space for the next screen, enter\nfor the next line, q to stop. Control characters show as \\x1b; --json has every value exactly.',
    )
    .option('--skip <count>', 'leave out so many items at the start', offset, 0)
    .option('--wide', 'do not shorten long values')
    .option('--no-pager', 'do not stop at each screen')
    .option('--json', 'print the items as JSON, one a line')
    .addHelpText(
      'after',
      examples(
        'sallyport sessions replay 0197c1f2-…',
        'sallyport sessions replay 0197c1f2-… --json | jq -r \'select(.kind == "command").text\'',
      ),
    )
    .action(
      async (
        id: string,
        { skip, wide, pager, json }: { skip: number; wide?: boolean; pager: boolean; json?: boolean },
        command,
      ) => {
        const stop = new AbortController();
        const items = clientFor(contextOf(command, terminal)).replay(id, skip, stop.signal);
        const lines =
          json === true
            ? jsonLines(items)
            : replayLines(items, { cell: wide === true ? Number.POSITIVE_INFINITY : 60 });
        await page(lines, terminal, terminal.interactive && pager && json !== true);
        stop.abort();
      },
    );

  sessions
    .command('terminate <id>')
    .summary('end a live session now')
    .requiredOption('-m, --reason <text>', 'why; goes into the audit log')
    .addHelpText('after', examples('sallyport sessions terminate 0197c1f2-… --reason "runaway migration"'))
    .action(async (id: string, { reason }: { reason: string }, command) => {
      if (!(await clientFor(contextOf(command, terminal)).terminate(id, reason)))
        throw new Failure(exitCodes.no, 'the session had ended before');
      terminal.err('The session was ended.\n');
    });
};

async function* jsonLines(items: AsyncIterable<ReplayLine>): AsyncIterable<string> {
  for await (const item of items) yield safeJson(item);
}
