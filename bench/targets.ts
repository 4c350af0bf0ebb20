import { disturbed } from './foreign-load.ts';
import type { WebPath, WebResult, WrkResult } from './http-small.ts';
import type { IdleResult } from './idle-connections.ts';
import type { LargePath, LargeResult } from './large-result.ts';
import type { SmallPath, SmallResult } from './small-statements.ts';
import { difference, pairwise, ratio, type Spread, spread } from './statistics.ts';
import type { Transfer, TransferResult } from './transfers.ts';

export type Result = SmallResult | LargeResult | IdleResult | WebResult | TransferResult;

/** What Sallyport wants to reach with every control on. */
export interface Target {
  readonly text: string;
  readonly unit: string;
  readonly digits: number;
  readonly better: 'higher' | 'lower';
  readonly floor: number;
  readonly aim: number | undefined;
  /** Undefined when this run did not measure it. */
  readonly reached: Spread | undefined;
  /** Other programs had so much of the machine that nothing can be said. */
  readonly disturbed: boolean;
}

export type Verdict = 'aim reached' | 'reached' | 'NOT REACHED' | 'not measured' | 'machine too busy to judge';

/** Judged by the median. */
export function verdictOf({ reached, better, floor, aim, disturbed }: Target): Verdict {
  if (reached === undefined || Number.isNaN(reached.median)) return 'not measured';
  if (disturbed) return 'machine too busy to judge';
  const meets = (goal: number) => (better === 'higher' ? reached.median >= goal : reached.median <= goal);
  if (aim !== undefined && meets(aim)) return 'aim reached';
  return meets(floor) ? 'reached' : 'NOT REACHED';
}

/** Ratios and differences are taken round by round, and the median of those is judged. */
export function judge(results: readonly Result[]): readonly Target[] {
  return [...judgePostgres(results), ...judgeHttpAndGit(results)];
}

function judgePostgres(results: readonly Result[]): readonly Target[] {
  const busy = small(results, 'simple-32');
  const lone = small(results, 'simple-1');
  const large = results.find((result) => result.kind === 'large');
  const idle = results.find((result) => result.kind === 'idle');
  // The write is part of what is added, so the target moves with the disk: only what comes on top of it is judged.
  const onTop = lone && pairwise(addedPerRound(lone), lone.durableWrite, (a, b) => a - b);
  const share = (path: LargePath) => large && ratio(speeds(large, path), speeds(large, 'direct'));
  const noisy = (result: SmallResult | LargeResult | undefined) => result !== undefined && disturbed(result.foreign);
  const part = { unit: '× direct', digits: 2, better: 'higher', aim: undefined } as const;
  const lower = { unit: 'µs', digits: 0, better: 'lower', aim: undefined } as const;
  return [
    {
      text: 'select-only, simple, 32 clients: tps',
      ...part,
      unit: '× PgBouncer',
      floor: 0.6,
      aim: 0.75,
      disturbed: noisy(busy),
      reached: busy && ratio(figures(busy, 'sallyport', 'tps'), figures(busy, 'pgbouncer', 'tps')),
    },
    {
      text: 'the same: CPU per statement',
      ...part,
      unit: '× PgBouncer',
      better: 'lower',
      floor: 1.9,
      aim: 1.6,
      disturbed: noisy(busy),
      reached: busy && ratio(figures(busy, 'sallyport', 'cpuPerQuery'), figures(busy, 'pgbouncer', 'cpuPerQuery')),
    },
    {
      text: 'select-only, simple, 1 client: added p50 beyond a durable write',
      ...lower,
      floor: 60,
      aim: 35,
      disturbed: noisy(lone),
      reached: onTop,
    },
    {
      text: 'the same: added p99',
      ...lower,
      floor: 500,
      disturbed: noisy(lone),
      reached: lone && difference(figures(lone, 'sallyport', 'p99'), figures(lone, 'direct', 'p99')),
    },
    { text: 'large result, masked', ...part, floor: 0.95, disturbed: noisy(large), reached: share('masked') },
    {
      text: 'large result, masked, with detectors',
      ...part,
      floor: 0.9,
      disturbed: noisy(large),
      reached: share('detected'),
    },
    {
      text: 'large result, masked, with detectors, recorded',
      ...part,
      floor: 0.55,
      aim: 0.75,
      disturbed: noisy(large),
      reached: share('recorded'),
    },
    {
      text: `memory with ${idle?.connections ?? 1000} idle connections`,
      ...lower,
      unit: 'MB',
      floor: 100,
      disturbed: false, // Memory does not depend on who else has the CPU.
      reached: idle && spread([idle.paths.sallyport.after / 1e6]),
    },
  ];
}

