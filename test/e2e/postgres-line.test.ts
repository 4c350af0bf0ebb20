import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApprovalRequest } from '../../src/model/approval.ts';
import type { RecordedEvent } from '../../src/model/event.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

let gateway: TestGateway;

const secrets = ['912-34-5678', 'ada@secret.example', '4111111111111111', '987-65-4321', 'bob@secret.example'];

beforeAll(async () => {
  gateway = await startGateway({
    holdMs: 400,
    schema: `
      create table customers (id int primary key, name text, email text, ssn char(11), card text, birth_date date, profile jsonb, salary int);
      insert into customers values
        (1, 'Ada', 'ada@secret.example', '912-34-5678', '4111111111111111', '1970-02-03', '{"city": "Graz"}', 50000),
        (2, 'Bob', 'bob@secret.example', '987-65-4321', '4242424242424242', '1980-02-03', '{"city": "Lyon"}', 60000);
      create table orders (id int primary key, customer_id int, status text);
      insert into orders select n, 1 + n % 2, 'paid' from generate_series(1, 50) n;
      create view contacts as select id, email from customers;
      create table notes (id int, body text);
      insert into notes values (1, 'paid with 4111 1111 1111 1111, call 912-34-5678? mail ada@secret.example');
      create function reveal(int) returns text language sql as 'select ssn from customers where id = $1';
    `,
    classify: {
      'public.customers.email': 'pii.email',
      'public.customers.ssn': 'pii.ssn',
      'public.customers.card': 'pci.card',
      'public.customers.birth_date': 'pii.birthdate',
      'public.customers.profile': 'pii.profile',
      'public.customers.salary': 'hr.salary',
    },
  });
});
afterAll(() => gateway.stop());

async function failure(query: Promise<unknown>): Promise<pg.DatabaseError> {
  return query.then(
    () => {
      throw new Error('it was not refused');
    },
    (error: pg.DatabaseError) => error,
  );
}

async function events(query: string): Promise<readonly RecordedEvent[]> {
  const { status, body } = await gateway.call('dana', 'GET', `/v1/audit/events?limit=500&${query}`);
  expect(status).toBe(200);
  return (body as { items: RecordedEvent[] }).items;
}

async function openRequests(): Promise<readonly ApprovalRequest[]> {
  const { body } = await gateway.call('dana', 'GET', '/v1/approvals?state=open&limit=100');
  return (body as { items: ApprovalRequest[] }).items;
}

function expectNoSecret(shown: unknown): void {
  const text = JSON.stringify(shown);
  for (const secret of secrets) expect(text).not.toContain(secret);
}

