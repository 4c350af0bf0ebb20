import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { openAuditLog } from '../src/audit/log.ts';
import { createGateway } from '../src/gateway/gateway.ts';
import { listen } from '../src/gateway/listener.ts';
import { LiveSessions } from '../src/gateway/live.ts';
import { createProtocols } from '../src/protocols/index.ts';
import { openPolicies } from '../src/policy/port.ts';
import { createMaskTools } from '../src/mask/tools.ts';
import { Keyed } from '../src/mask/keyed.ts';
import { loadServerTls } from '../src/wire/certificates.ts';
import { startEmbeddedPostgres } from '../src/demo/embedded-postgres.ts';

const dir = mkdtempSync('/tmp/line-');
const server = await startEmbeddedPostgres({ password: 'secret' });
const protocols = createProtocols();
const pgp = protocols[0]!;
const settings = pgp.settings.parse({ address: `127.0.0.1:${server.port}`, database: 'postgres', tls: { mode: 'disable' }, credential: { user: 'postgres', env: 'X' } });
const target = { name: 'shop', protocol: 'postgres', labels: { env: 'prod' }, holdMs: 1000, settings };
const audit = await openAuditLog({ dir: join(dir, 'audit'), origin: 'x.example/audit' });
const policy = await openPolicies({ dir: 'policies/demo', classificationsOf: () => [], log: console.log as never, watch: false });
const live = new LiveSessions();
const principal = { id: 'p:dana', kind: 'human', issuer: 'p', subject: 'dana', name: 'Dana', groups: ['dba', 'engineers'], claims: {} } as const;
const gateway = createGateway({
  audit, policy, live,
  approvals: {} as never,
  identity: { authenticate: async () => ({ principal, proof: { kind: 'oidc', id: 'x', expiresAt: 9e15 } }), onRevoked: () => () => undefined },
  secrets: { credential: async () => ({ user: 'postgres', secret: 'secret' }) },
  recordings: { open: () => ({ request() {}, reply: () => undefined, close: async () => undefined }) },
  targets: new Map([['shop', target]]),
  masksOf: () => createMaskTools(new Keyed(Buffer.alloc(32, 1)), { detectors: false }),
  limits: { loginMs: 10000, commandBytes: 1 << 20 },
  now: Date.now,
  log: (level, message, fields) => { if (level !== 'info') console.log(level, message, fields ?? ''); },
});
const tls = await loadServerTls({ names: [] }, dir);
const l = await listen(pgp, gateway, { host: '127.0.0.1', port: Number(process.env.PORT ?? 0), tls: () => tls.context, plaintext: true, maxConnections: 100 });
console.log('port', l.address.port, 'direct', server.url);
if (process.argv[2] === 'wait') await new Promise(() => undefined);
const c = new pg.Client({ host: '127.0.0.1', port: l.address.port, database: 'shop', user: 'x', password: 'tok', ssl: { ca: readFileSync(tls.caFile!, 'utf8'), servername: 'localhost' } });
await c.connect();
console.log((await c.query('select 1 as one, version()')).rows);
console.log((await c.query('select $1::int + 1 as n', [41])).rows);
console.log(await c.query('select nonsense').catch((e) => e.message));
console.log((await c.query('create table t (id int primary key, v text); insert into t select n, \'v\' || n from generate_series(1,1000) n')).length);
console.log((await c.query('select * from t where id < $1', [4])).rows);
console.log(await c.query('delete from t').catch((e) => `${e.code} ${e.message} ${e.detail} ${e.hint}`));
await c.query('begin');
console.log(await c.query('delete from t').catch((e) => `${e.code} ${e.message}`));
console.log(await c.query('select 1').catch((e) => `${e.code} ${e.message}`));
await c.query('rollback');
console.log(await c.query('delete from t where $1::text is not null', ['x']).catch((e) => `${e.code} ${e.message}`));
console.log(await c.query({ name: 'a', text: 'select count(*) from t' }).then((r) => r.rows));
console.log(await c.query({ name: 'a', text: 'select count(*) from t' }).then((r) => r.rows));
await c.end();
await new Promise((r) => setTimeout(r, 200));
await l.close(1000);
await policy.close();
await audit.close();
tls.close();
await server.stop();
process.exit(0);