function judgeHttpAndGit(results: readonly Result[]): readonly Target[] {
  const busy = results.find(
    (result): result is WebResult => result.kind === 'web' && result.scenario.name === 'http-32',
  );
  const [large, masked, clone] = ['http-large', 'http-mask', 'git-clone'].map((name) =>
    results.find((result): result is TransferResult => result.kind === 'transfer' && result.name === name),
  );
  const noisy = (result: WebResult | TransferResult | undefined) => result !== undefined && disturbed(result.foreign);
  const higher = { digits: 2, better: 'higher', aim: undefined } as const;
  const lower = { ...higher, better: 'lower' } as const;
  return [
    {
      text: 'small HTTP requests, 32 connections: requests per second',
      ...higher,
      unit: '× nginx',
      floor: 0.45,
      disturbed: noisy(busy),
      reached: busy && ratio(webFigures(busy, 'sallyport', 'rps'), webFigures(busy, 'nginx', 'rps')),
    },
    {
      text: 'HTTP body of 100 MB',
      ...higher,
      unit: '× direct',
      floor: 0.85,
      disturbed: noisy(large),
      reached: large && ratio(transferSpeeds(large, sallyport(large)), transferSpeeds(large, 0)),
    },
    {
      text: 'the same: memory that it takes',
      ...lower,
      digits: 0,
      unit: 'MB',
      floor: 64,
      disturbed: false, // Memory does not depend on who else has the CPU.
      reached: large && spread(large.paths[sallyport(large)]!.rounds.map(grown)),
    },
    {
      text: 'JSON reply of 10 MB, masked, with detectors, recorded',
      ...higher,
      digits: 0,
      unit: 'MB/s',
      floor: 100,
      disturbed: noisy(masked),
      reached: masked && spread(transferSpeeds(masked, sallyport(masked))),
    },
    {
      text: 'git clone of 200 MB, recorded: time',
      ...lower,
      unit: '× direct',
      floor: 1.3,
      disturbed: noisy(clone),
      reached: clone && ratio(transferSeconds(clone, sallyport(clone)), transferSeconds(clone, 0)),
    },
  ];
}

export function webFigures(
  result: WebResult,
  path: WebPath,
  figure: keyof Omit<WrkResult, 'foreign'>,
): readonly number[] {
  return result.rounds[path].map((round) => round[figure] ?? Number.NaN);
}

/** Which of the paths is the gateway's. */
function sallyport({ paths }: TransferResult): number {
  return paths.findIndex(({ label }) => label.startsWith('Sallyport'));
}

export function transferSeconds({ paths }: TransferResult, path: number): readonly number[] {
  return paths[path]!.rounds.map(({ seconds }) => seconds);
}

/** MB/s of what the server sends, whatever masking makes of it. */
export function transferSpeeds(result: TransferResult, path: number): readonly number[] {
  return transferSeconds(result, path).map((seconds) => result.size / 1e6 / seconds);
}

/** MB by which the process grew at most. */
export function grown({ peak, before }: Transfer): number {
  return peak === undefined || before === undefined ? Number.NaN : Math.max(0, peak - before) / 1e6;
}

function small(results: readonly Result[], name: string): SmallResult | undefined {
  return results.find((result): result is SmallResult => result.kind === 'small' && result.scenario.name === name);
}

export type Figure = 'tps' | 'p50' | 'p99' | 'cpuPerQuery';

/** One figure of a path, for each round. */
export function figures(result: SmallResult, path: SmallPath, figure: Figure): readonly number[] {
  return result.rounds[path].map((round) => round[figure] ?? Number.NaN);
}

function addedPerRound(result: SmallResult): readonly number[] {
  const direct = figures(result, 'direct', 'p50');
  return figures(result, 'sallyport', 'p50').map((value, round) => value - direct[round]!);
}

export function speeds(result: LargeResult, path: LargePath): readonly number[] {
  return result.rounds[path].map((run) => run.mbPerSecond);
}
