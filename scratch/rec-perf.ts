// node scratch/perf.ts MODE CLIENTS SECONDS : pgbouncer vs sallyport, per-thread cpu
import { readdirSync, readFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { withWorld } from '../bench/world.ts';
import { libpqEnvironment } from '../bench/endpoint.ts';
const [mode = 'simple', clients = '32', seconds = '5', ...profile] = process.argv.slice(2);
const options: any = { quick: true, tls: false, only: undefined, rounds: 1, seconds: Number(seconds) };
function threads(pid: number) { const out = new Map<string, [number, number]>(); for (const t of readdirSync(`/proc/${pid}/task`)) { const s = readFileSync(`/proc/${pid}/task/${t}/stat`, 'utf8'); const comm = s.slice(s.indexOf('(') + 1, s.lastIndexOf(')')); const f = s.slice(s.lastIndexOf(')') + 2).split(' '); out.set(`${comm}:${t}`, [Number(f[11]), Number(f[12])]); } return out; }
await withWorld(options, new AbortController().signal, console.log, async (world) => {
  const gw: any = await world.startGateway({ recording: process.env.REC !== '0', ...(profile[0] ? { profile: profile[0] } : {}) });
  const run = (ep: any) => new Promise<number>((res) => { let o = ''; const p = spawn('/usr/lib/postgresql/15/bin/pgbench', ['-n', '-S', '-M', mode, '-c', clients, '-j', '1', '-T', seconds], { env: { ...process.env, ...libpqEnvironment(ep) } }); p.stdout.on('data', (d) => (o += d)); p.stderr.on('data', (d) => (o += d)); p.on('exit', () => { const m = /tps = ([\d.]+) \(without/.exec(o); if (!m) console.log(o); res(m ? Number(m[1]) : 0); }); });
  console.log('pgbouncer', await run(world.throughPgBouncer));
  await run(world.through(gw, 'full' as never));
  const a = threads(gw.process.pid);
  const hook = process.env.HOOK ? spawn('sh', ['-c', process.env.HOOK.replaceAll('PID', String(gw.process.pid))], { stdio: 'inherit' }) : undefined;
  const tps = await run(world.through(gw, 'full' as never)); if (hook) await new Promise((r) => hook.exitCode !== null ? r(0) : hook.on('exit', r));
  const b = threads(gw.process.pid);
  let total = 0;
  const rows = [...b].map(([k, v]) => { const w = a.get(k) ?? [0, 0]; return [k, v[0] - w[0], v[1] - w[1]] as const; }).filter(([, u, s]) => u + s > 2).sort((x, y) => y[1] + y[2] - x[1] - x[2]);
  const n = tps * Number(seconds);
  for (const [k, u, s] of rows) { total += u + s; console.log(k.padEnd(28), 'user', ((u * 1e4) / n).toFixed(1), 'sys', ((s * 1e4) / n).toFixed(1), 'us/q'); }
  console.log('sallyport', tps, 'cpu us/q', ((total * 1e4) / n).toFixed(1));
  console.log('pgbouncer', await run(world.throughPgBouncer));
});
