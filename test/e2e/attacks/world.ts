import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { startGateway, type TestGateway } from '../../support/gateway.ts';

/**
 * `shop` and `twin` differ in nothing but what is classified. Whatever a caller who may not see it is told must be the same in
 * both, to the byte: that is what “learns nothing” means, however the question is put. In `plain` nothing is classified.
 */
export type World = 'shop' | 'twin' | 'plain';
const worlds: readonly World[] = ['shop', 'twin', 'plain'];

interface Secrets {
  readonly ssn: readonly string[];
  readonly email: readonly string[];
  readonly salary: readonly number[];
  readonly diagnosis: readonly string[];
}

/** Values of one column have the same length, so that no width tells the worlds apart. */
const one: Secrets = {
  ssn: ['481516234', '112358132', '271828182'],
  email: ['ada.lovelace@one.example', 'bob.hamilton@one.example', 'cle.ptolemai@one.example'],
  salary: [91357, 64208, 30119],
  diagnosis: ['gout', 'acne', 'mump'],
};
const two: Secrets = {
  ssn: ['914159265', '314159265', '914159265'],
  email: ['zoe.mirabell@two.example', 'yan.peterson@two.example', 'xia.victoria@two.example'],
  salary: [20418, 73113, 88246],
  diagnosis: ['acne', 'gout', 'mump'],
};

/** What must not be in any byte that a caller gets. */
export const canaries: readonly string[] = [one, two].flatMap(({ ssn, email, salary }) => [
  ...ssn,
  ...email,
  ...salary.map(String),
]);

const classify = {
  'public.customers.ssn': 'pii.ssn',
  'public.customers.email': 'pii.email',
  'public.customers.salary': 'hr.salary',
  'public.customers.profile': 'pii.profile',
  'public.patients.diagnosis': 'health',
};

function rowsOf({ ssn, email, salary, diagnosis }: Secrets): string {
  const customers = ['Ada', 'Bob', 'Cleo'].map(
    (name, i) =>
      `(${i + 1}, '${name}', '${email[i]}', '${ssn[i]}', ${salary[i]}, '{"ssn": "${ssn[i]}"}', '${['Graz', 'Lyon', 'Bari'][i]}')`,
  );
  return `
    insert into customers (id, name, email, ssn, salary, profile, city) values ${customers.join(', ')};
    insert into vips (id, name, email, ssn, salary, city, perks)
      values (9, 'Vi', 'vip.${email[1]?.slice(4)}', '${ssn[2]}', ${salary[1]}, 'Bern', 'lounge');
    insert into patients values (1, '${diagnosis[0]}', 'a'), (2, '${diagnosis[1]}', 'b'), (3, '${diagnosis[2]}', 'c');
    insert into staging.customers values (1, 'Stage', 'stage@any.example', '000000000');
    insert into staging.orders select n, n, 'staged', n from generate_series(1, 40) n;
    insert into orders select n, 1 + n % 3, case n % 2 when 0 then 'paid' else 'open' end, n * 10 from generate_series(1, 40) n;
    insert into notes select n, 'note ' || n from generate_series(1, 5) n;
    insert into accounts (owner, balance, opened, tags, data)
      select 'owner ' || n, n, '2026-01-01', array['a', 'b'], jsonb_build_object('n', n) from generate_series(1, 5) n;
    insert into moods values (1, 'ok', '2026-01-01'), (2, 'sad', '2026-01-02');
    refresh materialized view customer_copy`;
}

/** The demonstration's policies, said of each world. */
function policies(): string {
  const text = readFileSync(new URL('../../../policies/demo/demo.cedar', import.meta.url), 'utf8');
  const about = (piece: string, world: World) =>
    piece
      .replaceAll('Target::"shop"', `Target::"${world}"`)
      .replaceAll('"shop/', `"${world}/`)
      .replace(/@id\("([^"]+)"/, `@id("$1-${world}"`);
  return text
    .split(/^(?=@id\()/m)
    .map((piece) => (/"shop["/]/.test(piece) ? worlds.map((world) => about(piece, world)).join('\n') : piece))
    .join('\n');
}

/**
 * The model of masking: a database in which the classified columns hold what their masks are. Whatever a statement does with masks, it
 * gives what the same statement gives here.
 */
const model = `
  alter table customers drop constraint customers_email_key;
  alter table customers alter column masked_too drop expression;
  update customers set email = '[masked:pii.email]', ssn = '[masked:pii.ssn]', salary = null, profile = '"[masked:pii.profile]"',
    masked_too = '[masked:pii.ssn]';
  update patients set diagnosis = '[masked:health]';
  refresh materialized view customer_copy`;

export interface Statement {
  readonly at: number;
  readonly text: string;
  readonly database: string;
}

export interface WorldOptions {
  readonly masking: 'rewrite' | 'plain';
  /** Programs of another version than the embedded one. */
  readonly binDir?: string;
}

export interface Worlds {
  readonly gateway: TestGateway;
  /** Straight to a database, as superuser. */
  direct(world: World | 'model'): Promise<pg.Client>;
  /** Equal as long as nothing in the database has changed. */
  fingerprint(world: World): Promise<string>;
  /** Makes the database what it was at the beginning; ends whoever is connected to it. */
  restore(world: World): Promise<void>;
  /** What the server says it ran for callers of the gateway. */
  served(): readonly Statement[];
  stop(): Promise<void>;
}