describe('masking', () => {
  it('masks classified columns in SELECT *, under aliases, and keeps the rest', async () => {
    const agent = await gateway.client('agent');
    for (const text of [
      'select * from customers order by id',
      'select c.id, c.email as x, c.ssn as "y z", card, birth_date, profile, salary, name from customers c order by 1',
    ]) {
      const { rows } = await agent.query(text);
      expectNoSecret(rows);
      expect(rows.map(({ id, name }) => [id, name])).toEqual([
        [1, 'Ada'],
        [2, 'Bob'],
      ]);
      expect(rows[0].birth_date).toBeNull();
      expect(rows[0].salary).toBeNull();
      expect(rows[0].card).toMatch(/^\*+1111$/);
      expect(rows[0].email ?? rows[0].x).toContain('pii.email');
    }
    await agent.end();
  });

  it('masks in the extended protocol, with parameters, named statements and binary results', async () => {
    const agent = await gateway.client('agent');
    for (let i = 0; i < 3; i++) {
      const { rows } = await agent.query({
        name: 'by-id',
        text: 'select id, email, ssn, birth_date, profile from customers where id = $1',
        values: [1],
      });
      expectNoSecret(rows);
      expect(rows[0].id).toBe(1);
    }
    // node-postgres asks for binary results here.
    const { rows } = await agent.query({
      text: 'select id, email, ssn, birth_date, profile, salary from customers',
      binary: true,
    } as never);
    expectNoSecret(
      (rows as object[]).map((row) =>
        Object.values(row as object).map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : value)),
      ),
    );
    expect(rows).toHaveLength(2);
    await agent.end();
  });

  it('masks what RETURNING and cursors bring', async () => {
    const agent = await gateway.client('agent');
    await agent.query('begin');
    await agent.query('declare c cursor for select id, email from customers order by id');
    const { rows } = await agent.query('fetch all from c');
    expect(rows.map(({ id }) => id)).toEqual([1, 2]);
    expectNoSecret(rows);
    await agent.query('commit');
    await agent.end();
  });

  it.each([
    "select id from customers where ssn = '912-34-5678'",
    "select id from customers where email like 'ada%'",
    'select upper(email) from customers',
    'select email || ssn from customers',
    'select c from customers c',
    'select row_to_json(c) from customers c',
    'select to_jsonb(customers) from customers',
    'select id from customers order by ssn',
    'select count(*) from customers group by email',
    'select max(ssn), min(card), max(salary) from customers',
    'select x from (select upper(ssn) as x from customers) s',
    'with c as (select ssn as x from customers) select upper(x) from c',
    'select ssn from customers union select ssn from customers',
    'select (select ssn from customers limit 1)',
    'select email from contacts where length(email) > 3',
    'select upper(email) from contacts',
    "select id from orders where exists (select 1 from customers where ssn like '9%')",
    'table customers order by 4',
    "select case when (select ssn from customers where id = 1) like '9%' then 1 else 1/0 end",
  ])('lets it meet masks only: %s', async (text) => {
    const agent = await gateway.client('agent');
    const answer: unknown = await agent.query(text).then(
      ({ rows }) => ({ rows }),
      (error: pg.DatabaseError) => ({ message: error.message, detail: error.detail, hint: error.hint }),
    );
    expectNoSecret(answer);
    if (text.includes('1/0')) expect(answer).toMatchObject({ message: 'division by zero' });
    else expect(answer).toHaveProperty('rows');
    await agent.end();
  });

  it('shows as much of a value as its mask does, whatever is done with it', async () => {
    const agent = await gateway.client('agent');
    const { rows } = await agent.query(
      'select card, upper(card) as twice, count(*) from customers group by card order by card desc',
    );
    expectNoSecret(rows);
    for (const { card, twice } of rows) expect(twice).toBe(card.toUpperCase());
    expect(rows.some(({ card }) => /^\*+1111$/.test(card))).toBe(true);
    const { rows: again } = await agent.query("select id from customers where card like '%1111' order by id");
    expect(again.length).toBeGreaterThan(0);
    await agent.end();
  });

  it('puts what was sent, and the server’s certificate, into the log', async () => {
    const agent = await gateway.client('agent');
    const text = "select name from customers where ssn like '9%' and id = 77";
    await agent.query(text);
    await agent.query(text);
    await agent.end();
    const { body } = await gateway.call('dana', 'GET', '/v1/audit/events?type=command.intent&limit=500&after=0');
    const { items } = body as { items: readonly Record<string, unknown>[] };
    const intents = items.filter((item) => item.text === text);
    // Analysing it was a command of its own, before it.
    expect(intents[0]?.prepareOnly).toBe(true);
    const [first, second, ...more] = intents.filter(({ prepareOnly }) => prepareOnly === undefined);
    expect(more).toEqual([]);
    expect(first?.sent).toContain('AS "ssn"');
    expect(first?.certificate).toMatchObject({ tree: expect.stringMatching(/^[0-9a-f]{64}$/), serverMajor: 18 });
    expect(second?.certificate).toEqual(first?.certificate);
  });

  it.each([
    'select reveal(1)',
    'select upper(ssn), reveal(1) from customers',
    'insert into notes select id, ssn from customers',
    'copy customers to stdout',
    'copy (select ssn from customers) to stdout',
    'select query_to_xml($$select ssn from customers$$, true, true, $$$$)',
  ])('gives nothing away for: %s', async (text) => {
    const agent = await gateway.client('agent');
    const answer = await agent.query(text).then(
      ({ rows }) => ({ rows }),
      (error: pg.DatabaseError) => ({
        message: error.message,
        detail: error.detail,
        hint: error.hint,
        code: error.code,
      }),
    );
    expectNoSecret(answer);
    expect(answer).toHaveProperty('message');
    expect((answer as { message: string }).message).toMatch(/SP\d{4}/);
    // The connection goes on.
    expect((await agent.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await agent.end();
  });

  it.each([
    'select count(*) from customers',
    'select id, name from customers where id = 2',
    'select o.id, c.name from orders o join customers c on c.id = o.customer_id where o.id < 5 order by o.id',
    'with c as (select id, name from customers) select * from c',
    'select status, count(*) from orders group by status having count(*) > 1 order by 1',
  ])('does not stand in the way of: %s', async (text) => {
    const agent = await gateway.client('agent');
    const direct = await gateway.direct();
    expect((await agent.query(text)).rows).toEqual((await direct.query(text)).rows);
    await Promise.all([agent.end(), direct.end()]);
  });

  it('masks the columns of a view that only shows them', async () => {
    const agent = await gateway.client('agent');
    const answer = await agent.query('select * from contacts order by id');
    expectNoSecret(answer.rows);
    expect(answer.rows.map(({ id }) => id)).toEqual([1, 2]);
    await agent.end();
  });

  it('finds card numbers and e-mail addresses in free text', async () => {
    const agent = await gateway.client('agent');
    const { rows } = await agent.query('select * from notes');
    expect(rows[0].body).not.toContain('4111 1111 1111 1111');
    expect(rows[0].body).not.toContain('ada@secret.example');
    expect(rows[0].body).toMatch(/^paid with /);
    await agent.end();
  });

  it('notices a schema that changed behind its back', async () => {
    const agent = await gateway.client('agent');
    const direct = await gateway.direct();
    await agent.query('select email from customers');
    await sleep(1100);
    await direct.query('alter table customers rename column email to mail');
    const { rows } = await agent.query('select id, mail from customers order by id');
    expectNoSecret(rows);
    await direct.query('alter table customers rename column mail to email');
    await Promise.all([agent.end(), direct.end()]);
  });

  it('drops what the server’s errors quote', async () => {
    const agent = await gateway.client('dana');
    const error = await failure(
      agent.query("insert into customers values (1, 'x', 'new@secret.example', '912-34-5678')"),
    );
    expect(error.code).toBe('23505');
    expect(error.detail).toBeUndefined();
    await agent.end();
  });

  it('notes each masking with count and keyed digest, never a value', async () => {
    const agent = await gateway.client('agent');
    await agent.query('select id, ssn as marker from customers');
    await agent.end();
    await sleep(600);
    const outcomes = (await events('type=command.outcome&target=shop')).filter(({ masked }) => masked !== undefined);
    const field = (
      outcomes.flatMap(({ masked }) => masked) as {
        field: string;
        classification: string;
        count: number;
        digest: string;
      }[]
    ).find((one) => one.field === 'public.customers.ssn');
    expect(field).toMatchObject({ classification: 'pii.ssn', count: 2 });
    expect(field?.digest).toMatch(/^[0-9a-f]{8}:[0-9a-f]{32}$/);
    expectNoSecret(await events('type=command.outcome'));
  });
});

