// node scratch/rec-idle.ts [active]: memory of 1,000 connections with and without recording; `active`: each asks one query first
import { setTimeout as sleep } from 'node:timers/promises';
import { readdirSync } from 'node:fs';
import { withWorld } from '../bench/world.ts';
import { connect } from '../bench/wire-client.ts';
import { memoryOf } from '../bench/proc.ts';
const active = process.argv[2] === 'active';
const options: any = { quick: true, tls: false, only: undefined, rounds: 1, seconds: 1 };
function query(sql: string) { const body = Buffer.from(`${sql}\0`); const head = Buffer.alloc(5); head[0] = 0x51; head.writeInt32BE(body.length + 4, 1); return Buffer.concat([head, body]); }
await withWorld(options, new AbortController().signal, () => {}, async (world) => {
  for (const recording of [true, false, true, false]) {
    const gw: any = await world.startGateway({ recording });
    const open: any[] = [];
    const grow = async (n: number) => { while (open.length < n) open.push(...(await Promise.all(Array.from({ length: 20 }, () => connect(world.through(gw, 'full' as never)))))); };
    await grow(20); for (const s of open) s.on('error', () => {}).resume();
    await sleep(2000);
    const before = memoryOf(gw.process.pid).rss;
    await grow(1020); for (const s of open) s.on('error', () => {}).resume();
    if (active) for (const s of open) s.write(query('SELECT abalance FROM pgbench_accounts WHERE aid = 1'));
    await sleep(6000);
    const fds = readdirSync(`/proc/${gw.process.pid}/fd`).length;
    console.log(recording ? 'recorded' : 'without ', 'before', (before / 1e6).toFixed(0), 'with', (memoryOf(gw.process.pid).rss / 1e6).toFixed(0), 'kB each', ((memoryOf(gw.process.pid).rss - before) / 1e3 / 1000).toFixed(1), 'fds', fds);
    for (const s of open) s.destroy();
    await gw.stop();
  }
});
