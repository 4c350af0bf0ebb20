import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { measureDurableWrite } from './durable-write.ts';
import { gitClone } from './git-clone.ts';
import { type Ground, withGround } from './ground.ts';
import { measureWeb, webScenarios } from './http-small.ts';
import { largeBody, maskedDocument } from './http-transfers.ts';
import { measureIdle } from './idle-connections.ts';
import { measureLarge } from './large-result.ts';
import { type Options, readOptions, usage } from './options.ts';
import { report, reportTargets } from './report.ts';
import { measureSmall, smallScenarios } from './small-statements.ts';
import { judge, type Result, verdictOf } from './targets.ts';
import { measureTransfers } from './transfers.ts';
import { buildWebWorld } from './web-world.ts';
import { buildWorld, maxConnections } from './world.ts';

/** `npm run bench`: measures servers directly, through PgBouncer or nginx, and through Sallyport. See docs/performance.md. */

const postgresScenarios = [...smallScenarios.map(({ name }) => name), 'rows', 'idle'];
const transfers = ['http-large', 'http-mask', 'git-clone'];
const webNames = [...webScenarios.map(({ name }) => name), ...transfers];
const quickPostgres = ['simple-1', 'simple-32', 'extended-8', 'tpcb-8', 'rows', 'idle'];
const quickScenarios = new Set([...quickPostgres, 'http-1', 'http-32', ...transfers]);

async function main(): Promise<void> {
  const options = readArguments();
  if (options === undefined) return;
  const controller = new AbortController();
  stopOnSignals(controller);
  try {
    await withGround(controller.signal, tell, (ground) => measure(options, ground));
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    tell(`${String((controller.signal.reason as Error).message)}; everything is stopped`);
    process.exitCode = 130;
  }
}

function readArguments(): Options | undefined {
  try {
    const options = readOptions(process.argv.slice(2));
    if (options === undefined) process.stdout.write(usage);
    else if (selected(options).size === 0) throw new TypeError(`--only ${options.only}: no scenario begins with that`);
    return options;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    process.stderr.write(`bench: ${error.message}\n\n${usage}`);
    process.exitCode = 2;
    return undefined;
  }
}

function selected({ quick, only }: Options): ReadonlySet<string> {
  return new Set(
    [...postgresScenarios, ...webNames].filter((name) =>
      only === undefined ? !quick || quickScenarios.has(name) : name.startsWith(only),
    ),
  );
}

async function measure(options: Options, ground: Ground): Promise<void> {
  const plan = planOf(options);
  const results: Result[] = [];
  const add = (result: Result) => {
    results.push(result);
    process.stdout.write(`${report(result)}\n\n`);
  };
  const machine = describeMachine(ground);
  process.stdout.write(`\n${machine.join('\n')}\n${options.tls ? 'PostgreSQL with TLS on both sides\n' : ''}`);
  if (postgresScenarios.some((name) => plan.names.has(name))) await measurePostgres(options, plan, ground, add);
  if (webNames.some((name) => plan.names.has(name))) await measureHttpAndGit(options, plan, ground, add);
  process.stdout.write(`${reportTargets(results)}\n`);
  if (options.quick) process.stdout.write('\nA quick run: figures are indications.\n');
  if (options.json === undefined) return;
  const { rounds, seconds } = plan;
  const verdicts = judge(results).map((target) => ({ ...target, verdict: verdictOf(target) }));
  writeFileSync(
    options.json,
    `${JSON.stringify({ machine, options, rounds, seconds, results, targets: verdicts }, undefined, 1)}\n`,
  );
}

interface Plan {
  readonly names: ReadonlySet<string>;
  readonly rounds: number;
  readonly seconds: number;
}

function planOf(options: Options): Plan {
  return {
    names: selected(options),
    rounds: options.rounds ?? (options.quick ? 1 : 7),
    seconds: options.seconds ?? (options.quick ? 1 : 2),
  };
}

async function measurePostgres(
  options: Options,
  { names, rounds, seconds }: Plan,
  ground: Ground,
  add: (result: Result) => void,
): Promise<void> {
  const world = await buildWorld(ground, options.tls);
  process.stdout.write(`PostgreSQL ${world.postgres.version} · ${world.pgbouncer.version}\n\n`);
  const small = smallScenarios.filter(({ name }) => names.has(name));
  if (small.length > 0) {
    const gateway = await world.startGateway(options.profile === undefined ? {} : { profile: options.profile });
    for (const scenario of small) add(await measureSmall(scenario, gateway, world, { rounds, seconds }));
    await gateway.stop();
  }
  if (names.has('rows')) add(await measureLarge(world, rounds));
  if (names.has('idle')) add(await measureIdle(world, Math.min(1000, maxConnections)));
  await world.stop();
}

async function measureHttpAndGit(
  { profile }: Options,
  { names, rounds, seconds }: Plan,
  ground: Ground,
  add: (result: Result) => void,
): Promise<void> {
  const world = await buildWebWorld(ground, names.has('git-clone'));
  const git = world.git === undefined ? '' : ` · git ${world.git.version}`;
  process.stdout.write(`${world.origin.version}${git}\n\n`);
  const { signal } = world;
  const gateway = await world.startWebGateway(profile);
  for (const scenario of webScenarios) {
    if (names.has(scenario.name)) add(await measureWeb(scenario, gateway, world, { rounds, seconds }));
  }
  if (names.has('http-large')) add(await measureTransfers(largeBody(gateway, world), rounds, signal));
  if (names.has('http-mask')) add(await measureTransfers(maskedDocument(gateway, world), rounds, signal));
  if (world.git !== undefined) add(await measureTransfers(gitClone(world.git, gateway, world), rounds, signal));
  await gateway.stop();
}

function describeMachine({ folder }: Ground): readonly string[] {
  const disk = measureDurableWrite(folder, 500);
  const memory = Math.round(totalmem() / 2 ** 30);
  return [
    `Node ${process.version} · Linux ${release()}`,
    `${availableParallelism()} CPUs (${cpus()[0]?.model.trim()}), ${memory} GB · durable write of 200 bytes: ${disk.toFixed(0)} µs (p50)`,
  ];
}

function tell(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

/** Ctrl-C ends it in order; so does the end of whoever started it, since nobody would then. */
function stopOnSignals(controller: AbortController): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted && signal === 'SIGINT') process.exit(130);
      controller.abort(new Error(`stopped by ${signal}`));
    });
  }
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) controller.abort(new Error('whoever started it is gone'));
  }, 1000).unref();
}

await main();
