import { fileURLToPath } from 'node:url';
import type { Drained, DrainRequest } from './drain.ts';
import type { Endpoint } from './endpoint.ts';
import { type ForeignLoad, watchForeignLoad } from './foreign-load.ts';
import { cpuOf, memoryOf, resetPeak } from './proc.ts';
import type { World } from './world.ts';

/** From the bare server to everything on; each of Sallyport's adds one control to the one before it. */
export const largePaths = {
  direct: 'direct',
  pgbouncer: 'PgBouncer',
  unmasked: 'Sallyport, not masked',
  masked: '… 1 of 8 columns masked',
  detected: '… and detectors',
  recorded: '… and recorded (all on)',
} as const;
export type LargePath = keyof typeof largePaths;

export interface LargeRun {
  readonly seconds: number;
  /** Of the server's own result, whatever masking made of it: what a masked result is shorter by must not count against it. */
  readonly mbPerSecond: number;
  /** Bytes that the client got. */
  readonly bytes: number;
  readonly cpuMsPerMb: number | undefined;
  /** Bytes; the proxy's largest resident size during this result. */
  readonly peak: number | undefined;
  readonly foreign: ForeignLoad;
}

export interface LargeResult {
  readonly kind: 'large';
  readonly name: 'rows';
  readonly rows: number;
  /** Bytes of the result as the server sends it. */
  readonly size: number;
  readonly rounds: Readonly<Record<LargePath, readonly LargeRun[]>>;
  readonly foreign: readonly ForeignLoad[];
}

const drainProgram = fileURLToPath(new URL('drain.ts', import.meta.url));

/** The whole wide table through each path in turn. Gateways that do not record are there to show what each control costs. */
export async function measureLarge(world: World, rounds: number): Promise<LargeResult> {
  const recording = await world.startGateway();
  const silent = await world.startGateway({ recording: false });
  try {
    const paths: Record<LargePath, { readonly endpoint: Endpoint; readonly proxy: number | undefined }> = {
      direct: { endpoint: world.direct, proxy: undefined },
      pgbouncer: { endpoint: world.throughPgBouncer, proxy: world.pgbouncer.process.pid },
      unmasked: { endpoint: world.through(silent, 'plain'), proxy: silent.process.pid },
      masked: { endpoint: world.through(silent, 'masked'), proxy: silent.process.pid },
      detected: { endpoint: world.through(silent, 'full'), proxy: silent.process.pid },
      recorded: { endpoint: world.through(recording, 'full'), proxy: recording.process.pid },
    };
    const names = Object.keys(paths) as LargePath[];
    const { bytes: size } = await drain(world, world.direct);
    const measure = (path: LargePath) => measureOne(world, paths[path].endpoint, paths[path].proxy, size);
    const results = Object.fromEntries(names.map((path) => [path, [] as LargeRun[]])) as Record<LargePath, LargeRun[]>;
    for (const path of names.slice(1)) await measure(path); // Warms caches and compilers; not counted.
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < names.length; turn++) {
        const path = names[(round + turn) % names.length]!;
        results[path].push(await measure(path));
      }
    }
    const foreign = names.flatMap((path) => results[path].map((run) => run.foreign));
    return { kind: 'large', name: 'rows', rows: world.wideRows, size, rounds: results, foreign };
  } finally {
    await recording.stop();
    await silent.stop();
  }
}

async function measureOne(
  world: World,
  endpoint: Endpoint,
  proxy: number | undefined,
  size: number,
): Promise<LargeRun> {
  const foreign = watchForeignLoad();
  if (proxy !== undefined) resetPeak(proxy);
  const before = proxy === undefined ? 0 : cpuOf(proxy);
  const { bytes, seconds } = await drain(world, endpoint);
  const megabytes = size / 1e6;
  const used = proxy === undefined ? undefined : (cpuOf(proxy) - before) / 1000 / megabytes;
  const peak = proxy === undefined ? undefined : memoryOf(proxy).peak;
  return { seconds, mbPerSecond: megabytes / seconds, bytes, cpuMsPerMb: used, peak, foreign: foreign() };
}

async function drain(world: World, endpoint: Endpoint): Promise<Drained> {
  const request: DrainRequest = { endpoint, sql: 'select * from wide', rows: world.wideRows };
  const options = { signal: world.signal };
  const output = await world.children.run(
    'the client of a large result',
    process.execPath,
    [drainProgram, JSON.stringify(request)],
    options,
  );
  return JSON.parse(output) as Drained;
}
