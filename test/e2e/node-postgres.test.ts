import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { workPolicies } from '../support/work-policies.ts';

let gateway: TestGateway;
let config: pg.PoolConfig;

beforeAll(async () => {
  gateway = await startGateway({
    policies: workPolicies,
    schema: `
      create table items (id int primary key, name text, price numeric(10, 2), tags text[], extra jsonb, at timestamptz, data bytea);
      insert into items select n, 'item ' || n, n / 4.0, array['a', 'b'], jsonb_build_object('n', n), '2026-01-02T03:04:05Z', '\\x00ff' from generate_series(1, 500) n;
      create table people (id int primary key, name text, email text);
      insert into people values (1, 'Ada', 'ada@secret.example');
      create table held (id int);
    `,
    classify: { 'public.people.email': 'pii.email' },
  });
  config = {
    host: '127.0.0.1',
    port: gateway.port,
    database: 'shop',
    user: 'anyone',
    // node-postgres asks for the password at each connection, which is what short-lived tokens need.
    password: () => gateway.tokenOf('agent'),
    ssl: { ca: gateway.ca, servername: 'localhost' },
  };
});
afterAll(() => gateway?.stop());

const connect = () => gateway.client('agent');

async function failure(query: Promise<unknown>): Promise<pg.DatabaseError> {
  return query.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: pg.DatabaseError) => error,
  );
}

