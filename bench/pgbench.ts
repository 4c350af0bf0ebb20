import { join } from 'node:path';
import type { Children } from './children.ts';
import { type Endpoint, libpqEnvironment } from './endpoint.ts';
import { type ForeignLoad, watchForeignLoad } from './foreign-load.ts';
import { cpuOf } from './proc.ts';
import { percentile } from './statistics.ts';
import { endedBetween, readTransactionLog, type TransactionLog } from './transaction-log.ts';

export interface PgbenchRun {
  readonly endpoint: Endpoint;
  /** The proxy whose CPU is measured; undefined where there is none. */
  readonly proxy: number | undefined;
  readonly script: 'select-only' | 'tpcb-like';
  readonly mode: 'simple' | 'extended' | 'prepared';
  readonly clients: number;
  readonly seconds: number;
}

export interface PgbenchResult {
  readonly tps: number;
  /** µs, of transactions. */
  readonly p50: number;
  readonly p99: number;
  /** µs of the proxy's CPU for each statement; undefined without a proxy. */
  readonly cpuPerQuery: number | undefined;
  readonly foreign: ForeignLoad;
}

export interface PgbenchTools {
  readonly program: string;
  /** For pgbench's logs. */
  readonly folder: string;
  readonly children: Children;
  readonly signal: AbortSignal;
}

const statements = { 'select-only': 1, 'tpcb-like': 7 };
const sampleEveryMs = 50;
const longestSeconds = 20;

/** One pgbench run. Throughput is pgbench's own figure, without connecting; latencies come from its log of every transaction. */
export async function runPgbench(run: PgbenchRun, tools: PgbenchTools): Promise<PgbenchResult> {
  const { endpoint, script, mode, clients, seconds, proxy } = run;
  const prefix = join(tools.folder, 'transactions');
  const args = ['--no-vacuum', `--builtin=${script}`, `--protocol=${mode}`, `--client=${clients}`, '--jobs=1'];
  const env = libpqEnvironment(endpoint);
  const foreign = watchForeignLoad();
  const samples: Sample[] = [];
  const sample = () => proxy !== undefined && samples.push({ at: Date.now(), cpu: cpuOf(proxy) });
  const sampling = setInterval(sample, sampleEveryMs);
  let output: string;
  try {
    const name = `pgbench ${script} ${mode} with ${clients} clients`;
    const logging = ['--log', `--log-prefix=${prefix}`];
    const options = { env, cwd: tools.folder, signal: tools.signal };
    output = await tools.children.run(name, tools.program, [...args, `--time=${seconds}`, ...logging], options);
  } finally {
    clearInterval(sampling);
  }
  const load = foreign();
  const tps = Number(/^tps = ([\d.]+)/m.exec(output)?.[1]);
  const log = readTransactionLog(prefix);
  if (!(tps > 0) || log.latencies.length === 0) {
    // pgbench's time runs while it connects, too, and on a machine that is busy that can be all of it.
    if (seconds >= longestSeconds) throw new Error(`pgbench measured nothing in ${seconds} s:\n${output}`);
    return runPgbench({ ...run, seconds: seconds * 3 }, tools);
  }
  return {
    tps,
    p50: percentile(log.latencies, 0.5),
    p99: percentile(log.latencies, 0.99),
    cpuPerQuery: proxy === undefined ? undefined : cpuPerQuery(samples, log, statements[script]),
    foreign: load,
  };
}

interface Sample {
  /** ms since the epoch. */
  readonly at: number;
  /** µs. */
  readonly cpu: number;
}

/** Between the first and the last sample inside the run, so that logging in and hanging up are not counted. */
function cpuPerQuery(samples: readonly Sample[], log: TransactionLog, perTransaction: number): number {
  const begin = log.ends[0]! + sampleEveryMs;
  const finish = log.ends.at(-1)!;
  const inside = samples.filter(({ at }) => at >= begin && at <= finish);
  const [first, last] = [inside[0], inside.at(-1)];
  if (first === undefined || last === undefined || first === last) return Number.NaN;
  return (last.cpu - first.cpu) / (endedBetween(log, first.at, last.at) * perTransaction);
}
