import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecordedEvent } from '../../../src/model/event.ts';
import type { TestGateway, TestGatewayOptions } from '../../support/gateway.ts';
import { PostgresPrograms, startGatewayForPrograms } from '../../support/postgres-programs.ts';

const content: TestGatewayOptions = {
  schema: `
    create table customers (id int primary key, name text not null, email text, ssn char(11), note text default 'it''s');
    insert into customers select n, 'customer ' || n, 'c' || n || '@secret.example', '912-34-' || lpad(n::text, 4, '0') from generate_series(1, 300) n;
    create table orders (id serial primary key, customer_id int references customers, total numeric(10, 2), tags text[], extra jsonb, data bytea);
    insert into orders (customer_id, total, tags, extra, data)
      select 1 + n % 300, n / 7.0, array['a', 'b\\c', null], jsonb_build_object('n', n, 'tab', E'\\t'), decode(lpad(to_hex(n), 8, '0'), 'hex') from generate_series(1, 2000) n;
    create index orders_by_customer on orders (customer_id) where total > 1;
    create view paid as select id, total from orders where total > 10;
    create type mood as enum ('sad', 'happy');
    create function twice(n int) returns int language sql immutable as 'select n * 2';
    create function stamp() returns trigger language plpgsql as $$ begin new.total = coalesce(new.total, 0); return new; end $$;
    create trigger stamped before insert on orders for each row execute function stamp();
    create table "Odd ""name" ("Select" int, "a b" text);
    insert into "Odd ""name" values (1, E'line\\nbreak'), (2, null);
    comment on table orders is 'what was bought';
    alter table orders enable row level security;
    create policy all_of_them on orders using (true);
  `,
  classify: { 'public.customers.email': 'pii.email', 'public.customers.ssn': 'pii.ssn' },
  detectors: false,
};

/** Whoever is a dba exports; whether values are revealed is the second text's business. */
const exporters = `
  @id("connects") permit (principal, action == Action::"connect", resource);
  @id("agents-read") permit (principal, action in [Action::"read", Action::"session"], resource)
  when { principal.kind != "human" };
  @id("no-exports") @advice("a dba exports: ask one")
  forbid (principal, action == Action::"export", resource) unless { principal in Group::"dba" };
  @id("dba-exports") permit (principal in Group::"dba", action in Action::"command", resource);
  @id("dba-reviews") permit (principal in Group::"dba", action == Action::"review", resource);
`;
const reveal = `
  @id("dba-sees-everything") permit (principal in Group::"dba", action == Action::"reveal", resource);
`;

const secrets = /secret\.example|912-34-/;

