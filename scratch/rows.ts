// node scratch/rows.ts TARGET RECORDING [profileDir]: MB/s and gateway CPU for the big result
import { readdirSync, readFileSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { withWorld } from '../bench/world.ts';
const [target = 'full', recording = '1', profile] = process.argv.slice(2);
const options: any = { quick: true, tls: false };
function threads(pid: number) { const out = new Map<string, [number, number]>(); for (const t of readdirSync(`/proc/${pid}/task`)) { const s = readFileSync(`/proc/${pid}/task/${t}/stat`, 'utf8'); const comm = s.slice(s.indexOf('(') + 1, s.lastIndexOf(')')); const f = s.slice(s.lastIndexOf(')') + 2).split(' '); out.set(`${comm}:${t}`, [Number(f[11]), Number(f[12])]); } return out; }
await withWorld(options, new AbortController().signal, console.log, async (world) => {
  const gw: any = await world.startGateway({ recording: recording === '1', ...(profile ? { profile } : {}) });
  const drain = (endpoint: any) => new Promise<any>((res, rej) => execFile(process.execPath, ['bench/drain.ts', JSON.stringify({ endpoint, sql: 'select * from wide', rows: world.wideRows })], (e, out, err) => (e ? rej(new Error(err)) : res(JSON.parse(out)))));
  const d = await drain(world.direct); console.log('direct MB/s', (d.bytes / 1e6 / d.seconds).toFixed(0));
  for (const t of target.split(',')) {
    const ep = world.through(gw, t as never);
    await drain(ep);
    const a = threads(gw.process.pid); const r = await drain(ep); const r2 = await drain(ep); const b = threads(gw.process.pid);
    const mb = (2 * d.bytes) / 1e6; let total = 0;
    for (const [k, v] of b) { const w = a.get(k) ?? [0, 0]; const u = v[0] - w[0], s = v[1] - w[1]; total += u + s; if (u + s > 3) console.log('  ', k, 'user', ((u * 10) / mb).toFixed(2), 'sys', ((s * 10) / mb).toFixed(2), 'ms/MB'); }
    console.log(t, 'MB/s', (d.bytes / 1e6 / r.seconds).toFixed(0), (d.bytes / 1e6 / r2.seconds).toFixed(0), 'cpu ms/MB', ((total * 10) / mb).toFixed(2), 'rss', readFileSync(`/proc/${gw.process.pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)![1]);
  }
  const d2 = await drain(world.direct); console.log('direct MB/s', (d2.bytes / 1e6 / d2.seconds).toFixed(0));
});