describe('node-postgres', () => {
  it('answers a pool that asks much at once', async () => {
    const pool = new pg.Pool({ ...config, max: 8 });
    const answers = await Promise.all(
      Array.from({ length: 400 }, (_, i) => pool.query('select id, name from items where id = $1', [1 + i])),
    );
    expect(answers.map(({ rows }) => rows[0])).toEqual(
      Array.from({ length: 400 }, (_, i) => ({ id: 1 + i, name: `item ${1 + i}` })),
    );
    expect(pool.totalCount).toBeLessThanOrEqual(8);
    await pool.end();
  });

  it('brings every type as it comes from the server itself', async () => {
    const [client, direct] = await Promise.all([connect(), gateway.direct()]);
    const text =
      "select *, 1::int8 as big, 1.5::float8 as real, null as nothing, '{1,2}'::int[] as ints, '1 day'::interval as span from items where id = any($1) order by id";
    const through = await client.query(text, [[1, 2, 3]]);
    const past = await direct.query(text, [[1, 2, 3]]);
    expect(through.rows).toEqual(past.rows);
    expect(through.fields).toEqual(past.fields);
    expect(through.rowCount).toBe(3);
    const arrays = await client.query({
      text: 'select id, extra, data from items where id < $1',
      values: [3],
      rowMode: 'array',
    });
    expect(arrays.rows).toEqual([
      [1, { n: 1 }, Buffer.from([0, 255])],
      [2, { n: 2 }, Buffer.from([0, 255])],
    ]);
    await Promise.all([client.end(), direct.end()]);
  });

  it('runs several statements of one text', async () => {
    const client = await connect();
    const results = (await client.query('select 1 as a; select 2 as b, 3 as c; select')) as unknown as pg.QueryResult[];
    expect(results.map(({ rows }) => rows)).toEqual([[{ a: 1 }], [{ b: 2, c: 3 }], [{}]]);
    await client.end();
  });

  it('commits and rolls back, and a refused statement fails the transaction only', async () => {
    const client = await connect();
    await client.query('begin');
    await client.query('insert into items (id, name) values ($1, $2)', [1001, 'kept']);
    await client.query('commit');
    await client.query('begin');
    await client.query('insert into items (id, name) values ($1, $2)', [1002, 'lost']);
    const refused = await failure(client.query('drop table items'));
    expect(refused.code).toBe('42501');
    expect((await failure(client.query('select 1'))).code).toBe('25P02');
    await client.query('rollback');
    const { rows } = await client.query('select name from items where id > 1000');
    expect(rows).toEqual([{ name: 'kept' }]);
    await client.end();
  });

  it('prepares named statements once and runs them often', async () => {
    const client = await connect();
    for (let i = 1; i <= 50; i++) {
      const { rows } = await client.query({ name: 'by id', text: 'select name from items where id = $1', values: [i] });
      expect(rows).toEqual([{ name: `item ${i}` }]);
    }
    const { rows } = await client.query('select name, statement from pg_prepared_statements');
    expect(rows).toEqual([{ name: 'by id', statement: 'select name from items where id = $1' }]);
    const error = await failure(client.query({ name: 'by id', text: 'select 1', values: [] }));
    expect(error.message).toMatch(/must be unique/);
    await client.end();
  });

  it('listens, and is notified by others', async () => {
    const [listener, other] = await Promise.all([connect(), connect()]);
    const heard: pg.Notification[] = [];
    listener.on('notification', (notification) => heard.push(notification));
    await listener.query('listen news');
    await other.query("notify news, 'first'");
    await other.query("select pg_notify('news', 'second')");
    while (heard.length < 2) await listener.query('select 1');
    expect(heard.map(({ channel, payload }) => [channel, payload])).toEqual([
      ['news', 'first'],
      ['news', 'second'],
    ]);
    await Promise.all([listener.end(), other.end()]);
  });

  it('gets notices', async () => {
    const client = await connect();
    const notices: (string | undefined)[] = [];
    client.on('notice', ({ message }) => notices.push(message));
    await client.query('create table if not exists items (id int)');
    expect(notices).toEqual(['relation "items" already exists, skipping']);
    await client.end();
  });

  it('is held to statement_timeout, and goes on', async () => {
    const client = await gateway.client('agent', { statement_timeout: 100 });
    expect((await failure(client.query('select pg_sleep(30)'))).code).toBe('57014');
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  it('gives up by query_timeout without disturbing the next connection', async () => {
    const pool = new pg.Pool({ ...config, max: 1, query_timeout: 200 });
    pool.on('error', () => undefined);
    const client = await pool.connect();
    await expect(client.query('select pg_sleep(1)')).rejects.toThrow('Query read timeout');
    client.release(true);
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });

  it('is cancelled by somebody else’s pg_cancel_backend', async () => {
    const [client, direct] = await Promise.all([connect(), gateway.direct()]);
    const { rows } = await client.query('select pg_backend_pid() as pid');
    const sleeping = failure(client.query('select pg_sleep(30)'));
    const asleep = "select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'";
    while ((await direct.query(asleep, [rows[0].pid])).rowCount === 0);
    await direct.query('select pg_cancel_backend($1)', [rows[0].pid]);
    expect((await sleeping).code).toBe('57014');
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await Promise.all([client.end(), direct.end()]);
  });

  it('sees the fields of the server’s errors', async () => {
    const [client, direct] = await Promise.all([connect(), gateway.direct()]);
    for (const text of [
      'insert into items (id) values (1)',
      'select nothing from items',
      "select 'x'::int",
      'select 1/0',
    ]) {
      const [through, past] = [await failure(client.query(text)), await failure(direct.query(text))];
      expect({ ...through, message: through.message }, text).toEqual({ ...past, message: past.message });
    }
    await Promise.all([client.end(), direct.end()]);
  });

  it('sees a refusal as an error with code, rule and advice', async () => {
    const client = await connect();
    const error = await failure(client.query('truncate items'));
    expect(error).toMatchObject({
      severity: 'ERROR',
      code: '42501',
      detail: 'Rule: nothing-is-destroyed.',
      hint: 'keep it',
    });
    expect(error.message).toMatch(/^SP2001: /);
    expect((await client.query('select count(*)::int as n from items')).rows[0].n).toBeGreaterThan(400);
    await client.end();
  });

  it('sees masks in rows, as objects, arrays and named statements', async () => {
    const client = await connect();
    for (const query of [
      'select * from people',
      { name: 'p', text: 'select * from people' },
      { text: 'select * from people', rowMode: 'array' as const },
    ]) {
      const { rows } = await client.query(query as string);
      expect(rows).toHaveLength(1);
      expect(JSON.stringify(rows)).not.toContain('secret.example');
      expect(JSON.stringify(rows)).toContain('Ada');
    }
    await client.end();
  });

  it('is told at the end of the window that a person has to decide, and may come back', async () => {
    const client = await connect();
    const notices: (string | undefined)[] = [];
    client.on('notice', ({ message }) => notices.push(message));
    const insert = () => client.query('insert into held values ($1)', [7]);
    const pending = await failure(insert());
    expect(pending).toMatchObject({
      code: 'ZS001',
      detail: expect.stringMatching(/^Rule: held-needs-dba\. Approval: /),
    });
    const id = /request ([0-9a-f-]{36})/.exec(pending.message)?.[1];
    expect(notices).toEqual([expect.stringContaining(`request ${id}`)]);
    await gateway.call('dana', 'POST', `/v1/approvals/${id}/approve`, { reason: 'a test' });
    expect((await insert()).rowCount).toBe(1);
    expect((await failure(insert())).code).toBe('ZS001');
    await client.end();
  });
});
