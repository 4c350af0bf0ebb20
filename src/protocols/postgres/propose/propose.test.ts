import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { startPostgres, type TestPostgres } from '../../../../test/support/postgres.ts';
import { binDir } from '../../../../test/support/postgres-programs.ts';
import { Permit } from '../../../audit/permit.ts';
import { visible } from '../../../cli/visible.ts';
import { classifySection } from '../../../client/classify-section.ts';
import type { Gateway, Proposal } from '../../../gateway/protocol.ts';
import { createDetector } from '../../../mask/detect/detector.ts';
import { recogniser } from '../../../mask/detect/recognise.ts';
import type { TargetCredential } from '../../../model/target.ts';
import { QueryConnection } from '../query-connection.ts';
import type { SchemaRelation } from '../schema.ts';
import { parseColumnName, postgresSettings } from '../settings.ts';
import { propose } from './propose.ts';
import { sample } from './queries.ts';

const testdata = join(import.meta.dirname, 'testdata');
const recognise = recogniser(createDetector());

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres({ settings: { log_statement: 'none' } });
});
afterAll(() => postgres.stop());

const superuser = (server = postgres): TargetCredential => ({ user: 'postgres', secret: server.superuser.password });

function target(classify: Readonly<Record<string, string>>, database: string, server = postgres) {
  const settings = postgresSettings.parse({
    address: `127.0.0.1:${server.port}`,
    database,
    tls: { mode: 'disable' },
    classify,
  });
  return { name: 'shop', protocol: 'postgres', labels: {}, holdMs: 1000, settings };
}

function direct(name: string, server = postgres): Promise<QueryConnection> {
  return QueryConnection.open({
    target: target({}, name, server),
    credential: superuser(server),
    permit: Permit.issue('session', 1),
    signal: new AbortController().signal,
    timeoutMs: 20_000,
  });
}

/** A database of its own with this schema. */
async function database(name: string, schema: string, server = postgres): Promise<void> {
  for (const [where, sql] of [
    ['postgres', `create database "${name}"`],
    [name, schema],
  ] as const) {
    const connection = await direct(where, server);
    await connection.run(sql, 20_000);
    connection.close();
  }
}

/** What was logged and which sessions were opened, besides the answer. */
async function ask(
  name: string,
  classify: Readonly<Record<string, string>> = {},
  credential = superuser(),
  server = postgres,
  signal = new AbortController().signal,
) {
  const log: unknown[] = [];
  const sessions: unknown[] = [];
  const gateway = {
    limits: { loginMs: 10_000, sessionMs: 1, restMs: 1, commandBytes: 1000 },
    credential: async () => credential,
    log: (...line: unknown[]) => log.push(line),
    housekeeping: async (_: unknown, purpose?: string) => {
      sessions.push(`start ${purpose}`);
      return { permit: Permit.issue('session', 1), signal, end: (reason: string) => sessions.push(`end ${reason}`) };
    },
  } as unknown as Gateway;
  const answer: Proposal = await propose(target(classify, name, server), gateway, recognise);
  return { answer, log, sessions };
}

const expected = parse(readFileSync(join(testdata, 'expected.yaml'), 'utf8')) as [string, string, number][];
const fields = ({ entries }: Proposal) => entries.map(({ field }) => field);
const entry = ({ entries }: Proposal, field: string) => entries.find((one) => one.field === field);

