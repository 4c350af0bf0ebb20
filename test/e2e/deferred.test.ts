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
      create function tell() returns trigger language plpgsql as $$ begin raise notice 'it was "%"', new.ssn; return new; end $$;
      create constraint trigger told after update on people deferrable initially deferred for each row execute function tell();
    `,
    classify: { 'public.people.ssn': 'pii.ssn' },
  });
});
afterAll(async () => {
  await client?.end();
  await gateway?.stop();
});

/** What PostgreSQL says about row 1 when its id becomes that of row 2. */
const collide = 'update people set id = 2 where id = 1';

describe('what the server checks late, when a transaction ends', () => {
  it.each([
    ['COMMIT', ['begin', collide, 'commit']],
    ['END', ['begin', collide, 'end']],
    ['SET CONSTRAINTS', ['begin', collide, 'set constraints all immediate', 'rollback']],
    ['the end of a text', [`${collide}; select 1`]],
    ['the end of a statement of its own', [collide]],
    ['the Sync of a pipeline', [{ text: collide, values: [], name: 'collide' }]],
    ['PREPARE TRANSACTION', ['begin', collide, "prepare transaction 'x'"]],
    ['COMMIT AND CHAIN', ['begin', collide, 'commit and chain', 'rollback']],
  ])('quotes no classified value: %s', async (_, texts) => {
    client = await gateway.client('agent');
    const said: unknown[] = [];
    client.on('notice', (notice) => said.push({ ...notice, message: notice.message }));
    for (const text of texts as (string | pg.QueryConfig)[]) {
      await client.query(text).catch((error: pg.DatabaseError) => said.push({ ...error, message: error.message }));
    }
    expect(said.length).toBeGreaterThan(0);
    expect(JSON.stringify(said)).not.toContain(secret);
    await client.end();
  });
});
