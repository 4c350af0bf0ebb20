import { disturbed, type ForeignLoad } from './foreign-load.ts';
import { type WebPath, type WebResult, type WrkResult, webPaths } from './http-small.ts';
import type { IdleResult } from './idle-connections.ts';
import { type LargePath, type LargeResult, largePaths } from './large-result.ts';
import { type SmallPath, type SmallResult, smallPaths } from './small-statements.ts';
import { difference, ratio, spread } from './statistics.ts';
import { cell, number, table } from './table.ts';
import {
  type Figure,
  figures,
  grown,
  judge,
  type Result,
  speeds,
  transferSeconds,
  transferSpeeds,
  verdictOf,
  webFigures,
} from './targets.ts';
import type { Transfer, TransferResult } from './transfers.ts';

/** The result of one scenario as text. Every figure is the median of the rounds, with the smallest and the largest. */
export function report(result: Result): string {
  switch (result.kind) {
    case 'small':
      return reportSmall(result);
    case 'large':
      return reportLarge(result);
    case 'idle':
      return reportIdle(result);
    case 'web':
      return reportWeb(result);
    case 'transfer':
      return reportTransfer(result);
  }
}

const names = { direct: 'direct', pgbouncer: 'PgBouncer', nginx: 'nginx', sallyport: 'Sallyport' };

function reportSmall(result: SmallResult): string {
  const { scenario, rounds, durableWrite, foreign } = result;
  const column = (path: SmallPath, figure: Figure) => figures(result, path, figure);
  const times = (base: SmallPath, path: SmallPath, figure: Figure) =>
    smallPaths.indexOf(path) <= smallPaths.indexOf(base)
      ? ''
      : cell(ratio(column(path, figure), column(base, figure)), 2);
  const work = smallPaths.map((path) => [
    names[path],
    cell(spread(column(path, 'tps'))),
    times('direct', path, 'tps'),
    times('pgbouncer', path, 'tps'),
    path === 'direct' ? '' : cell(spread(column(path, 'cpuPerQuery')), 1),
    times('pgbouncer', path, 'cpuPerQuery'),
  ]);
  const waiting = smallPaths.map((path) => [
    names[path],
    ...(['p50', 'p99'] as const).flatMap((figure) => [
      cell(spread(column(path, figure))),
      path === 'direct' ? '' : cell(difference(column(path, figure), column('direct', figure))),
    ]),
  ]);
  const what =
    scenario.script === 'select-only' ? `select-only, ${scenario.mode}` : 'TPC-B (7 statements a transaction), simple';
  const clients = scenario.clients === 1 ? '1 client' : `${scenario.clients} clients`;
  return [
    `${scenario.name}: ${what}, ${clients}, ${roundsText(rounds.direct.length)}`,
    table(['', 'tps', '× direct', '× PgBouncer', 'CPU µs/statement', '× PgBouncer'], work),
    table(['', 'p50 µs', 'added', 'p99 µs', 'added'], waiting),
    `  durable write ${cell(spread(durableWrite))} µs · ${foreignText(foreign)}`,
  ].join('\n');
}

function reportLarge(result: LargeResult): string {
  const rows = (Object.keys(largePaths) as LargePath[]).map((path) => {
    const runs = result.rounds[path];
    const numbers = (pick: (run: (typeof runs)[number]) => number | undefined) =>
      runs.map((run) => pick(run) ?? Number.NaN);
    return [
      largePaths[path],
      cell(spread(speeds(result, path))),
      path === 'direct' ? '' : cell(ratio(speeds(result, path), speeds(result, 'direct')), 2),
      path === 'direct' ? '' : cell(spread(numbers((run) => run.cpuMsPerMb)), 2),
      path === 'direct' ? '' : cell(spread(numbers((run) => (run.peak === undefined ? undefined : run.peak / 1e6)))),
    ];
  });
  const size = `${number(result.rows)} rows, ${number(result.size / 1e6)} MB`;
  return [
    `rows: one result of ${size}, ${roundsText(result.rounds.direct.length)}`,
    table(['', 'MB/s', '× direct', 'CPU ms/MB', 'peak MB'], rows),
    `  ${foreignText(result.foreign)}`,
  ].join('\n');
}

