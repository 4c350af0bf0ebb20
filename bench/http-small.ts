import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { find } from '../scripts/debian.mjs';
import { measureDurableWrite } from './durable-write.ts';
import { type ForeignLoad, watchForeignLoad } from './foreign-load.ts';
import type { BenchGateway } from './gateway.ts';
import { cpuOfTree } from './proc.ts';
import type { WebWorld } from './web-world.ts';

export const webPaths = ['direct', 'nginx', 'sallyport'] as const;
export type WebPath = (typeof webPaths)[number];

/** Small requests, each sent when the one before it on its connection is answered. */
export const webScenarios = [1, 8, 32].map((connections) => ({ name: `http-${connections}`, connections }));
export type WebScenario = (typeof webScenarios)[number];

export interface WrkResult {
  readonly rps: number;
  /** µs. */
  readonly p50: number;
  readonly p99: number;
  /** µs of the proxy's CPU for each request; undefined without a proxy. */
  readonly cpuPerRequest: number | undefined;
  readonly foreign: ForeignLoad;
}

export interface WebResult {
  readonly kind: 'web';
  readonly scenario: WebScenario;
  /** A result for each round; the same index is the same round. */
  readonly rounds: Readonly<Record<WebPath, readonly WrkResult[]>>;
  /** µs, measured once in each round, with nothing else running. */
  readonly durableWrite: readonly number[];
  readonly foreign: readonly ForeignLoad[];
}

const script = fileURLToPath(new URL('wrk.lua', import.meta.url));
/** For what the gateway still owes the log and the recording when the last request is answered: that CPU is the requests', too. */
const settleMs = 300;

/** Caches, connections, and a compiler that takes its time: it still optimizes after tens of thousands of requests. */
const warmSeconds = 5;

/** The paths take turns, and each round begins with another: what else the machine does hits all of them alike. */
export async function measureWeb(
  scenario: WebScenario,
  gateway: BenchGateway,
  world: WebWorld,
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<WebResult> {
  const ways: Record<WebPath, Way> = {
    direct: { url: `http://127.0.0.1:${world.origin.port}/small`, proxy: undefined },
    nginx: { url: `http://127.0.0.1:${world.proxy.port}/small`, proxy: world.proxy.process.pid },
    sallyport: { url: `http://127.0.0.1:${gateway.ports.http}/api/small`, proxy: gateway.process.pid },
  };
  const measure = (path: WebPath, time: number) => runWrk(ways[path], scenario.connections, time, world);
  const results: Record<WebPath, WrkResult[]> = { direct: [], nginx: [], sallyport: [] };
  const durableWrite: number[] = [];
  for (const path of webPaths) await measure(path, path === 'sallyport' ? warmSeconds : 1); // Not counted.
  for (let round = 0; round < rounds; round++) {
    durableWrite.push(measureDurableWrite(world.folder));
    for (let turn = 0; turn < webPaths.length; turn++) {
      const path = webPaths[(round + turn) % webPaths.length]!;
      results[path].push(await measure(path, seconds));
    }
  }
  const foreign = webPaths.flatMap((path) => results[path].map((result) => result.foreign));
  return { kind: 'web', scenario, rounds: results, durableWrite, foreign };
}

interface Way {
  readonly url: string;
  readonly proxy: number | undefined;
}

/** All three get the same head, the token too. Not one request may fail. */
async function runWrk(
  { url, proxy }: Way,
  connections: number,
  seconds: number,
  { children, signal, token }: WebWorld,
): Promise<WrkResult> {
  const program = find('wrk');
  if (program === undefined) throw new Error('wrk is missing: apt-get install wrk');
  const foreign = watchForeignLoad();
  const cpu = proxy === undefined ? 0 : cpuOfTree(proxy);
  const args = ['--threads=1', `--connections=${connections}`, `--duration=${seconds}s`, `--script=${script}`];
  const output = await children.run(
    'wrk',
    program,
    [...args, '--header', `Authorization: Bearer ${token}`, '--header', 'Accept: application/json', url],
    { signal },
  );
  const load = foreign();
  const line = output.split('\n').findLast((text) => text.startsWith('{'));
  const { requests, micros, p50, p99, errors } = JSON.parse(line ?? '{}') as Readonly<Record<string, number>>;
  if (!requests || !micros || p50 === undefined || p99 === undefined || errors !== 0)
    throw new Error(`wrk did not get its answers from ${url}:\n${output}`);
  if (proxy !== undefined) await sleep(settleMs, undefined, { signal });
  return {
    rps: requests / (micros / 1e6),
    p50,
    p99,
    cpuPerRequest: proxy === undefined ? undefined : (cpuOfTree(proxy) - cpu) / requests,
    foreign: load,
  };
}