describe('approvals', () => {
  const risky = (id: number) => `delete from orders where id = ${id}`;

  it('hold, tell the agent what to do, and run the identical command once after a yes', async () => {
    const agent = await gateway.client('agent');
    const notices: string[] = [];
    agent.on('notice', (notice) => notices.push(`${notice.message}`));
    const held = await failure(agent.query(risky(1)));
    expect(held.code).toBe('ZS001');
    expect(held.hint).toContain('identical');
    expect(notices.join()).toContain('waiting for approval by dba');
    const [request] = (await openRequests()).filter(({ text }) => text === risky(1));
    expect(request).toBeDefined();
    // Again, before anybody decided: the same request, no second one.
    await failure(agent.query(risky(1)));
    expect((await openRequests()).filter(({ text }) => text === risky(1))).toHaveLength(1);
    const yes = await gateway.call('dana', 'POST', `/v1/approvals/${request!.id}/approve`, { reason: 'was a test' });
    expect(yes.status).toBe(200);
    expect((await agent.query(risky(1))).rowCount).toBe(1);
    expect((await failure(agent.query(risky(1)))).code).toBe('ZS001');
    await agent.end();
  });

  it('let a waiting command go on as soon as somebody says yes', async () => {
    const slow = await gateway.client('agent');
    const [done] = await Promise.all([
      slow.query(risky(2)),
      (async () => {
        for (let i = 0; i < 40; i++) {
          const request = (await openRequests()).find(({ text }) => text === risky(2));
          if (request !== undefined)
            return gateway.call('dana', 'POST', `/v1/approvals/${request.id}/approve`, { reason: 'go on' });
          await sleep(10);
        }
        throw new Error('no request appeared');
      })(),
    ]);
    expect(done.rowCount).toBe(1);
    await slow.end();
  });

  it('bind to text and values: another value needs another yes', async () => {
    const agent = await gateway.client('agent');
    const text = 'delete from orders where id = $1';
    await failure(agent.query(text, [3]));
    const request = (await openRequests()).find((one) => one.text === text)!;
    expect(request.parameters).toEqual(['3']);
    await gateway.call('dana', 'POST', `/v1/approvals/${request.id}/approve`, { reason: 'three' });
    expect((await failure(agent.query(text, [4]))).code).toBe('ZS001');
    expect((await agent.query(text, [3])).rowCount).toBe(1);
    await agent.end();
  });

  it('are no good for another caller', async () => {
    const agent = await gateway.client('agent');
    const other = await gateway.client('other-agent');
    await failure(agent.query(risky(5)));
    const request = (await openRequests()).find(({ text }) => text === risky(5))!;
    await gateway.call('dana', 'POST', `/v1/approvals/${request.id}/approve`, { reason: 'for the one who asked' });
    expect((await failure(other.query(risky(5)))).code).toBe('ZS001');
    await Promise.all([agent.end(), other.end()]);
  });

  it('a no reaches the agent with its reason', async () => {
    const agent = await gateway.client('agent');
    await failure(agent.query(risky(6)));
    const request = (await openRequests()).find(({ text }) => text === risky(6))!;
    await gateway.call('dana', 'POST', `/v1/approvals/${request.id}/deny`, { reason: 'that order is real' });
    const no = await failure(agent.query(risky(6)));
    expect(no.code).toBe('ZS002');
    expect(no.message).toContain('that order is real');
    await agent.end();
  });

  it('never wait inside a transaction: the statement fails at once and its locks go with it', async () => {
    const agent = await gateway.client('agent');
    await agent.query('begin');
    const started = process.hrtime.bigint();
    expect((await failure(agent.query(risky(7)))).code).toBe('ZS001');
    expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(5000);
    expect((await failure(agent.query('select 1'))).code).toBe('25P02');
    await agent.query('rollback');
    await agent.end();
  });

  it('cannot be answered by the requester, an agent, or somebody outside the group', async () => {
    const agent = await gateway.client('agent');
    await failure(agent.query(risky(8)));
    const request = (await openRequests()).find(({ text }) => text === risky(8))!;
    for (const who of ['agent', 'other-agent', 'sam'] as const) {
      const answer = await gateway.call(who, 'POST', `/v1/approvals/${request.id}/approve`, { reason: 'please' });
      expect([403, 404]).toContain(answer.status);
    }
    expect((await openRequests()).some(({ id }) => id === request.id)).toBe(true);
    await agent.end();
  });

  it('a cancel request ends the wait', async () => {
    const agent = await gateway.client('agent');
    const waiting = failure(agent.query(risky(9)));
    await sleep(100);
    const { processID, secretKey } = agent as unknown as { processID: number; secretKey: number };
    const { dial } = await import('../support/raw-postgres.ts');
    const { cancelRequest } = await import('../../src/protocols/postgres/codec.ts');
    const secret = Buffer.alloc(4);
    secret.writeInt32BE(secretKey);
    const socket = await dial(gateway.port);
    socket.end(cancelRequest({ processId: processID, secret }));
    expect((await waiting).code).toBe('ZS001');
    await agent.end();
  });
});

