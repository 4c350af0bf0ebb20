import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Client } from '../../client/client.ts';
import type { AuditItem } from '../../client/schema.ts';
import { type Commands, contextOf, count, durationOption, examples, given, pause } from '../command.ts';
import { clientFor, collect, printJson } from '../context.ts';
import { exitCodes, Failure } from '../exit.ts';
import { table } from '../table.ts';
import { verdict } from '../verdict.ts';
import { safeJson, visibleLine } from '../visible.ts';

interface Filter {
  readonly type?: string;
  readonly session?: string;
  readonly principal?: string;
  readonly target?: string;
}

export const auditCommands: Commands = (program, terminal) => {
  const audit = program
    .command('audit')
    .summary('read, export and verify the audit log')
    .description(
      'The audit log: every command, decision and login, in an append-only Merkle log that can be verified offline.',
    );

  audit
    .command('query')
    .summary('find events, newest first')
    .option('--type <type>', 'only of this type, such as command.denied')
    .option('--session <id>', 'only of this session')
    .option('--principal <id>', 'only of this principal')
    .option('--target <name>', 'only at this target')
    .option('--from <time>', 'from this time on (RFC 3339)')
    .option('--to <time>', 'up to this time (RFC 3339)')
    .option('-n, --limit <count>', 'how many', count, 50)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'sallyport audit query --type command.denied --target shop',
        'sallyport audit query --session 0197c1f2-… --limit 1000 --json',
      ),
    )
    .action(
      async (
        {
          type,
          session,
          principal,
          target,
          from,
          to,
          limit,
          json,
        }: Filter & { from?: string; to?: string; limit: number; json?: boolean },
        command,
      ) => {
        const client = clientFor(contextOf(command, terminal));
        const found = await collect(limit, (paging) =>
          client.auditEvents({ ...given({ type, session, principal, target, from, to }), ...paging }),
        );
        if (json === true) return printJson(terminal, found);
        await terminal.out(table(['SEQ', 'TIME', 'TYPE', 'PRINCIPAL', 'TARGET', 'WHAT'], found.map(eventRow)));
      },
    );

  audit
    .command('tail')
    .summary('print events as they come')
    .option('--type <type>', 'only of this type')
    .option('--target <name>', 'only at this target')
    .option('-n, --lines <count>', 'start with so many of the last', count, 10)
    .option('--interval <duration>', 'how often to look', durationOption, 1000)
    .option('--count <count>', 'stop after so many', count)
    .option('--json', 'print JSON, one event a line')
    .action(
      async (
        {
          type,
          target,
          lines,
          interval,
          count: most,
          json,
        }: Filter & { lines: number; interval: number; count?: number; json?: boolean },
        command,
      ) => {
        let left = most ?? Number.POSITIVE_INFINITY;
        for await (const event of arriving(
          clientFor(contextOf(command, terminal)),
          given({ type, target }),
          lines,
          interval,
        )) {
          await terminal.out(
            json === true ? `${safeJson(event)}\n` : `${eventRow(event).map(visibleLine).join('  ')}\n`,
          );
          if (--left <= 0) return;
        }
      },
    );

  audit
    .command('checkpoint')
    .summary('the latest signed checkpoint')
    .description(
      'Prints the signed note of the log as it is now, and the key to verify it with. Keep both elsewhere: later the log must still agree.',
    )
    .option('--json', 'print JSON')
    .action(async ({ json }: { json?: boolean }, command) => {
      const checkpoint = await clientFor(contextOf(command, terminal)).checkpoint();
      if (json === true) return printJson(terminal, checkpoint);
      await terminal.out(`${checkpoint.note.split('\n').map(visibleLine).join('\n').trimEnd()}\n`);
      terminal.err(`\nkey: ${visibleLine(checkpoint.vkey)}\n`);
    });

  audit
    .command('export')
    .summary('download the log, to be verified offline')
    .requiredOption('-o, --output <file>', 'the tar archive to write')
    .addHelpText(
      'after',
      examples('sallyport audit export --output audit.tar', 'sallyport audit verify audit.tar --vkey "$(cat key.txt)"'),
    )
    .action(async ({ output }: { output: string }, command) => {
      const bytes = await clientFor(contextOf(command, terminal)).exportAudit();
      // What is only half there must not look like the whole log.
      const part = `${output}.part`;
      try {
        await pipeline(bytes, createWriteStream(part, { mode: 0o600, flags: 'wx' }));
        await rename(part, output);
      } catch (error) {
        await rm(part, { force: true });
        throw error;
      }
      terminal.err(`Wrote ${output}. Verify it with: sallyport audit verify ${output}\n`);
    });

  audit
    .command('verify <path>')
    .summary('check a log or an export, offline')
    .description(
      `Recomputes the log from its entries: every event is where it was, unchanged, and the checkpoint is signed.\nNeeds no server. Exits with ${exitCodes.no} when anything is wrong, and names the first entry that is.`,
    )
    .option('--vkey <key>', 'the key that you kept; without it the one beside the log is used, which proves less')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'sallyport audit verify audit.tar',
        'sallyport audit verify ./data/audit --vkey "gateway.example+f00dcafe+ARpc2V…"',
      ),
    )
    .action(async (path: string, { vkey, json }: { vkey?: string; json?: boolean }) => {
      const key = vkey ?? (await keyInLog(path));
      const { verifyLog } = await import('../../audit/verify.ts');
      const report = await verifyLog(path, { vkey: key });
      if (json === true) await printJson(terminal, report);
      else await terminal.out(verdict(report, vkey === undefined));
      if (!report.ok) throw new Failure(exitCodes.no, 'the log does not verify');
    });
};

/** The key that a log or an export brings along. Good against accidents, not against whoever replaced both. */
async function keyInLog(path: string): Promise<string> {
  const { openSource } = await import('../../audit/source.ts');
  const source = openSource(path);
  try {
    const key = source.read('log.vkey')?.toString('utf8').trim();
    if (key === undefined)
      throw new Failure(exitCodes.usage, 'the log brings no key along; give the one you kept: --vkey KEY');
    return key;
  } finally {
    source.close();
  }
}

/** Events in the order of the log: the last `lines`, then what comes. */
async function* arriving(client: Client, filter: Filter, lines: number, intervalMs: number): AsyncIterable<AuditItem> {
  const { items } = await client.auditEvents({ ...filter, limit: Math.min(500, lines) });
  let last = items[0]?.seq ?? 0;
  yield* items.toReversed();
  for (;;) {
    const { items: next } = await client.auditEvents({ ...filter, limit: 500, after: String(last) });
    yield* next;
    last = next.at(-1)?.seq ?? last;
    if (next.length < 500) await pause(intervalMs);
  }
}

const shownElsewhere = new Set(['seq', 'time', 'type', 'principal', 'target', 'session']);

function eventRow(event: AuditItem): string[] {
  const what = Object.entries(event)
    .filter(([key]) => !shownElsewhere.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
  const cell = (value: unknown) => (typeof value === 'string' ? value : '-');
  return [
    String(event.seq),
    event.time,
    event.type,
    cell(event.principal),
    cell(event.target),
    what.length > 160 ? `${what.slice(0, 159)}…` : what,
  ];
}