describe('what is proposed for a schema in English and German', () => {
  beforeAll(() => database('shop', readFileSync(join(testdata, 'schema.sql'), 'utf8')));

  it('is what a person would classify, each with enough confidence, and nothing else', async () => {
    const { answer } = await ask('shop');
    expect(fields(answer).toSorted()).toEqual(expected.map(([field]) => field).toSorted());
    for (const [field, classification, least] of expected) {
      const found = entry(answer, field);
      expect([field, found?.classification]).toEqual([field, classification]);
      expect(found?.confidence, field).toBeGreaterThanOrEqual(least);
      expect(found?.reasons.length, field).toBeGreaterThan(0);
    }
    const confidences = answer.entries.map(({ confidence }) => confidence);
    expect(confidences).toEqual(confidences.toSorted((a, b) => b - a));
    expect(entry(answer, 'crm.customers.card_number')?.reasons[0]).toBe(
      '95 of 100 sampled values look like payment cards',
    );
    expect(answer.looked.fields).toBeGreaterThan(40);
  });

  it('is the same at the server of the system’s own packages', async () => {
    const server = await startPostgres({ binDir });
    await database('shop', readFileSync(join(testdata, 'schema.sql'), 'utf8'), server);
    const { answer } = await ask('shop', {}, superuser(server), server);
    expect(answer).toEqual((await ask('shop')).answer);
    await server.stop();
  });

  it('warns of copies: audit tables, documents in them, views and materialized views', async () => {
    const text = (await ask('shop')).answer.warnings.join('\n');
    expect(text).toMatch(
      /crm\.customers_audit seems to hold copies of rows of crm\.customers.*old_row may hold whole rows/,
    );
    expect(text).toMatch(/^view crm\.computed is made of .*crm\.customers\.email$/m);
    expect(text).toMatch(/^materialized view crm\.copied keeps a copy of .*crm\.customers\.ssn$/m);
    expect(text).not.toContain('crm.plain');
  });

  it('holds nothing of any value, nor does the log', async () => {
    const { answer, log } = await ask('shop');
    const shown = JSON.stringify([answer, log]);
    for (const value of [
      'canary',
      'Canary',
      'Kanarienweg',
      '219-09',
      'mail.example',
      '4111',
      'DE89',
      '$2b$',
      '10.0.0.1',
      '1980',
      '17083',
    ])
      expect(shown).not.toContain(value);
    expect(log).toEqual([]);
  });

  it('leaves alone what is classified, and follows it into copies and references', async () => {
    const own = {
      'crm.customers.ssn': 'own.number',
      'crm.customers.email': 'own.mail',
      'crm.customers.login': 'own.login',
    };
    const { answer } = await ask('shop', own);
    for (const field of Object.keys(own)) expect(fields(answer)).not.toContain(field);
    expect(entry(answer, 'crm.orders.contact')).toMatchObject({ classification: 'own.mail', confidence: 0.97 });
    expect(entry(answer, 'crm.customers_audit.login')).toMatchObject({
      classification: 'own.login',
      reasons: ['seems to be a copy of crm.customers.login'],
    });
  });

  it('names the column that may have been meant by an entry without one', async () => {
    const wrong = {
      'crm.customer.email': 'pii.email',
      'crm.customers.SSN': 'pii.ssn',
      'old.clients.iban': 'pii.iban',
      'a.b.c': 'x',
    };
    const { warnings } = (await ask('shop', wrong)).answer;
    expect(warnings.slice(0, 4).map((warning) => warning.replace(/^classify: there is no column /, ''))).toEqual([
      'crm.customer.email; nothing is masked by this entry; did you mean crm.customers.email?',
      'crm.customers.SSN; nothing is masked by this entry; did you mean crm.customers.ssn?',
      'old.clients.iban; nothing is masked by this entry; did you mean crm.customers.iban?',
      'a.b.c; nothing is masked by this entry',
    ]);
  });

  it('is worked out in a session of the gateway’s own, which ends', async () => {
    const { sessions } = await ask('shop');
    expect(sessions).toEqual([
      'start sample',
      expect.stringMatching(/^end looked at \d+ columns for what to classify$/),
    ]);
    const failing = ask('nowhere').then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(await failing).toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE' });
  });
});

