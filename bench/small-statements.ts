import { measureDurableWrite } from './durable-write.ts';
import type { Endpoint } from './endpoint.ts';
import type { ForeignLoad } from './foreign-load.ts';
import type { BenchGateway } from './gateway.ts';
import { type PgbenchResult, type PgbenchRun, runPgbench } from './pgbench.ts';
import type { World } from './world.ts';

export const smallPaths = ['direct', 'pgbouncer', 'sallyport'] as const;
export type SmallPath = (typeof smallPaths)[number];

export interface SmallScenario {
  readonly name: string;
  readonly script: PgbenchRun['script'];
  readonly mode: PgbenchRun['mode'];
  readonly clients: number;
}

export interface SmallResult {
  readonly kind: 'small';
  readonly scenario: SmallScenario;
  /** A result for each round; the same index is the same round. */
  readonly rounds: Readonly<Record<SmallPath, readonly PgbenchResult[]>>;
  /** µs, measured once in each round, with nothing else running. */
  readonly durableWrite: readonly number[];
  readonly foreign: readonly ForeignLoad[];
}

const modes = ['simple', 'extended', 'prepared'] as const;

export const smallScenarios: readonly SmallScenario[] = [
  ...modes.flatMap((mode) =>
    [1, 8, 32].map((clients) => ({ name: `${mode}-${clients}`, script: 'select-only' as const, mode, clients })),
  ),
  { name: 'tpcb-8', script: 'tpcb-like', mode: 'simple', clients: 8 },
];

/** The paths take turns, and each round begins with another: what else the machine does hits all of them alike. */
export async function measureSmall(
  scenario: SmallScenario,
  gateway: BenchGateway,
  world: World,
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<SmallResult> {
  const { script, mode, clients } = scenario;
  const endpoints: Record<SmallPath, { readonly endpoint: Endpoint; readonly proxy: number | undefined }> = {
    direct: { endpoint: world.direct, proxy: undefined },
    pgbouncer: { endpoint: world.throughPgBouncer, proxy: world.pgbouncer.process.pid },
    sallyport: { endpoint: world.through(gateway, 'full'), proxy: gateway.process.pid },
  };
  const measure = (path: SmallPath, time: number) =>
    runPgbench({ ...endpoints[path], script, mode, clients, seconds: time }, world.tools);
  const results: Record<SmallPath, PgbenchResult[]> = { direct: [], pgbouncer: [], sallyport: [] };
  const durableWrite: number[] = [];
  for (const path of smallPaths) await measure(path, Math.max(2, seconds)); // Warms caches and compilers; not counted.
  for (let round = 0; round < rounds; round++) {
    durableWrite.push(measureDurableWrite(world.folder));
    for (let turn = 0; turn < smallPaths.length; turn++) {
      const path = smallPaths[(round + turn) % smallPaths.length]!;
      results[path].push(await measure(path, seconds));
    }
  }
  const foreign = smallPaths.flatMap((path) => results[path].map((result) => result.foreign));
  return { kind: 'small', scenario, rounds: results, durableWrite, foreign };
}
