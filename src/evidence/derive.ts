import type { Checkpoint } from '../audit/note.ts';
import { controls } from './controls.ts';
import { Coverage } from './coverage.ts';
import { csvLine } from './csv.ts';
import { type Entry, eventsOf } from './entry-files.ts';
import { exceptionKinds } from './exception-kinds.ts';
import { frameworkSources, themes } from './frameworks.ts';
import { jsonText } from './json.ts';
import { Ledger } from './ledger.ts';
import type { Parameters } from './manifest.ts';
import { populations } from './populations.ts';
import { readme } from './readme.ts';
import { report } from './report.ts';
import { type ProofOf, writeSamples } from './samples.ts';
import type { LogProof } from './select.ts';
import { type Sink, writeText } from './sink.ts';
import { type ControlStatus, controlStatuses } from './status.ts';
import { openTables, Tables } from './tables.ts';
import { CsvWriter, writePopulation } from './write-population.ts';

/** The events of a package, as they lie in it. */
export interface DeriveInput {
  readonly checkpoint: Checkpoint;
  readonly proof: LogProof;
  readonly parameters: Parameters;
  /** Identities that left, by principal: when. RFC 3339, UTC, ms. */
  readonly leavers: ReadonlyMap<string, string>;
  /** Entries in the order of the log: those outside of the period first, then the period's, then what lies behind. */
  readonly entries: () => Iterable<Entry>;
  readonly proofOf: ProofOf;
}

/** What a package came to. */
export interface Derived {
  readonly events: number;
  readonly statuses: readonly ControlStatus[];
  readonly exceptions: number;
  readonly populations: readonly { readonly name: string; readonly rows: number }[];
  /** Of the period's seconds, for how many the log shows the gateway at work. */
  readonly covered: number;
  readonly seconds: number;
}

/**
 * Everything in a package that follows from its events: made when it is built, and made again when it is verified. Depends on its
 * input alone: not on time, place or chance.
 */
export function derive(input: DeriveInput, sink: Sink): Derived {
  const tables = new Tables(openTables());
  try {
    return deriveInto(tables, input, sink);
  } finally {
    tables.close();
  }
}

function deriveInto(tables: Tables, input: DeriveInput, sink: Sink): Derived {
  const { parameters, proof, checkpoint } = input;
  for (const [principal, left] of input.leavers) tables.insert('leavers', { principal, left });
  const { ledger, coverage } = readEvents(tables, input);
  const { from, seed, samples } = parameters;

  const exceptions = writeExceptions(tables, parameters, sink);
  const sampled = populations.map((population) => writePopulation(tables, population, { from, seed, samples }, sink));
  const rows = new Map(sampled.map(({ population, totals }) => [population.name, totals.rows]));
  const example = writeSamples(tables, sampled, input.entries, input.proofOf, sink);
  const days = writeCoverage(tables, coverage, ledger, sink);
  const begins = days.find((day) => day.events > 0)?.day ?? from.slice(0, 10);
  const statuses = controlStatuses({ rows, exceptions, begins });
  writeControls(statuses, sink);

  const covered = days.reduce((sum, day) => sum + day.covered, 0);
  const seconds = days.reduce((sum, day) => sum + day.seconds, 0);
  writeText(
    sink,
    'report.html',
    report({
      checkpoint,
      proof,
      parameters,
      tables,
      statuses,
      exceptions,
      coverage: { covered, seconds, days, events: coverage.events, heartbeats: coverage.heartbeats },
      populations: sampled,
      ...(example === undefined ? {} : { example: example.map(({ event, entry }) => ({ event, entry })) }),
    }),
  );
  writeText(sink, 'README.txt', readme(checkpoint.origin));
  return {
    events: coverage.events,
    statuses,
    exceptions: [...exceptions.values()].reduce((sum, { count }) => sum + count, 0),
    populations: [...rows].map(([name, count]) => ({ name, rows: count })),
    covered,
    seconds,
  };
}

function readEvents(tables: Tables, { parameters, proof, checkpoint, entries }: DeriveInput) {
  const ledger = new Ledger(tables, parameters);
  const coverage = new Coverage(parameters, parameters.silence, ({ seq, from, to, seconds, cause }) =>
    tables.run(
      'INSERT INTO gaps VALUES (NULL, ?, ?, ?, ?, ?)',
      from,
      to,
      seconds,
      cause,
      seq === 0 ? null : `event ${seq} follows`,
    ),
  );
  const context = new Set(proof.context);
  for (const entry of entries()) {
    if (entry.index >= proof.to) continue;
    for (const event of eventsOf(entry)) {
      if (event.time >= parameters.to) continue;
      if (event.time >= parameters.from) coverage.add(event);
      else if (context.has(event.seq)) coverage.before(event);
      else continue;
      ledger.add(event);
    }
  }
  ledger.end();
  coverage.end(proof.to < checkpoint.size);
  tables.db.exec('COMMIT; ANALYZE; BEGIN');
  return { ledger, coverage };
}

