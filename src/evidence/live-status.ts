import type { RecordedEvent } from '../model/event.ts';
import { Coverage } from './coverage.ts';
import { exceptionKinds } from './exception-kinds.ts';
import { Ledger } from './ledger.ts';
import type { Parameters } from './manifest.ts';
import { populations } from './populations.ts';
import { type ControlStatus, controlStatuses } from './status.ts';
import { openTables, Tables } from './tables.ts';

export interface LiveStatus {
  readonly from: string;
  readonly to: string;
  readonly events: number;
  readonly covered: number;
  readonly seconds: number;
  readonly controls: readonly ControlStatus[];
  readonly exceptions: readonly {
    readonly kind: string;
    readonly severity: string;
    readonly count: number;
    readonly last: string;
    readonly means: string;
  }[];
}

/**
 * How the criteria stand by the events of a period, without a package. `events` in order; those before the period say what was open
 * when it began, so begin a day ahead. Nothing is proved by it: it takes the events as they are given.
 */
export async function liveStatus(
  events: AsyncIterable<RecordedEvent> | Iterable<RecordedEvent>,
  parameters: Omit<Parameters, 'seed' | 'samples'>,
): Promise<LiveStatus> {
  const tables = new Tables(openTables());
  try {
    const ledger = new Ledger(tables, parameters);
    const coverage = new Coverage(parameters, parameters.silence, ({ from, to, seconds, cause }) =>
      tables.run('INSERT INTO gaps VALUES (NULL, ?, ?, ?, ?, NULL)', from, to, seconds, cause),
    );
    for await (const event of events) {
      if (event.time >= parameters.to) break;
      if (event.time >= parameters.from) coverage.add(event);
      else coverage.before(event);
      ledger.add(event);
    }
    ledger.end();
    coverage.end(false);
    return conclude(tables, coverage, parameters);
  } finally {
    tables.close();
  }
}

function conclude(tables: Tables, coverage: Coverage, parameters: Omit<Parameters, 'seed' | 'samples'>): LiveStatus {
  const { from, to, failures, rows: large } = parameters;
  const days = [...coverage.days()];
  const rows = new Map(
    populations.map(({ name, sql }) => {
      const [count] = [...tables.rows(`SELECT count(*) AS rows FROM (${sql})`, { from })];
      return [name, Number(count?.rows ?? 0)] as const;
    }),
  );
  const exceptions = exceptionKinds.flatMap(({ kind, severity, means, sql }) => {
    const counted = `SELECT count(*) AS count, max(time) AS last FROM (${sql})`;
    const [found] = [...tables.rows(counted, { from, to, failures, rows: large })];
    const count = Number(found?.count ?? 0);
    return count === 0 ? [] : [{ kind, severity, means, count, last: String(found?.last) }];
  });
  const against = exceptions.filter(({ severity }) => severity !== 'info');
  return {
    from,
    to,
    events: coverage.events,
    covered: days.reduce((sum, day) => sum + day.covered, 0),
    seconds: days.reduce((sum, day) => sum + day.seconds, 0),
    controls: controlStatuses({
      rows,
      exceptions: new Map(against.map(({ kind, count, last }) => [kind, { count, last }])),
      begins: days.find((day) => day.events > 0)?.day ?? from.slice(0, 10),
    }),
    exceptions,
  };
}
