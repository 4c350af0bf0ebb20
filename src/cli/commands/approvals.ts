import type { Client } from '../../client/client.ts';
import { type ApprovalItem, approvalState } from '../../client/schema.ts';
import { formatDuration } from '../../model/duration.ts';
import { type Commands, contextOf, count, durationOption, examples, given, pause } from '../command.ts';
import { clientFor, collect, printJson } from '../context.ts';
import { exitCodes, Failure } from '../exit.ts';
import { instant, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { safeJson, visible, visibleLine } from '../visible.ts';

export const approvalCommands: Commands = (program, terminal) => {
  const approvals = program
    .command('approvals')
    .summary('see and answer held commands')
    .description(
      'Held commands that wait for a person. A yes is for exactly one command, once, and not for long. Nobody answers their own.',
    );

  approvals
    .command('list')
    .summary('the newest requests')
    .option('--state <state>', `one of ${approvalState.options.join(', ')}`, (text) => {
      const parsed = approvalState.safeParse(text);
      if (parsed.success) return parsed.data;
      throw new Failure(exitCodes.usage, `expected one of ${approvalState.options.join(', ')}`);
    })
    .option('-n, --limit <count>', 'how many', count, 50)
    .option('--json', 'print JSON')
    .addHelpText('after', examples('sallyport approvals list --state open'))
    .action(
      async ({ state, limit, json }: { state?: ApprovalItem['state']; limit: number; json?: boolean }, command) => {
        const client = clientFor(contextOf(command, terminal));
        const found = await collect(limit, (paging) => client.approvals({ ...given({ state }), ...paging }));
        if (json === true) return printJson(terminal, found);
        await terminal.out(
          table(
            ['REQUEST', 'STATE', 'ASKED', 'WHO', 'TARGET', 'NEEDS', 'COMMAND'],
            found.map((a) => [
              a.id,
              a.state,
              instant(a.createdAt),
              a.requester.name,
              a.target,
              a.approvers.join(' and '),
              brief(a.text),
            ]),
          ),
        );
      },
    );

  approvals
    .command('show <id>')
    .summary('one request, all of it')
    .option('--json', 'print JSON')
    .action(async (id: string, { json }: { json?: boolean }, command) => {
      const request = await clientFor(contextOf(command, terminal)).approval(id);
      if (json === true) return printJson(terminal, request);
      await terminal.out(shown(request, terminal));
    });

  for (const answer of ['approve', 'deny'] as const) {
    approvals
      .command(`${answer} <id>`)
      .summary(answer === 'approve' ? 'say yes' : 'say no')
      .description(
        answer === 'approve'
          ? 'Shows the request and lets exactly this command run, once.'
          : 'Shows the request and refuses it.',
      )
      .requiredOption('-m, --reason <text>', 'why; goes into the audit log')
      .option('-y, --yes', 'do not ask whether you are sure')
      .option('--json', 'print JSON')
      .addHelpText(
        'after',
        examples(
          `sallyport approvals ${answer} 0197c1f2-… --reason "${answer === 'approve' ? 'ticket 4711, checked the WHERE' : 'use the staging copy'}"`,
        ),
      )
      .action(async (id: string, { reason, yes, json }: { reason: string; yes?: boolean; json?: boolean }, command) => {
        const client = clientFor(contextOf(command, terminal));
        if (json !== true) terminal.err(shown(await client.approval(id), terminal));
        if (
          terminal.answerable &&
          yes !== true &&
          (await terminal.ask(`\n${answer} this? [y/N] `)).trim().toLowerCase() !== 'y'
        ) {
          throw new Failure(exitCodes.no, 'nothing was answered');
        }
        const settled = await client.answer(id, answer, reason);
        if (json === true) return printJson(terminal, settled);
        terminal.err(
          settled.state === 'open'
            ? 'Your answer is noted; others have to answer as well.\n'
            : `The request is ${settled.state}.\n`,
        );
      });
  }

  approvals
    .command('watch')
    .summary('print requests as they come')
    .option('--interval <duration>', 'how often to look', durationOption, 2000)
    .option('--json', 'print JSON, one request a line')
    .option('--count <count>', 'stop after so many', count)
    .action(async ({ interval, json, count: most }: { interval: number; json?: boolean; count?: number }, command) => {
      const client = clientFor(contextOf(command, terminal));
      let left = most ?? Number.POSITIVE_INFINITY;
      for await (const request of arriving(client, interval)) {
        await terminal.out(json === true ? `${safeJson(request)}\n` : `${shown(request, terminal)}\n`);
        if (--left <= 0) return;
      }
    });
};

/** Open requests, each once, oldest first. */
async function* arriving(client: Client, intervalMs: number): AsyncIterable<ApprovalItem> {
  let seen = new Set<string>();
  for (;;) {
    const open = await collect(500, (paging) => client.approvals({ ...paging, state: 'open' }));
    for (const request of open.toReversed()) if (!seen.has(request.id)) yield request;
    seen = new Set(open.map(({ id }) => id));
    await pause(intervalMs);
  }
}

function brief(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

/** What the server presents, and what became of it. */
function shown(request: ApprovalItem, terminal: Terminal): string {
  const left = request.expiresAt - terminal.now();
  const deadline =
    left > 0 ? `expires in ${formatDuration(Math.ceil(left / 1000) * 1000)}` : `expired ${instant(request.expiresAt)}`;
  const answers = request.decisions.map(
    (d) =>
      `${d.answer === 'approve' ? 'approved' : 'denied'} by ${d.approver.name} (${d.approver.id}) ${instant(d.at)}: ${d.reason}`,
  );
  const state =
    request.state === 'open' || request.state === 'approved' ? `${request.state}, ${deadline}` : request.state;
  return `${visible(request.presented)}\n\n${[`state: ${state}`, ...answers].map(visibleLine).join('\n')}\n`;
}
