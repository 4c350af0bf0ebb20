import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { workPolicies } from '../support/work-policies.ts';

let gateway: TestGateway;
const open: postgres.Sql[] = [];

beforeAll(async () => {
  gateway = await startGateway({
    policies: workPolicies,
    schema: `
      create table items (id int primary key, name text, price numeric(10, 2), tags text[], extra jsonb, at timestamptz, data bytea);
      insert into items select n, 'item ' || n, n / 4.0, array['a', 'b'], jsonb_build_object('n', n), '2026-01-02T03:04:05Z', '\\x00ff' from generate_series(1, 500) n;
      create table people (id int primary key, name text, email text);
      insert into people select n, 'person ' || n, 'p' || n || '@secret.example' from generate_series(1, 100) n;
      create table loads (id int, word text);
      create type mood as enum ('sad', 'happy');
    `,
    classify: { 'public.people.email': 'pii.email' },
  });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((sql) => sql.end({ timeout: 5 })));
});
afterAll(() => gateway?.stop());

function connect(options: postgres.Options<Record<string, never>> = {}): postgres.Sql {
  const sql = postgres({
    host: '127.0.0.1',
    port: gateway.port,
    database: 'shop',
    user: 'anyone',
    password: () => gateway.tokenOf('agent'),
    ssl: { ca: gateway.ca, servername: 'localhost' },
    max: 4,
    onnotice: () => undefined,
    ...options,
  } as postgres.Options<Record<string, never>>);
  open.push(sql);
  return sql;
}

async function failure(query: Promise<unknown>): Promise<postgres.PostgresError> {
  return Promise.resolve(query).then(
    () => {
      throw new Error('it did not fail');
    },
    (error: postgres.PostgresError) => error,
  );
}

