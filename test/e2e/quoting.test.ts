import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { workPolicies } from '../support/work-policies.ts';

let gateway: TestGateway;
let client: pg.Client;

const secret = 'Hidden-4711';

beforeAll(async () => {
  gateway = await startGateway({
    policies: workPolicies,
    detectors: false,
    schema: `
      create table people (id int, ssn text, unique (id, ssn) deferrable initially deferred);
      insert into people select n, '${secret}' from generate_series(1, 3) n;
      create function tell() returns trigger language plpgsql as $$ begin raise notice 'it was %', new.ssn; return new; end $$;
      create constraint trigger told after update on people deferrable initially deferred for each row execute function tell();
      create trigger told_at_once before update on people for each row execute function tell();
      create table strict (id int, ssn text);
      insert into strict values (1, '${secret}');
      create function refuse() returns trigger language plpgsql as $$
        begin raise exception using message = 'no ' || old.ssn, hint = 'not ' || old.ssn, detail = old.ssn, errcode = '23514'; end $$;
      create trigger refused before update on strict for each row execute function refuse();
    `,
    classify: { 'public.people.ssn': 'pii.ssn', 'public.strict.ssn': 'pii.ssn' },
  });
});
afterAll(async () => {
  await client?.end();
  await gateway?.stop();
});

/** Fails late, with row 1 in its DETAIL, and a trigger tells of it twice. */
const collide = 'update people set id = 2 where id = 1';

describe('what the server says when a statement or its transaction fails', () => {
  it.each([
    ['COMMIT', ['begin', collide, 'commit']],
    ['END', ['begin', collide, 'end']],
    ['SET CONSTRAINTS', ['begin', collide, 'set constraints all immediate', 'rollback']],
    ['the end of a text', [`${collide}; select 1`]],
    ['the end of a statement of its own', [collide]],
    ['the Sync of a pipeline', [{ text: collide, values: [], name: 'collide' }]],
    ['PREPARE TRANSACTION', ['begin', collide, "prepare transaction 'x'"]],
    ['a trigger’s own error', ['update strict set id = 2', { text: 'update strict set id = $1', values: [2] }]],
    ['COMMIT AND CHAIN', ['begin', collide, 'commit and chain', 'rollback']],
  ])('quotes no classified value: %s', async (_, texts) => {
    client = await gateway.client('agent');
    const said: unknown[] = [];
    client.on('notice', (notice) => said.push({ ...notice, message: notice.message }));
    for (const text of texts as (string | pg.QueryConfig)[]) {
      await client.query(text).catch((error: pg.DatabaseError) => said.push({ ...error, message: error.message }));
    }
    expect(said.length).toBeGreaterThan(1);
    expect(JSON.stringify(said)).not.toContain(secret);
    await client.end();
  });
});