export async function startWorlds(options: WorldOptions): Promise<Worlds> {
  const { masking } = options;
  const port = await freePort();
  const target = (database: string, extra: object) => ({
    protocol: 'postgres',
    address: `127.0.0.1:${port}`,
    database,
    tls: { mode: 'disable' },
    credential: { user: 'postgres', file: './password' },
    labels: { env: 'prod' },
    hold: '30ms',
    ...extra,
  });
  const gateway = await startGateway({
    holdMs: 30,
    plaintext: true,
    classify,
    masking,
    policies: policies(),
    targets: { twin: target('twin', { classify, masking }), plain: target('plain', {}) },
    postgres: {
      port,
      ...(options.binDir === undefined ? {} : { binDir: options.binDir }),
      settings: {
        log_statement: 'all',
        logging_collector: 'on',
        log_destination: 'jsonlog',
        log_filename: 'server',
        max_connections: '150',
        autovacuum: 'off',
      },
    },
  });
  const url = new URL(gateway.postgres.url);
  const admin = await open(url, 'postgres');
  const copy = async (from: string, to: string) => {
    await admin.query(`drop database if exists ${to} with (force)`);
    await admin.query(`create database ${to} template ${from} strategy file_copy`);
  };
  await admin.query('create database mold');
  await within(url, 'mold', [readFileSync(new URL('schema.sql', import.meta.url), 'utf8')]);
  const kept = new Map<World | 'model', pg.Client>();
  for (const world of worlds) {
    await copy('mold', `kept_${world}`);
    await within(url, `kept_${world}`, [rowsOf(world === 'twin' ? two : one), 'vacuum analyze']);
    await copy(`kept_${world}`, world);
  }
  await copy('kept_shop', 'model');
  await within(url, 'model', [model, 'vacuum analyze']);
  const direct = async (world: World | 'model') => {
    const known = kept.get(world);
    if (known !== undefined) return known;
    const client = await open(url, world);
    client.on('end', () => kept.delete(world));
    kept.set(world, client);
    return client;
  };
  /** Through the gateway, so that it looks at the schema again. */
  const noticed = async (world: World) => {
    const dana = await gateway.client('dana', { database: world });
    await dana.query('create schema noticed');
    await dana.query('drop schema noticed');
    await dana.end();
  };
  for (const world of worlds) await noticed(world);
  return {
    gateway,
    direct,
    async fingerprint(world) {
      const { rows } = await (await direct(world)).query(fingerprint);
      return JSON.stringify(rows[0]);
    },
    async restore(world) {
      await kept
        .get(world)
        ?.end()
        .catch(() => undefined);
      kept.delete(world);
      await copy(`kept_${world}`, world);
      await noticed(world);
    },
    served: () => servedIn(join(gateway.postgres.dataDir, 'log')),
    async stop() {
      await Promise.all([...kept.values(), admin].map((client) => client.end().catch(() => undefined)));
      await gateway.stop();
    },
  };
}

async function open(url: URL, database: string): Promise<pg.Client> {
  const at = new URL(url);
  at.pathname = `/${database}`;
  const client = new pg.Client({ connectionString: at.href, application_name: 'the test itself' });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function within(url: URL, database: string, texts: readonly string[]): Promise<void> {
  const client = await open(url, database);
  for (const text of texts) await client.query(text);
  await client.end();
}

/** Rows of every table, every object's name and owner, roles, settings kept, sequences, large objects, prepared transactions. */
const fingerprint = `
  select
    (select md5(string_agg(t, ',' order by t)) from (
      select 'customers' || c::text as t from only customers c union all select 'vips' || c::text from vips c union all
      select 'orders' || c::text from orders c union all select 'notes' || c::text from notes c union all
      select 'accounts' || c::text from accounts c union all select 'patients' || c::text from patients c union all
      select 'staged' || c::text from staging.customers c union all select 'staged' || c::text from staging.orders c union all
      select 'moods' || c::text from moods c union all select 'tickets' || c::text from tickets c union all
      select 'greetings' || c::text from greetings c) rows) as rows,
    (select md5(string_agg(concat_ws(' ', relname, relkind, relowner, relrowsecurity, relhastriggers, relhasrules), ',' order by oid)) from pg_class where oid >= 16384 and relpersistence <> 't') as relations,
    (select md5(string_agg(concat_ws(' ', attrelid, attname, atttypid, attisdropped), ',' order by attrelid, attnum)) from pg_attribute a join pg_class c on c.oid = attrelid where attrelid >= 16384 and relpersistence <> 't' and attnum > 0) as columns,
    (select md5(string_agg(concat_ws(' ', proname, oid), ',' order by oid)) from pg_proc where oid >= 16384) as functions,
    (select md5(string_agg(nspname, ',' order by oid)) from pg_namespace where nspname not like 'pg_t%') as schemas,
    (select md5(string_agg(concat_ws(' ', rolname, rolsuper), ',' order by oid)) from pg_roles) as roles,
    (select md5(string_agg(s::text, ',')) from pg_db_role_setting s) as settings,
    (select count(*) from pg_largeobject_metadata) as large,
    (select count(*) from pg_prepared_xacts) as prepared,
    (select string_agg(concat_ws(' ', sequencename, last_value), ',' order by sequencename) from pg_sequences) as sequences`;

function servedIn(folder: string): readonly Statement[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => readFileSync(join(folder, file), 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, string>)
    .flatMap(({ timestamp = '', message = '', dbname = '', application_name = '' }) => {
      const text = /^(?:statement|execute [^:]*): (.*)$/s.exec(message)?.[1];
      if (text === undefined || application_name === 'the test itself' || application_name === 'sallyport catalog')
        return [];
      return [{ at: Date.parse(timestamp), text, database: dbname }];
    });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
