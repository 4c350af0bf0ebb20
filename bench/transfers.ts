import { setTimeout as sleep } from 'node:timers/promises';
import { type ForeignLoad, watchForeignLoad } from './foreign-load.ts';
import { cpuOfTree, memoryOf, resetPeak } from './proc.ts';

/** One way of the same bytes. */
export interface TransferPath {
  readonly label: string;
  /** The proxy whose CPU is measured; undefined where there is none. */
  readonly proxy: number | undefined;
  /** Takes the bytes once; resolves to the seconds that it took, and rejects when they are not all there. */
  run(): Promise<number>;
}

export interface Transfer {
  readonly seconds: number;
  readonly cpuMsPerMb: number | undefined;
  /** Bytes; the proxy's largest resident size meanwhile, and what it was before. */
  readonly peak: number | undefined;
  readonly before: number | undefined;
  readonly foreign: ForeignLoad;
}

export interface TransferResult {
  readonly kind: 'transfer';
  readonly name: string;
  readonly title: string;
  /** Bytes, once. */
  readonly size: number;
  /** Direct first. A transfer for each round; the same index is the same round. */
  readonly paths: readonly { readonly label: string; readonly rounds: readonly Transfer[] }[];
  readonly foreign: readonly ForeignLoad[];
}

export interface TransferScenario {
  readonly name: string;
  readonly title: string;
  readonly size: number;
  readonly paths: readonly TransferPath[];
}

/** For what the gateway still owes its recording when the last byte is there: that CPU is the transfer's, too. */
const settleMs = 300;

/** The paths take turns, and each round begins with another. */
export async function measureTransfers(
  { name, title, size, paths }: TransferScenario,
  rounds: number,
  signal: AbortSignal,
): Promise<TransferResult> {
  const results = paths.map(({ label }) => ({ label, rounds: [] as Transfer[] }));
  for (const path of paths) await measureOne(path, size, signal); // Warms caches and compilers; not counted.
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < paths.length; turn++) {
      const index = (round + turn) % paths.length;
      results[index]!.rounds.push(await measureOne(paths[index]!, size, signal));
    }
  }
  const foreign = results.flatMap((path) => path.rounds.map((run) => run.foreign));
  return { kind: 'transfer', name, title, size, paths: results, foreign };
}

async function measureOne({ proxy, run }: TransferPath, size: number, signal: AbortSignal): Promise<Transfer> {
  if (proxy !== undefined) resetPeak(proxy);
  const before = proxy === undefined ? undefined : { cpu: cpuOfTree(proxy), rss: memoryOf(proxy).rss };
  const foreign = watchForeignLoad();
  const seconds = await run();
  const load = foreign();
  if (proxy === undefined || before === undefined)
    return { seconds, cpuMsPerMb: undefined, peak: undefined, before: undefined, foreign: load };
  await sleep(settleMs, undefined, { signal });
  return {
    seconds,
    cpuMsPerMb: (cpuOfTree(proxy) - before.cpu) / 1000 / (size / 1e6),
    peak: memoryOf(proxy).peak,
    before: before.rss,
    foreign: load,
  };
}
