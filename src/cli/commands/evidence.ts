import { createWriteStream, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Client } from '../../client/client.ts';
import type { Built } from '../../evidence/build.ts';
import type { LiveStatus } from '../../evidence/live-status.ts';
import type { EvidenceReport } from '../../evidence/verify.ts';
import type { RecordedEvent } from '../../model/event.ts';
import { type Commands, contextOf, count, examples, given } from '../command.ts';
import { clientFor, printJson } from '../context.ts';
import { exitCodes, Failure } from '../exit.ts';
import { details, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { verdict } from '../verdict.ts';
import { visibleLine } from '../visible.ts';

interface Thresholds {
  readonly failedLogins: number;
  readonly rows: number;
  readonly silence: number;
}

interface BuildFlags extends Thresholds {
  readonly from: string;
  readonly to: string;
  readonly output: string;
  readonly log?: string;
  readonly vkey?: string;
  readonly seed?: string;
  readonly samples: number;
  readonly leavers?: string;
  readonly json?: boolean;
}

export const evidenceCommands: Commands = (program, terminal) => {
  const evidence = program
    .command('evidence')
    .summary('evidence for an audit: packages, their verification, how the criteria stand')
    .description(
      'Makes of the audit log what an auditor asks for: lists, samples with their proofs, exceptions, coverage and a report.',
    );

  evidence
    .command('build')
    .summary('make a package for a period')
    .description(
      'Builds a package from an export of the log (--log), offline; without one, an export is fetched from the server, which needs review and records itself.\nThe same log, period and options make the same bytes.',
    )
    .requiredOption('--from <time>', 'first day (2026-01-01) or time of the period, UTC')
    .requiredOption('--to <time>', 'last day, or the time at which it ends')
    .requiredOption('-o, --output <path>', 'a folder to make, or an archive: NAME.tar')
    .option('--log <path>', 'an export of the log (sallyport audit export), or its data folder')
    .option('--vkey <key>', 'the key of the log that you kept')
    .option('--seed <text>', "the auditor's own words, which the samples are drawn with")
    .option('--samples <count>', 'rows drawn from each list', count, 25)
    .option('--leavers <file>', 'CSV of people who left: principal,left')
    .option(
      '--failed-logins <count>',
      'failed logins of one address in an hour that are not yet an exception',
      count,
      10,
    )
    .option('--rows <count>', 'rows of one reply from which on it is looked at; at least 1000', count, 10_000)
    .option('--silence <seconds>', 'seconds without an event that are a gap', count, 150)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'sallyport evidence build --from 2026-01-01 --to 2026-12-31 --output evidence-2026 --seed "chosen by the auditor"',
        'sallyport evidence build --log audit.tar --from 2026-01-01 --to 2026-03-31 --output q1.tar --leavers leavers.csv',
      ),
    )
    .action(async (flags: BuildFlags, command) => {
      const { log } = flags;
      const built =
        log === undefined
          ? await withExport(clientFor(contextOf(command, terminal)), (path) => build(path, flags))
          : await build(log, flags);
      if (!built.ok) {
        await terminal.out(verdict(built.report, flags.vkey === undefined));
        throw new Failure(exitCodes.no, 'the log does not verify, so nothing was made of it');
      }
      if (flags.json === true) await printJson(terminal, { ...built.derived, manifest: built.manifest });
      else await terminal.out(summary(built, flags));
    });

  evidence
    .command('verify <package>')
    .summary('check a package, offline')
    .description(
      `Makes every list, total, sample and page again from the events in the package, and compares. Needs no server.\nExits with ${exitCodes.no} when anything is wrong, and names it.`,
    )
    .option(
      '--vkey <key>',
      'the key of the log that you kept; without it the one in the package is used, which proves less',
    )
    .option('--seed <text>', 'the seed that you gave; samples drawn with another are wrong')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples('sallyport evidence verify evidence-2026 --vkey "$(cat log.vkey)" --seed "chosen by the auditor"'),
    )
    .action(async (path: string, { vkey, seed, json }: { vkey?: string; seed?: string; json?: boolean }) => {
      const { verifyEvidence } = await import('../../evidence/verify.ts');
      const report = verifyEvidence(path, given({ vkey, seed }));
      if (json === true) await printJson(terminal, report);
      else await terminal.out(evidenceVerdict(report, vkey === undefined));
      if (!report.ok) throw new Failure(exitCodes.no, 'the package does not verify');
    });

  evidence
    .command('status')
    .summary('how the criteria stand now')
    .description(
      'What is shown, since when, and what is missing, by the events of the last days. Reads them from the server; needs review.',
    )
    .option('--days <count>', 'how far to look back', count, 30)
    .option('--failed-logins <count>', 'as for build', count, 10)
    .option('--rows <count>', 'as for build', count, 10_000)
    .option('--silence <seconds>', 'as for build', count, 150)
    .option('--json', 'print JSON')
    .action(async ({ days, json, ...thresholds }: Thresholds & { days: number; json?: boolean }, command) => {
      const { liveStatus } = await import('../../evidence/live-status.ts');
      const now = terminal.now();
      const [from, to] = [now - days * dayMs, now].map((ms) => new Date(ms).toISOString()) as [string, string];
      // A day ahead of the period, for what was open when it began.
      const events = eventsFrom(
        clientFor(contextOf(command, terminal)),
        new Date(now - (days + 1) * dayMs).toISOString(),
      );
      const status = await liveStatus(events, { from, to, ...limits(thresholds) });
      await (json === true ? printJson(terminal, status) : printStatus(terminal, status));
    });
};

const dayMs = 86_400_000;