describe('the record', () => {
  it('has intent and outcome of every command, what was refused and held, in order', async () => {
    const agent = await gateway.client('agent');
    await agent.query('select 1 as recorded');
    await failure(agent.query('drop table orders'));
    await failure(agent.query('selec nonsense'));
    await agent.end();
    await sleep(600);
    const { body } = await gateway.call('dana', 'GET', '/v1/sessions?limit=1&principal=test:agent');
    const session = (body as { items: { id: string; commands: number; denied: number }[] }).items[0]!;
    const all = await events(`session=${session.id}`);
    const inOrder = [...all].sort((a, b) => a.seq - b.seq);
    const types = inOrder.map(({ type }) => type);
    expect(types[0]).toBe('session.started');
    expect(types).toContain('command.intent');
    expect(types.filter((type) => type === 'command.denied')).toHaveLength(2);
    expect(types.at(-1)).toBe('session.ended');
    expect(inOrder.find(({ type }) => type === 'command.intent')).toMatchObject({
      text: 'select 1 as recorded',
      decision: 'allow',
    });
  });

  it('ends a live session when an operator says so', async () => {
    const agent = await gateway.client('agent');
    await agent.query('select 1');
    await sleep(300);
    const { body } = await gateway.call('dana', 'GET', '/v1/sessions?limit=1&principal=test:agent&live=true');
    const { id } = (body as { items: { id: string }[] }).items[0]!;
    const ended = await gateway.call('dana', 'POST', `/v1/sessions/${id}/terminate`, { reason: 'enough' });
    expect(ended.status).toBeLessThan(300);
    await sleep(100);
    await expect(agent.query('select 1')).rejects.toThrow();
  });
});

