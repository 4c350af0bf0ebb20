import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { measureDurableWrite } from './durable-write.ts';
import { measureIdle } from './idle-connections.ts';
import { measureLarge } from './large-result.ts';
import { type Options, readOptions, usage } from './options.ts';
import { report, reportTargets } from './report.ts';
import { measureSmall, smallScenarios } from './small-statements.ts';
import { judge, type Result, verdictOf } from './targets.ts';
import { maxConnections, type World, withWorld } from './world.ts';

/** `npm run bench`: measures a database directly, through PgBouncer and through Sallyport. See docs/performance.md. */

const quickScenarios = new Set(['simple-1', 'simple-32', 'extended-8', 'tpcb-8', 'rows', 'idle']);

async function main(): Promise<void> {
  const options = readArguments();
  if (options === undefined) return;
  const controller = new AbortController();
  stopOnSignals(controller);
  try {
    await withWorld(options, controller.signal, tell, (world) => measure(options, world));
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
  const all = [...smallScenarios.map(({ name }) => name), 'rows', 'idle'];
  return new Set(
    all.filter((name) => (only === undefined ? !quick || quickScenarios.has(name) : name.startsWith(only))),
  );
}

async function measure(options: Options, world: World): Promise<void> {
  const names = selected(options);
  const rounds = options.rounds ?? (options.quick ? 1 : 7);
  const seconds = options.seconds ?? (options.quick ? 1 : 2);
  const results: Result[] = [];
  const add = (result: Result) => {
    results.push(result);
    process.stdout.write(`${report(result)}\n\n`);
  };
  const machine = describeMachine(world);
  process.stdout.write(`\n${machine.join('\n')}\n${options.tls ? 'TLS on both sides\n' : ''}\n`);
  const small = smallScenarios.filter(({ name }) => names.has(name));
  if (small.length > 0) {
    const gateway = await world.startGateway(options.profile === undefined ? {} : { profile: options.profile });
    for (const scenario of small) add(await measureSmall(scenario, gateway, world, { rounds, seconds }));
    await gateway.stop();
  }
  if (names.has('rows')) add(await measureLarge(world, rounds));
  if (names.has('idle')) add(await measureIdle(world, Math.min(1000, maxConnections)));
  process.stdout.write(`${reportTargets(results)}\n`);
  if (options.quick) process.stdout.write('\nA quick run: figures are indications.\n');
  if (options.json === undefined) return;
  const verdicts = judge(results).map((target) => ({ ...target, verdict: verdictOf(target) }));
  writeFileSync(
    options.json,
    `${JSON.stringify({ machine, options, rounds, seconds, results, targets: verdicts }, undefined, 1)}\n`,
  );
}

function describeMachine(world: World): readonly string[] {
  const disk = measureDurableWrite(world.folder, 500);
  const memory = Math.round(totalmem() / 2 ** 30);
  return [
    `PostgreSQL ${world.postgres.version} · ${world.pgbouncer.version} · Node ${process.version} · Linux ${release()}`,
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