function limits({ failedLogins, rows, silence }: Thresholds) {
  if (rows < 1000) throw new Failure(exitCodes.usage, '--rows: at least 1000');
  return { failures: failedLogins, rows, silence };
}

async function build(log: string, flags: BuildFlags): Promise<Built> {
  const { buildEvidence } = await import('../../evidence/build.ts');
  const { parsePeriod } = await import('../../evidence/period.ts');
  const { NothingToShow } = await import('../../evidence/select.ts');
  const { output, vkey, seed, samples, leavers } = flags;
  if (samples > 1000) throw new Failure(exitCodes.usage, '--samples: at most 1000');
  try {
    return await buildEvidence({
      log,
      output,
      parameters: { ...parsePeriod(flags.from, flags.to), samples, ...limits(flags), ...given({ seed }) },
      ...given({ vkey, leavers: leavers === undefined ? undefined : readFileSync(leavers, 'utf8') }),
    });
  } catch (error) {
    if (error instanceof RangeError) throw new Failure(exitCodes.usage, error.message, { cause: error });
    if (error instanceof NothingToShow) throw new Failure(exitCodes.absent, error.message, { cause: error });
    throw error;
  }
}

/** The log as it is now, in a temporary file that is gone afterwards. */
async function withExport<T>(client: Client, use: (path: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'sallyport-evidence-'));
  try {
    const path = join(dir, 'audit.tar');
    await pipeline(await client.exportAudit(), createWriteStream(path, { mode: 0o600, flags: 'wx' }));
    return await use(path);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Events from a time on, oldest first. */
async function* eventsFrom(client: Client, from: string): AsyncGenerator<RecordedEvent> {
  let after: string | undefined = '0';
  while (after !== undefined) {
    const page: { items: readonly unknown[]; next?: string } = await client.auditEvents({ from, after, limit: 500 });
    yield* page.items as readonly RecordedEvent[];
    after = page.next;
  }
}

function summary({ manifest, derived }: Built & { ok: true }, { output, seed }: BuildFlags): string {
  const { parameters, log } = manifest;
  const shown = derived.statuses.filter(({ status }) => status === 'shown').length;
  return [
    `Wrote ${visibleLine(output)}.\n`,
    details([
      ['log', log.origin],
      ['period', `${parameters.from} to ${parameters.to}`],
      ['covered', share(derived.covered, derived.seconds)],
      ['events', String(derived.events)],
      ['criteria', `${shown} of ${derived.statuses.length} shown without exception`],
      ['exceptions', String(derived.exceptions)],
      ['files', String(manifest.files.length)],
    ]),
    seed === undefined
      ? 'No seed was given, so the samples were drawn with the root of the log. An auditor gives a seed of their own: --seed TEXT.\n'
      : '',
    `Verify it with: sallyport evidence verify ${visibleLine(output)} --vkey KEY\n`,
  ].join('');
}

const mostProblems = 10;

function evidenceVerdict(report: EvidenceReport, keyFromPackage: boolean): string {
  const { ok, problems, problemCount, origin, size, root, from, to, events, samples, populations, manifest } = report;
  const shown = problems
    .slice(0, mostProblems)
    .map(
      ({ file, line, message }) => `  ${visibleLine(`${file}${line === undefined ? '' : `:${line}`}: ${message}`)}\n`,
    );
  return [
    ok
      ? 'VERIFIED: everything in the package follows from events that the log signed.\n'
      : 'NOT VERIFIED: this is not what the log says. The first thing that is wrong:\n',
    ...shown,
    problemCount > shown.length ? `  and ${problemCount - shown.length} more\n` : '',
    details([
      ['origin', origin],
      ['checkpoint', size === undefined ? undefined : `${size} entries, root ${root ?? ''}`],
      ['period', from === undefined ? undefined : `${from} to ${to ?? ''}`],
      [
        'made again',
        `${events} events, ${populations.reduce((sum, { rows }) => sum + rows, 0)} rows in ${populations.length} lists, ${samples} samples`,
      ],
      ['manifest', manifest === 'signed' ? 'signed with the key of the log' : 'bound by hash only'],
    ]),
    ok && keyFromPackage
      ? 'The key came from the package itself, so whoever made another log could have put it there. Compare with one you kept: --vkey KEY.\n'
      : '',
  ].join('');
}

async function printStatus(terminal: Terminal, status: LiveStatus): Promise<void> {
  const { controls, exceptions, from, to, events, covered, seconds } = status;
  const missing = (texts: readonly string[]): string => {
    const text = texts.join('; ');
    return text.length > 90 ? `${text.slice(0, 89)}…` : text;
  };
  await terminal.out(
    table(
      ['CRITERION', 'STATUS', 'SINCE/LAST', 'EXCEPTIONS', 'MISSING'],
      controls.map((one) => [
        one.id,
        one.status,
        one.since?.slice(0, 10) ?? '-',
        String(one.exceptions),
        missing(one.missing),
      ]),
    ),
  );
  if (exceptions.length > 0)
    await terminal.out(
      `\n${table(
        ['EXCEPTION', 'SEVERITY', 'COUNT', 'LAST', 'MEANS'],
        exceptions.map(({ kind, severity, count: many, last, means }) => [kind, severity, String(many), last, means]),
      )}`,
    );
  await terminal.out(
    `\n${details([
      ['period', `${from} to ${to}`],
      ['covered', share(covered, seconds)],
      ['events', String(events)],
    ])}`,
  );
}

function share(part: number, whole: number): string {
  return whole === 0 ? '-' : `${(Math.floor((part / whole) * 10_000) / 100).toFixed(2)} %`;
}
