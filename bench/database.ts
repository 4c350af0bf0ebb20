import pg from 'pg';
import { type Endpoint, libpqEnvironment } from './endpoint.ts';
import type { PgbenchTools } from './pgbench.ts';

/**
 * Eight text columns, about 170 bytes a row as the server sends it. Rows differ, so that compressing a recording of them
 * costs what it costs; c4 is the column that gateways mask, and c7 has a card number in one row of a thousand.
 */
const wideTable = (rows: number) => `
  create table wide as
  select
    'K' || n as c1,
    md5(n::text) as c2,
    'customer ' || (n::bigint * 7919 % 1000003) as c3,
    'user' || n || '@mail.example' as c4,
    (n % 97) || ' Long Winding Road' as c5,
    case n % 3 when 0 then 'open' when 1 then 'paid' else 'shipped' end as c6,
    case when n % 1000 = 0 then 'card 4111 1111 1111 1111' else 'left at the door no ' || (n % 90) end as c7,
    to_char(timestamp '2026-01-01' + n * interval '1 second', 'YYYY-MM-DD HH24:MI:SS') as c8
  from generate_series(1, ${rows}) n`;

/** Makes the role and the database of the benchmark and their content, past all proxies. */
export async function fillDatabase(
  superuser: Endpoint,
  direct: Endpoint,
  rows: number,
  tools: PgbenchTools,
): Promise<void> {
  await withClient(superuser, async (client) => {
    await client.query(`create role ${direct.user} login`);
    await client.query(`create database ${direct.database} owner ${direct.user}`);
  });
  const env = libpqEnvironment(direct);
  const flags = ['--initialize', '--quiet', '--scale=10', '--init-steps=dtGp'];
  await tools.children.run('pgbench --initialize', tools.program, flags, {
    env,
    cwd: tools.folder,
    signal: tools.signal,
  });
  await withClient(direct, async (client) => {
    await client.query(wideTable(rows));
  });
  // Hint bits and visibility are settled before anything is measured, since nothing vacuums in the background.
  await withClient({ ...superuser, database: direct.database }, async (client) => {
    await client.query('vacuum analyze');
    await client.query('checkpoint');
  });
}

async function withClient(endpoint: Endpoint, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const { port, database, user, tls } = endpoint;
  const ssl = tls ? { rejectUnauthorized: false } : false;
  const client = new pg.Client({ host: '127.0.0.1', port, database, user, ssl });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
