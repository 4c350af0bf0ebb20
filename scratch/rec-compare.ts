import { readFileSync, readdirSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { withWorld } from '../bench/world.ts';
import { libpqEnvironment } from '../bench/endpoint.ts';
const [rounds = '8', seconds = '2', clients = '32', mode = 'simple'] = process.argv.slice(2);
const options: any = { quick: true, tls: false, only: undefined, rounds: 1, seconds: Number(seconds) };
const cpu = (pid: number) => { const out: Record<string, number> = { all: 0 }; for (const t of readdirSync(`/proc/${pid}/task`)) { const s = readFileSync(`/proc/${pid}/task/${t}/stat`, 'utf8'); const comm = s.slice(s.indexOf('(') + 1, s.lastIndexOf(')')); const ns = Number(readFileSync(`/proc/${pid}/task/${t}/schedstat`, 'utf8').split(' ')[0]); out[comm] = (out[comm] ?? 0) + ns; out.all! += ns; } return out; };
process.env.NODE_OPTIONS = '--import /tmp/rec/redirect.mjs';
await withWorld(options, new AbortController().signal, () => {}, async (world) => {
  const gws: Record<string, any> = {};
  process.env.OLDREC = '1'; gws.old = await world.startGateway({});
  delete process.env.OLDREC; gws.new = await world.startGateway({});
  gws.none = await world.startGateway({ recording: false });
  const run = (ep: any) => new Promise<number>((res) => { let o = ''; const p = spawn('/usr/lib/postgresql/15/bin/pgbench', ['-n', '-S', '-M', mode, '-c', clients, '-j', '1', '-T', seconds], { env: { ...process.env, ...libpqEnvironment(ep) } }); p.stdout.on('data', (d) => (o += d)); p.on('exit', () => res(Number(/tps = ([\d.]+) \(without/.exec(o)?.[1] ?? 0))); });
  const all: Record<string, any[]> = { old: [], new: [], none: [] };
  for (let r = -1; r < Number(rounds); r++) for (const k of Object.keys(gws).sort(() => Math.random() - 0.5)) {
    const running = run(world.through(gws[k], 'full' as never)); await new Promise((r) => setTimeout(r, 1200)); const a = cpu(gws[k].process.pid), t0 = performance.now(); await new Promise((r) => setTimeout(r, Number(seconds) * 1000 - 1600)); const b = cpu(gws[k].process.pid), t1 = performance.now(); const tps = await running;
    if (r < 0) continue; const n = tps * (t1 - t0);
    all[k]!.push({ tps, ...Object.fromEntries(Object.keys(b).map((c) => [c, ((b[c] ?? 0) - (a[c] ?? 0)) / n])) });
  }
  const med = (x: number[]) => x.toSorted((a, b) => a - b)[x.length >> 1]!;
  for (const k of Object.keys(all)) console.log(k.padEnd(5), ['tps', 'all', 'MainThread', 'libuv-worker', 'V8Worker', 'WorkerThread'].map((c) => `${c} ${med(all[k]!.map((x) => x[c] ?? 0)).toFixed(1)}`).join('  '), 'all:', all[k]!.map((x) => x.all.toFixed(0)).join(' '));
});