describe('prepared statements in SQL', () => {
  it('run as what was prepared, masked, and can be approved only as that', async () => {
    const agent = await gateway.client('dana'); // Policy lets her do more than an agent may, but see no more.
    await agent.query('prepare p (int) as select id, ssn from customers where id = $1');
    const { rows } = await agent.query('execute p(1)');
    expect(rows).toHaveLength(1);
    expectNoSecret(rows);
    for (const text of [
      'create temp table stolen as execute p(1)',
      'explain analyze execute p(1)',
      'execute nobody',
      'execute p(1); select 1',
    ]) {
      expect((await failure(agent.query(text))).message).toMatch(/SP\d{4}/);
    }
    await agent.end();
  });

  it('are followed when a name comes to mean something else', async () => {
    const agent = await gateway.client('agent');
    await agent.query('prepare p as select 1 as one');
    await agent.query('deallocate p');
    await failure(agent.query('prepare p as drop table orders'));
    await agent.query('prepare p as select 2 as two');
    expect((await agent.query('execute p')).rows).toEqual([{ two: 2 }]);
    // The server refuses to define it again; the gateway must not believe that it means the new thing.
    await failure(agent.query('prepare p as select ssn from customers'));
    expect((await agent.query('execute p')).rows).toEqual([{ two: 2 }]);
    await agent.end();
  });
});