/** Kind → how many, and when the last one was. */
export type ExceptionCounts = ReadonlyMap<string, { readonly count: number; readonly last: string }>;

function writeExceptions(tables: Tables, { from, to, failures, rows }: Parameters, sink: Sink): ExceptionCounts {
  const columns = ['seq', 'kind', 'severity', 'time', 'session', 'principal', 'target', 'what', 'means'];
  const writer = new CsvWriter(sink, 'exceptions', columns);
  const counts = new Map<string, { count: number; last: string }>();
  for (const { kind, severity, means, sql } of exceptionKinds) {
    for (const row of tables.rows(sql, { from, to, failures, rows })) {
      const { seq = null, time = null, session = null, principal = null, target = null, what = null } = row;
      writer.row([seq, kind, severity, time, session, principal, target, what, means]);
      tables.insert('exceptions', { seq, time, kind, session, principal, target, what });
      if (severity === 'info') continue;
      const known = counts.get(kind);
      counts.set(kind, { count: (known?.count ?? 0) + 1, last: String(time) });
    }
  }
  const queries = exceptionKinds.map(({ kind, severity, means, sql }) => ({
    kind,
    severity,
    means,
    query: sql.replaceAll(/\s+/g, ' '),
  }));
  writeText(
    sink,
    'exceptions.spec.json',
    jsonText({ ...writer.end(), parameters: { from, to, failures, rows }, kinds: queries }),
  );
  return counts;
}

function writeCoverage(tables: Tables, coverage: Coverage, ledger: Ledger, sink: Sink) {
  const days = [...coverage.days()];
  const lines = [csvLine(['day', 'seconds', 'covered_seconds', 'heartbeats', 'events'])];
  for (const { day, seconds, covered, heartbeats, events } of days)
    lines.push(csvLine([day, seconds, covered, heartbeats, events]));
  writeText(sink, 'coverage/days.csv', lines.join(''));

  const gaps = new CsvWriter(sink, 'coverage/gaps', ['from', 'to', 'seconds', 'cause', 'known']);
  for (const { from = null, to = null, seconds = null, cause = null, known = null } of tables.rows(
    'SELECT * FROM gaps ORDER BY seq',
  ))
    gaps.row([from, to, seconds, cause, known]);
  gaps.end();

  const types = [...ledger.types].toSorted(([a], [b]) => (a < b ? -1 : 1));
  writeText(
    sink,
    'coverage/events.csv',
    [csvLine(['type', 'events']), ...types.map(([type, count]) => csvLine([type, count]))].join(''),
  );
  const { events, heartbeats, backwards, longestBeat, longestDrift } = coverage;
  const clock = {
    events,
    heartbeats,
    timesThatRunBackwards: backwards,
    longestBetweenHeartbeatsMs: longestBeat,
    longestDriftBetweenClockAndUptimeSeconds: longestDrift,
    note: 'The log keeps its times from running backwards. How far the machine’s clock is from the true time is not in the log: compare with its time synchronisation.',
  };
  writeText(sink, 'coverage/clock.json', jsonText(clock));
  return days;
}

function writeControls(statuses: readonly ControlStatus[], sink: Sink): void {
  const lines = statuses.map((status, i) => {
    const control = controls[i] as (typeof controls)[number];
    const mapped = themes.filter(({ id }) => control.themes.includes(id));
    const numbers = (of: 'iso27001' | 'pci' | 'hipaa' | 'nist') =>
      [...new Set(mapped.flatMap((theme) => theme[of]))].join('; ');
    return csvLine([
      status.id,
      status.title,
      status.status,
      status.since ?? null,
      status.exceptions,
      control.shows,
      control.populations.join('; '),
      control.exceptions.join('; '),
      status.missing.join('; '),
      numbers('iso27001'),
      numbers('pci'),
      numbers('hipaa'),
      numbers('nist'),
    ]);
  });
  const head = [
    'control',
    'title',
    'status',
    'since',
    'exceptions',
    'shows',
    'populations',
    'exception_kinds',
    'missing',
  ];
  writeText(sink, 'controls.csv', csvLine([...head, 'iso_27001', 'pci_dss', 'hipaa', 'nist_800_53']) + lines.join(''));
  writeText(sink, 'frameworks.json', jsonText({ sources: frameworkSources, themes }));
}