function reportIdle({ connections, paths }: IdleResult): string {
  const rows = (['pgbouncer', 'sallyport'] as const).map((path) => {
    const { before, after } = paths[path];
    const each = (after - before) / connections / 1000;
    return [names[path], number(before / 1e6, 1), number(after / 1e6, 1), number(each, 1)];
  });
  return [
    `idle: ${number(connections)} idle connections`,
    table(['', 'MB before', 'MB with them', 'kB each'], rows),
  ].join('\n');
}

function reportWeb(result: WebResult): string {
  const { scenario, rounds, durableWrite, foreign } = result;
  const column = (path: WebPath, figure: keyof Omit<WrkResult, 'foreign'>) => webFigures(result, path, figure);
  const times = (base: WebPath, path: WebPath, figure: 'rps' | 'cpuPerRequest') =>
    webPaths.indexOf(path) <= webPaths.indexOf(base) ? '' : cell(ratio(column(path, figure), column(base, figure)), 2);
  const work = webPaths.map((path) => [
    names[path],
    cell(spread(column(path, 'rps'))),
    times('direct', path, 'rps'),
    times('nginx', path, 'rps'),
    path === 'direct' ? '' : cell(spread(column(path, 'cpuPerRequest')), 1),
    times('nginx', path, 'cpuPerRequest'),
  ]);
  const waiting = webPaths.map((path) => [
    names[path],
    ...(['p50', 'p99'] as const).flatMap((figure) => [
      cell(spread(column(path, figure))),
      path === 'direct' ? '' : cell(difference(column(path, figure), column('direct', figure))),
    ]),
  ]);
  const connections = scenario.connections === 1 ? '1 connection' : `${scenario.connections} connections`;
  return [
    `${scenario.name}: GET of a small JSON reply, ${connections}, ${roundsText(rounds.direct.length)}`,
    table(['', 'requests/s', '× direct', '× nginx', 'CPU µs/request', '× nginx'], work),
    table(['', 'p50 µs', 'added', 'p99 µs', 'added'], waiting),
    `  durable write ${cell(spread(durableWrite))} µs · ${foreignText(foreign)}`,
  ].join('\n');
}

function reportTransfer(result: TransferResult): string {
  const { name, title, paths, foreign } = result;
  const rows = paths.map(({ label, rounds }, index) => {
    const of = (pick: (run: Transfer) => number | undefined) => spread(rounds.map((run) => pick(run) ?? Number.NaN));
    const proxied = of(({ cpuMsPerMb }) => cpuMsPerMb);
    const through = !Number.isNaN(proxied.median);
    return [
      label,
      cell(spread(transferSeconds(result, index)), 2),
      index === 0 ? '' : cell(ratio(transferSeconds(result, index), transferSeconds(result, 0)), 2),
      cell(spread(transferSpeeds(result, index))),
      index === 0 ? '' : cell(ratio(transferSpeeds(result, index), transferSpeeds(result, 0)), 2),
      through ? cell(proxied, 2) : '',
      through ? cell(of(({ peak }) => (peak === undefined ? undefined : peak / 1e6))) : '',
      through ? cell(of(grown)) : '',
    ];
  });
  const head = ['', 'seconds', '× direct', 'MB/s', '× direct', 'CPU ms/MB', 'peak MB', 'grown MB'];
  return [
    `${name}: ${title}, ${roundsText(paths[0]!.rounds.length)}`,
    table(head, rows),
    `  ${foreignText(foreign)}`,
  ].join('\n');
}

function roundsText(count: number): string {
  return count === 1 ? '1 round' : `${count} rounds`;
}

function foreignText(foreign: readonly ForeignLoad[]): string {
  const programs = spread(foreign.map((load) => load.programs));
  const stolen = spread(foreign.map((load) => load.stolen));
  const warning = disturbed(foreign) ? ' — too much to trust these figures' : '';
  return `CPU used by others ${cell(programs, 1)} %, stolen ${cell(stolen, 1)} %${warning}`;
}

/** Each target with what was reached. */
export function reportTargets(results: readonly Result[]): string {
  const rows = judge(results).map((target) => {
    const sign = target.better === 'higher' ? '≥' : '≤';
    const goal = (value: number | undefined) => (value === undefined ? '' : `${sign} ${number(value, target.digits)}`);
    return [
      target.text,
      target.unit,
      goal(target.floor),
      goal(target.aim),
      cell(target.reached, target.digits),
      verdictOf(target),
    ];
  });
  return ['targets', table(['', 'unit', 'floor', 'aim', 'measured', ''], rows)].join('\n');
}