describe('postgres.js', () => {
  it('binds parameters of tagged queries, and parses what comes', async () => {
    const sql = connect();
    const tags = ['x', 'y, "z"'];
    await sql`insert into items ${sql([{ id: 2001, name: 'new', price: '1.50', tags, extra: { deep: [1] }, at: new Date(0), data: Buffer.from([1, 2]) }])}`;
    const [row] = await sql`select * from items where id = ${2001}`;
    expect(row).toEqual({
      id: 2001,
      name: 'new',
      price: '1.50',
      tags,
      extra: { deep: [1] },
      at: new Date(0),
      data: Buffer.from([1, 2]),
    });
    const names =
      await sql`select name from items where id in ${sql([1, 2, 3])} and name like ${'item%'} order by ${sql('id')}`;
    expect(names.map(({ name }) => name as string)).toEqual(['item 1', 'item 2', 'item 3']);
  });

  it('learns the array types at its first connection', async () => {
    const sql = connect({ fetch_types: true });
    expect((await sql`select array['sad', 'happy']::mood[] as moods`)[0]).toEqual({ moods: ['sad', 'happy'] });
  });

  it('asks much at once over few connections', async () => {
    const sql = connect();
    const answers = await Promise.all(
      Array.from({ length: 2000 }, (_, i) => sql`select ${i}::int as n, name from items where id = ${1 + (i % 500)}`),
    );
    expect(answers.map(([row]) => row)).toEqual(
      Array.from({ length: 2000 }, (_, i) => ({ n: i, name: `item ${1 + (i % 500)}` })),
    );
  });

  it('sends more ahead than the gateway keeps in flight', async () => {
    const sql = connect({ max: 1, max_pipeline: 10_000 } as postgres.Options<Record<string, never>>);
    const answers = await Promise.all(Array.from({ length: 6000 }, (_, i) => sql`select ${i}::int as n`));
    expect(answers.map(([row]) => (row as { n: number }).n)).toEqual(Array.from({ length: 6000 }, (_, i) => i));
  });

  it('keeps a transaction together, with savepoints', async () => {
    const sql = connect();
    await sql.begin(async (tx) => {
      await tx`insert into items (id, name) values (3001, 'kept')`;
      await tx
        .savepoint(async (inner) => {
          await inner`insert into items (id, name) values (3002, 'lost')`;
          await inner`select 1 / 0`;
        })
        .catch(() => undefined);
      await tx`insert into items (id, name) values (3003, 'kept')`;
    });
    await expect(
      sql.begin('isolation level serializable', async (tx) => {
        await tx`insert into items (id, name) values (3004, 'lost')`;
        throw new Error('changed my mind');
      }),
    ).rejects.toThrow('changed my mind');
    const pipelined = await sql.begin((tx) => [tx`select 1 as n`, tx`select 2 as n`, tx`select 3 as n`]);
    expect(pipelined.map(([row]) => row?.n as number)).toEqual([1, 2, 3]);
    expect((await sql`select id from items where id > 3000 order by id`).map(({ id }) => id as number)).toEqual([
      3001, 3003,
    ]);
  });

  it('rolls a transaction back in which a statement is refused', async () => {
    const sql = connect();
    const error = await failure(
      sql.begin(async (tx) => {
        await tx`insert into items (id, name) values (4001, 'lost')`;
        await tx`drop table items`;
      }),
    );
    expect(error).toMatchObject({ name: 'PostgresError', code: '42501', hint: 'keep it' });
    expect(await sql`select from items where id = 4001`).toHaveLength(0);
  });

  it('runs several statements of one text', async () => {
    const sql = connect();
    const results = (await sql.unsafe('select 1 as a; select 2 as b; select 3 as c')) as unknown as Record<
      string,
      number
    >[][];
    expect(results.map((rows) => [...rows])).toEqual([[{ a: 1 }], [{ b: 2 }], [{ c: 3 }]]);
    expect([...(await sql`select 5 as n`.simple())]).toEqual([{ n: 5 }]);
    const error = await failure(sql.unsafe('select 1; drop table items; select 2'));
    expect(error.code).toBe('42501');
    expect([...(await sql.unsafe('select name from items where id = $1', [5], { prepare: true }))]).toEqual([
      { name: 'item 5' },
    ]);
  });

  it('reads with a cursor, to the end and not', async () => {
    const sql = connect({ max: 1 });
    const sizes: number[] = [];
    let sum = 0;
    for await (const rows of sql`select id, email from people order by id`.cursor(30)) {
      sizes.push(rows.length);
      for (const { id, email } of rows) {
        sum += id as number;
        expect(email).not.toContain('secret.example');
      }
    }
    expect(sizes).toEqual([30, 30, 30, 10]);
    expect(sum).toBe(5050);
    for await (const rows of sql`select * from generate_series(1, 100000)`.cursor(10)) {
      expect(rows).toHaveLength(10);
      break;
    }
    expect([...(await sql`select 1 as one`)]).toEqual([{ one: 1 }]);
  });

  it('describes a statement without running it', async () => {
    const { types, columns } =
      await connect()`select id, email from people where id = ${1} and name = ${'x'}`.describe();
    expect(types).toEqual([23, 25]);
    expect(columns.map(({ name }) => name)).toEqual(['id', 'email']);
  });

  it('streams rows as they come', async () => {
    let count = 0;
    await connect()`select n from generate_series(1, 20000) n`.forEach((row) => {
      count += row.n === count + 1 ? 1 : Number.NaN;
    });
    expect(count).toBe(20_000);
  });

  it('copies in and out', async () => {
    const sql = connect();
    const into = await sql`copy loads from stdin`.writable();
    await pipeline(Readable.from(Array.from({ length: 5000 }, (_, i) => `${i}\tword ${i}\n`)), into);
    expect([...(await sql`select count(*)::int, sum(id)::int from loads`)]).toEqual([{ count: 5000, sum: 12_497_500 }]);
    const chunks: Buffer[] = [];
    await pipeline(
      await sql`copy (select id, word from loads order by id) to stdout`.readable(),
      new Writable({
        write(chunk: Buffer, _encoding, done) {
          chunks.push(chunk);
          done();
        },
      }),
    );
    expect(Buffer.concat(chunks).toString()).toBe(Array.from({ length: 5000 }, (_, i) => `${i}\tword ${i}\n`).join(''));
  });

  it('listens and notifies', async () => {
    const sql = connect();
    const heard: string[] = [];
    const three = Promise.withResolvers<void>();
    const { unlisten } = await sql.listen('news', (payload) => {
      heard.push(payload);
      if (heard.length === 3) three.resolve();
    });
    for (const payload of ['one', 'two', '']) await sql.notify('news', payload);
    await three.promise;
    expect(heard).toEqual(['one', 'two', '']);
    await unlisten();
  });

  it('cancels what runs, and goes on', async () => {
    const sql = connect({ max: 1 });
    const query = sql`select pg_sleep(30)`.execute();
    const direct = await gateway.direct();
    while ((await direct.query("select from pg_stat_activity where wait_event = 'PgSleep'")).rowCount === 0);
    await direct.end();
    query.cancel();
    expect((await failure(query)).code).toBe('57014');
    expect([...(await sql`select 1 as one`)]).toEqual([{ one: 1 }]);
  });

  it('fails one statement of a crowd without disturbing the others', async () => {
    const sql = connect({ max: 2 });
    const answers = await Promise.allSettled(
      Array.from({ length: 300 }, (_, i) => {
        if (i % 3 === 1) return sql`drop table items`;
        if (i % 3 === 2) return sql`select 1 / ${0}::int`;
        return sql`select ${i}::int as n`;
      }),
    );
    for (const [i, answer] of answers.entries()) {
      if (i % 3 === 0) expect(answer).toMatchObject({ status: 'fulfilled', value: [{ n: i }] });
      else expect(answer).toMatchObject({ status: 'rejected', reason: { code: i % 3 === 1 ? '42501' : '22012' } });
    }
  });

  it('is told that replication is not available', async () => {
    const sql = connect({ publications: 'all' } as never);
    const error = await failure(sql.subscribe('insert:items', () => undefined));
    expect(error.code).toBe('0A000');
  });

  it('works without prepared statements, and with names of its own', async () => {
    const sql = connect({ prepare: false });
    for (let i = 1; i < 20; i++)
      expect([...(await sql`select name from items where id = ${i}`)]).toEqual([{ name: `item ${i}` }]);
  });
});