describe('a database that does not make it easy', () => {
  it('is judged as far as the role may read it, and by names where it may not', async () => {
    await database(
      'denied',
      `create role looker login password 'l';
       create schema closed; grant usage on schema public to looker;
       create table public.open (contact text); grant select on public.open to looker;
       create table public.half (contact text, hidden text); grant select (contact) on public.half to looker;
       create table public.shut (iban text, contact text);
       create table closed.box (iban text, contact text); grant select on closed.box to looker;
       create materialized view public.empty as select 'x'::text as contact with no data; grant select on public.empty to looker;
       ${['public.open', 'public.half', 'public.shut', 'closed.box']
         .map(
           (table) =>
             `insert into ${table} (contact) select 'canary' || n || '@mail.example' from generate_series(1, 20) n;`,
         )
         .join('\n')}`,
    );
    const { answer } = await ask('denied', {}, { user: 'looker', secret: 'l' });
    expect(fields(answer).toSorted()).toEqual([
      'closed.box.iban',
      'public.half.contact',
      'public.open.contact',
      'public.shut.iban',
    ]);
    expect(answer.warnings).toEqual([
      'public.shut, closed.box: judged by name only, because the role may not read them',
    ]);
  });

  it('does not stop at a table that is locked, or that fails with a value in its error', async () => {
    await database(
      'failing',
      `create table a_locked (contact text); create table z_open (contact text);
       create table fails (contact text, email text generated always as ((contact::int)::text) virtual);
       insert into a_locked select 'canary@mail.example' from generate_series(1, 20);
       insert into z_open select 'canary@mail.example' from generate_series(1, 20);
       insert into fails (contact) select 'canary-in-error' from generate_series(1, 20)`,
    );
    const holder = await direct('failing');
    await holder.run('begin; lock table a_locked in access exclusive mode', 5000);
    const { answer, log } = await ask('failing');
    holder.close();
    expect(fields(answer)).toEqual(['public.z_open.contact', 'public.fails.email']);
    expect(answer.warnings.toSorted()).toEqual([
      'public.a_locked could not be sampled: the server said 55P03',
      'public.fails could not be sampled: the server said 22P02',
    ]);
    expect(JSON.stringify([answer, log])).not.toContain('canary');
  });

  it('has none of its own code run: policies, casts, views, foreign tables', async () => {
    await database(
      'trapped',
      `create function trap() returns boolean language plpgsql as $$ begin raise exception 'trapped'; end $$;
       create table guarded (contact text); alter table guarded enable row level security;
       create policy p on guarded using (trap());
       create type boxed as (value text); create table boxes (contact boxed);
       create function unbox(boxed) returns text language plpgsql as $$ begin raise exception 'trapped'; end $$;
       create cast (boxed as text) with function unbox(boxed);
       create domain checked as text check (trap() is null or true) not valid;
       create view seen as select trap()::text as contact;
       create table parent (contact text); create extension postgres_fdw;
       create server far foreign data wrapper postgres_fdw options (host '127.0.0.1', port '1');
       create foreign table far_away (contact text) server far;
       create foreign table far_child () inherits (parent) server far;
       create role guest login password 'g'; grant select on all tables in schema public to guest;
       insert into guarded values ('x'); insert into boxes values (row('canary@mail.example')::boxed)`.replace(
        /create domain .*\n/,
        '',
      ),
    );
    const { answer } = await ask('trapped', {}, { user: 'guest', secret: 'g' });
    expect(answer.entries).toEqual([]);
    expect(answer.warnings).toEqual([
      "public.guarded: judged by name only, because a row security policy would run functions of the database's own",
      'public.far_away, public.far_child: foreign tables, which are judged by name only',
    ]);
  });

  it('does not run what was put in the place of a table meanwhile', async () => {
    const looked = async (name: string) => {
      const connection = await QueryConnection.open({
        target: target({}, 'trapped'),
        credential: { user: 'guest', secret: 'g' },
        permit: Permit.issue('session', 1),
        signal: new AbortController().signal,
        timeoutMs: 5000,
      });
      const relation = { schema: 'public', name } as SchemaRelation;
      const columns = [{ relation, attnum: 1, column: 'contact', type: 'text', array: false, safe: true }] as const;
      return connection.run(sample({ relation, schema: 'public', name, pages: 1, rowSecurity: false, columns }), 5000);
    };
    await expect(looked('seen')).rejects.toThrow('TABLESAMPLE clause can only');
    await expect(looked('far_away')).rejects.toThrow('TABLESAMPLE clause can only');
    await expect(looked('guarded')).rejects.toThrow('42501');
  });

  it('is left when the gateway stops', async () => {
    const holder = await direct('failing');
    await holder.run('begin; lock table a_locked in access exclusive mode', 5000);
    const stopping = new AbortController();
    const asked = ask('failing', {}, superuser(), postgres, stopping.signal).catch((error: unknown) => error);
    const waiting = `select count(*) from pg_stat_activity where application_name = 'sallyport classify'`;
    const watcher = await direct('failing');
    const count = async (wait: string) => Number((await watcher.run(`${waiting} and ${wait}`, 5000))[0]?.[0]);
    while ((await count(`wait_event_type = 'Lock'`)) === 0);
    stopping.abort(new Error('the gateway is stopping'));
    await asked;
    while ((await count('true')) > 0);
    holder.close();
    watcher.close();
  });

  it('is looked at in one partition, and proposed once for all', async () => {
    await database(
      'parts',
      `create table parts (id int, contact text, email text) partition by range (id);
       create table parts_1 partition of parts for values from (0) to (1000);
       create table parts_2 partition of parts for values from (1000) to (2000) partition by range (id);
       create table parts_2a (own_iban text, email text, contact text, id int); alter table parts_2a drop own_iban;
       alter table parts_2 attach partition parts_2a for values from (1000) to (1500);
       create table base (email text); create table derived (iban text) inherits (base);
       insert into parts select n, 'canary' || n || '@mail.example', 'x' from generate_series(1000, 1400) n; analyze`,
    );
    const { answer } = await ask('parts');
    expect(fields(answer).toSorted()).toEqual([
      'public.base.email',
      'public.derived.iban',
      'public.parts.contact',
      'public.parts.email',
    ]);
    expect(entry(answer, 'public.parts.contact')?.reasons).toEqual([
      '100 of 100 sampled values look like e-mail addresses',
    ]);
    expect(entry(answer, 'public.parts.email')?.reasons).toEqual([
      'the name suggests e-mail addresses',
      'but none of 100 sampled values looks like one',
    ]);
  });

  it('is hardly read, however large it is', async () => {
    await database(
      'large',
      `create table large (contact text, wide text, document jsonb);
       alter table large alter wide set storage external;
       insert into large select 'canary' || n || '@mail.example', repeat('w', 200), '{}' from generate_series(1, 40000) n;
       insert into large select null, repeat('W', 300000), jsonb_build_object('k', repeat('K', 300000)) from generate_series(1, 5);
       create table wide (contact text); alter table wide alter contact set storage external;
       insert into wide select 'canary@mail.example ' || repeat('W', 300000) from generate_series(1, 10);
       analyze large`,
    );
    const { answer } = await ask('large');
    expect(entry(answer, 'public.large.contact')?.reasons).toEqual([
      '100 of 100 sampled values look like e-mail addresses',
    ]);
    const connection = await direct('large');
    const [[read] = []] = await connection
      .run(
        `select pg_stat_force_next_flush(); select pg_sleep(0.3); select sum(seq_tup_read) from pg_stat_all_tables where relname = 'large'`,
        5000,
      )
      .then((rows) => rows.slice(-1));
    connection.close();
    expect(Number(read)).toBeGreaterThanOrEqual(100);
    expect(Number(read)).toBeLessThan(5000);
    // Long values are left where they are.
    expect(fields(answer)).toEqual(['public.large.contact']);
  });

  it('may call its things what it likes: the section reads back as exactly the proposals', async () => {
    const table = 'T"a.b\u001b[31m\u202e: #\n';
    const columns = [
      'email',
      'E-mail "x".y',
      'iban: [a]\n  public.x.y',
      'ssn #',
      '- phone',
      'Käse email',
      '\u001b]0;ssn\u0007',
      '{ssn}',
      'ssn\u00ad\u{e0041}',
      '\\ssn\\',
    ];
    const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
    await database(
      'odd',
      `create table ${quoted(table)} (${columns.map((name) => `${quoted(name)} text`).join(', ')})`,
    );
    const { answer } = await ask('odd');
    expect(answer.entries.length).toBe(columns.length);
    const section = classifySection(answer.entries);
    expect(parse(section)).toEqual({
      classify: Object.fromEntries(answer.entries.map(({ field, classification }) => [field, classification])),
    });
    expect(section.split('\n').length).toBe(columns.length + 2);
    expect(visible(section)).toBe(section);
    const read = (parse(section) as { classify: Record<string, string> }).classify;
    expect(
      Object.keys(read)
        .map((field) => parseColumnName(field)?.column)
        .toSorted(),
    ).toEqual(columns.toSorted());
    // With what was proposed in place, there is nothing left to propose.
    expect((await ask('odd', read)).answer).toMatchObject({ entries: [], warnings: [] });
  });
});
