import { startGateway } from '../test/support/gateway.ts';
import { RawPostgres } from '../test/support/raw-postgres.ts';
import { query, bind, parse, sync, describe as d } from '../src/protocols/postgres/codec.ts';
const g = await startGateway({ plaintext: true, holdMs: 30, schema: 'create table orders(id int)', classify: {} });
const token = await g.tokenOf('agent');
const mem = () => { globalThis.gc?.(); const m = process.memoryUsage(); return `rss ${(m.rss/1e6)|0} heap ${(m.heapUsed/1e6)|0} ext ${(m.external/1e6)|0} ab ${(m.arrayBuffers/1e6)|0}`; };
const sleep = (ms: number) => new Promise((r) => setTimeout(r, ms));
const which = process.argv[2];
import { monitorEventLoopDelay } from 'node:perf_hooks';
const h = monitorEventLoopDelay({ resolution: 5 }); h.enable();
const lag = () => { const m = h.max / 1e6; h.reset(); return `lag ${m | 0} ms`; };
const raw = await RawPostgres.login({ port: g.port, token });
console.log('start', mem());
if (which === 'refused') {
  raw.socket.pause();
  const chunk = Buffer.concat(Array.from({ length: 2000 }, () => query('drop table orders')));
  for (let i = 0; i < 60; i++) { raw.socket.write(chunk); await sleep(100); if (i % 15 === 0) console.log(i, 'unsent', raw.socket.writableLength, mem()); }
} else if (which === 'binds') {
  raw.send(parse('s', 'select $1::bytea'), sync); await raw.until('Z');
  const one = bind({ statement: 's', formats: [1], parameters: [Buffer.alloc(1 << 20)] });
  for (let i = 0; i < 300; i++) { raw.socket.write(one); await sleep(5); if (i % 60 === 0) console.log(i, 'unsent', raw.socket.writableLength, mem()); }
} else if (which === 'parses') {
  for (let i = 0; i < 1500; i++) { raw.send(parse(`s${i}`, `select ${i}, '${'x'.repeat(250_000)}'`), sync); await raw.until('Z'); if (i % 250 === 0) console.log(i, mem()); }
} else if (which === 'resources') {
  const tries: Record<string, string> = {
    columns: `select ${Array.from({ length: 20000 }, (_, i) => `a${i}`).join(',')} from orders`,
    from: `select 1 from ${Array.from({ length: 9000 }, (_, i) => `orders o${i}`).join(',')} limit x`,
    tables: `select 1 from ${Array.from({ length: 9000 }, (_, i) => `t${i}`).join(',')}`,
    functions: `select ${Array.from({ length: 9000 }, (_, i) => `f${i}()`).join(',')}`,
    or: `select 1 where ${Array.from({ length: 20000 }, () => `1=1`).join(' or ')}`,
    parens: `select ${'('.repeat(900)}1${')'.repeat(900)}`,
    statements: Array.from({ length: 20000 }, () => 'select 1').join(';'),
    ctes: `with ${Array.from({ length: 5000 }, (_, i) => `c${i} as (select 1)`).join(',')} select nox`,
    nested: `select ${'(select '.repeat(150)}1${')'.repeat(150)}`,
    insert: `insert into orders values ${Array.from({ length: 20000 }, (_, i) => `(${i})`).join(',')}`,
    refs: `select ${Array.from({ length: 3000 }, (_, i) => `o${i % 300}.id`).join(',')} from ${Array.from({ length: 300 }, (_, i) => `orders o${i}`).join(',')} limit x`,
  };
  for (const [name, text] of Object.entries(tries)) { lag(); const t = Date.now(); raw.send(query(text)); const m = await raw.until('Z').catch((e: Error) => [{ type: e.message }]); console.log(name, text.length, Date.now() - t, lag(), m.map((x) => x.type).join('').slice(0, 20)); }
} else if (which === 'leave') {
  const direct = await g.direct(); direct.on('error', () => undefined);
  const n = async () => (await direct.query("select count(*) from pg_stat_activity where application_name <> 'sallyport catalog' and datname='shop'")).rows[0];
  const sam = await RawPostgres.login({ port: g.port, token: await g.tokenOf('sam') });
  sam.send(parse('x', 'select nothing'), Buffer.from('4800000004', 'hex')); await sam.until('E');
  const { execute } = await import('../src/protocols/postgres/codec.ts');
  sam.send(parse('', 'copy orders from stdin'), bind(), execute()); await sleep(300); console.log('before', await n());
  sam.end(); await sleep(3000); console.log('after 3 s', await n());
}
await sleep(500); console.log('end', mem());
raw.end(); await g.stop(); process.exit(0);