describe('pg_dump by somebody who may export and see everything', () => {
  let gateway: TestGateway;
  let programs: PostgresPrograms;

  beforeAll(async () => {
    gateway = await startGatewayForPrograms({ ...content, policies: exporters + reveal });
    programs = new PostgresPrograms(gateway);
  });
  afterAll(() => gateway?.stop());

  it('is byte for byte what it is without the gateway', async () => {
    const [through, past] = await Promise.all([programs.run('pg_dump', 'dana', []), programs.direct('pg_dump', [])]);
    expect(through.stderr).toBe('');
    expect(through.code).toBe(0);
    expect(comparable(through.stdout)).toBe(comparable(past.stdout));
  });

  it('can be restored, with equal rows', async () => {
    const dump = await programs.run('pg_dump', 'dana', ['--no-owner']);
    await programs.direct('psql', ['-X', '-q', '-c', 'create database restored']);
    const psql = (database: string, input: string) =>
      programs.direct('psql', ['-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1'], { database, input });
    expect(await psql('restored', dump.stdout)).toMatchObject({ code: 0, stderr: '' });
    const all =
      'select * from customers order by id; select * from orders order by id; select * from "Odd ""name" order by 1; select nextval($$orders_id_seq$$);\n';
    const [original, restored] = [await psql('shop', all), await psql('restored', all)];
    expect(original.stdout.split('\n').length).toBeGreaterThan(2300);
    expect(restored).toEqual(original);
  });

  it('works in the other formats and selections', async () => {
    for (const args of [
      ['--schema-only'],
      ['--data-only', '--inserts', '--rows-per-insert=50'],
      ['-t', 'orders', '--column-inserts'],
      ['-n', 'public', '--no-comments'],
    ]) {
      const [through, past] = await Promise.all([
        programs.run('pg_dump', 'dana', args),
        programs.direct('pg_dump', args),
      ]);
      expect(through, args.join(' ')).toMatchObject({ code: 0, stderr: '' });
      expect(comparable(through.stdout), args.join(' ')).toBe(comparable(past.stdout));
    }
  });

  it('works in parallel, on one snapshot, and restores from that', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-dump-'));
    try {
      const dump = await programs.run('pg_dump', 'dana', ['-Fd', '-j', '2', '-f', join(folder, 'dump')]);
      expect(dump).toMatchObject({ code: 0, stderr: '' });
      const restored = await programs.direct('pg_restore', ['-f', '-', '--data-only', join(folder, 'dump')]);
      expect(restored.stdout.match(/^\d+\tcustomer \d+\t/gm)).toHaveLength(300);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('is in the log, table by table', async () => {
    await programs.run('pg_dump', 'dana', ['--data-only']);
    const { body } = await gateway.call('dana', 'GET', '/v1/audit/events?type=command.intent&target=shop&limit=500');
    const exports = (body as { items: RecordedEvent[] }).items.filter(({ actions }) =>
      (actions as string[]).includes('export'),
    );
    const resources = new Set(exports.flatMap(({ resources: names }) => names as string[]));
    for (const table of ['customers', 'orders'])
      expect([...resources].some((name) => name.includes(`public.${table}`))).toBe(true);
  });
});

describe('pg_dump by somebody who may export, but not see everything', () => {
  let gateway: TestGateway;
  let programs: PostgresPrograms;

  beforeAll(async () => {
    gateway = await startGatewayForPrograms({ ...content, policies: exporters });
    programs = new PostgresPrograms(gateway);
  });
  afterAll(() => gateway?.stop());

  it.each([
    [[]],
    [['--data-only']],
    [['--inserts']],
    [['--column-inserts', '-t', 'customers']],
    [['-t', 'customers', '-a']],
  ])('never brings a classified value: %j', async (args: string[]) => {
    const done = await programs.run('pg_dump', 'dana', args);
    expect(done.stdout + done.stderr).not.toMatch(secrets);
    if (done.code === 0) expect(done.stdout).toMatch(/redacted|masked|NULL|\\N/i);
    else expect(done.stderr).toMatch(/SP4001/);
  });

  it('brings what is not classified, byte for byte', async () => {
    const args = ['-T', 'customers'];
    const [through, past] = await Promise.all([
      programs.run('pg_dump', 'dana', args),
      programs.direct('pg_dump', args),
    ]);
    expect(through).toMatchObject({ code: 0, stderr: '' });
    expect(comparable(through.stdout)).toBe(comparable(past.stdout));
  });

  it('is refused for an agent, with the rule and what would work', async () => {
    const done = await programs.run('pg_dump', 'agent', []);
    expect(done.code).toBe(1);
    expect(done.stderr).toMatch(/SP\d{4}/);
    expect(done.stdout + done.stderr).not.toMatch(secrets);
    const data = await programs.run('pg_dump', 'agent', [
      '-t',
      'orders',
      '-a',
      '--no-subscriptions',
      '--no-publications',
    ]);
    expect(data.code).toBe(1);
    expect(data.stderr).toMatch(/SP2001: .*\nDETAIL: {2}Rule: no-exports\.\nHINT: {2}a dba exports: ask one/);
  });
});

/** Some versions draw a random word for \restrict in each dump. */
function comparable(dump: string): string {
  return dump.replaceAll(/^\\(un)?restrict .*$/gm, '');
}
