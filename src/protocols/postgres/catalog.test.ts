import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../../test/support/postgres.ts';
import { Permit } from '../../audit/permit.ts';
import type { Target, TargetCredential } from '../../model/target.ts';
import { loadCatalog, originsOf, type TargetCatalog } from './catalog.ts';
import { CatalogCache } from './catalog-cache.ts';
import { misbehaviours, oddities, silent, startFake } from './fake.ts';
import { QueryConnection } from './query-connection.ts';
import { type PostgresSettingsInput, postgresSettings } from './settings.ts';

const schema = `
  create table customers(
    id int primary key, name text, ssn text, email text,
    ssn_end text generated always as (right(ssn, 4)) stored
  );
  alter table customers add dropped int, add after_dropped int;
  alter table customers drop dropped;
  create index on customers(email);

  create view harmless as select id, name from customers;
  create view counting as select count(*) from customers;
  create view plain as select id, ssn as number from customers;
  create view hidden_in_where as select id from customers where ssn is not null;
  create view hidden_in_join as select c.id from customers c join customers d using (ssn);
  create view whole_row as select c from customers c;
  create view whole_row_among_columns as select c.id, to_json(c) from customers c;
  create view over_view as select number from plain;
  create view over_view_counting as select count(*) from plain;
  create view joined as select c.id, c.ssn, d.ssn as other from customers c left join customers d on c.id = d.id where c.name <> '';
  create view odd_names as select ssn as "{VAR} ""x""", email as "a b(c)\\\\", id as "1" from customers;
  create view misleading_names as select ssn as ":expr", email, id as ":resno" from customers;
  create view computed as select id, upper(email), ssn || email as mixed from customers;
  create view over_computed as select id, upper as loud from computed where id > 0;
  create view chosen_by_computed as select id from computed where upper = 'X';
  create view over_hidden_in_where as select id from hidden_in_where;
  create view in_a_subquery as select id from (select id, ssn from customers) x;
  create view grouped as select ssn, count(*) from customers group by ssn;
  create view sorted as select id from customers order by ssn;
  create view united as select ssn from customers union all select 'x';
  create view full_joined as select ssn from customers full join (select '1' as ssn) x using (ssn);
  create view statistics as select attname, most_common_vals::text from pg_stats;
  create view raw_statistics as select stavalues1::text from pg_statistic;
  create view running_text as select query_to_xml('select ssn from customers', true, true, '');
  create view recent as select id, name, now() - interval '1 day' as since from customers where id > 1 and name like 'a%' and lower(name) = 'a';
  create view cleared as select id, email as address from customers;
  create materialized view copy as select ssn from customers;
  create view over_copy as select * from copy;

  create function peek(int) returns text language sql as 'select ssn from customers where id = $1';
  create operator #? (rightarg = int, function = peek);
  create view calling as select peek(id) from customers;
  create view operating as select #? id from customers;
  create extension pg_trgm;
  create view measuring as select similarity(name, 'x') from customers;

  create table notes(body text);
  create rule leak as on insert to notes do also select ssn from customers;
  create table plain_table(x int);
  create rule nothing as on delete to plain_table do instead nothing;

  create table cards(id int, number text) partition by range (id);
  create table cards_1 partition of cards for values from (1) to (10);
  create table cards_2 partition of cards for values from (10) to (20) partition by range (id);
  create table cards_2a (number text, id int);
  alter table cards_2 attach partition cards_2a for values from (10) to (20);
  create table people(name text, salary int);
  create table managers(bonus int) inherits (people);

  create schema "Odd.Schema";
  create table "Odd.Schema"."Weird ""Table"""("a.b" text, "C" text);
  create function checks(text) returns boolean language sql as 'select true';
  create domain nosy as text check (checks(value));
  create domain nosy_too as nosy;
  create type nosy_row as (a int, b nosy_too);
  create type boxed as (value text);
  create function box(int) returns boxed language sql as 'select null::boxed';
  create cast (int as boxed) with function box(int);
  create function unbox(boxed) returns text language sql as 'select null::text';
  create cast (boxed as text) with function unbox(boxed);
  create domain zip as text check (value ~ '^[0-9]{5}$');
  create domain label as text;
  create type mood as enum ('good', 'bad');
  create sequence numbers;
  create table looks(passport_no text, "phoneNumber" text, company text, spanner text);

  create role reader login password 'r';
  grant select (id, name) on customers to reader;
  create role owner_of_cards login password 'r';
  alter table cards owner to owner_of_cards;
  grant select on cards_1 to owner_of_cards;
`;

const classifyAll = {
  'public.customers.ssn': 'pii.ssn',
  'public.customers.email': 'pii.email',
  'public.cleared.address': 'pii.email',
  'public.cards_2a.number': 'pci.pan',
  'public.people.salary': 'hr.salary',
  'public.managers.bonus': 'hr.bonus',
  '"Odd.Schema"."Weird ""Table"""."a.b"': 'odd',
  'public.customers.SSN': 'pii.ssn',
  'public.customers.dropped': 'pii.ssn',
  'public.nowhere.x': 'pii.ssn',
};

let postgres: TestPostgres;
let admin: QueryConnection;
let superuser: TargetCredential;

beforeAll(async () => {
  postgres = await startPostgres();
  superuser = { user: 'postgres', secret: postgres.superuser.password };
  admin = await open(superuser);
  await admin.run(schema, 30_000);
});

afterAll(async () => {
  admin.close();
  await postgres.stop();
});

function target(
  settings: Partial<PostgresSettingsInput> = {},
  port = postgres.port,
): Target<ReturnType<typeof postgresSettings.parse>> {
  const whole = postgresSettings.parse({
    address: `127.0.0.1:${port}`,
    database: 'postgres',
    tls: { mode: 'disable' },
    ...settings,
  });
  return { name: 'shop', protocol: 'postgres', labels: {}, holdMs: 1000, settings: whole };
}

function open(credential: TargetCredential, port?: number): Promise<QueryConnection> {
  return QueryConnection.open({
    target: target({}, port),
    credential,
    permit: Permit.issue('session', 1),
    signal: new AbortController().signal,
    timeoutMs: 5000,
  });
}

async function load(
  settings: Partial<PostgresSettingsInput> = { classify: classifyAll },
  credential = superuser,
): Promise<TargetCatalog> {
  const connection = await open(credential);
  try {
    return await loadCatalog(connection, target(settings), 5000);
  } finally {
    connection.close();
  }
}

const relation = (catalog: TargetCatalog, name: string) => {
  const [found, ...others] = catalog.named(name);
  if (found === undefined || others.length > 0) throw new Error(`${name} is not there once`);
  return found;
};
const labels = (catalog: TargetCatalog, name: string) =>
  Object.fromEntries(
    relation(catalog, name).columns.flatMap((column) =>
      column.classification === undefined ? [] : [[column.name, column.classification]],
    ),
  );

describe('a catalog', () => {
  it('holds relations with their live columns, and none of the server’s own', async () => {
    const catalog = await load();
    const customers = relation(catalog, 'customers');
    expect(customers).toMatchObject({ schema: 'public', kind: 'r' });
    expect(customers.columns.map(({ name, attnum }) => `${attnum} ${name}`)).toEqual([
      '1 id',
      '2 name',
      '3 ssn',
      '4 email',
      '5 ssn_end',
      '7 after_dropped',
    ]);
    expect(customers.columns[0]?.typeOid).toBe(23);
    expect(relation(catalog, 'copy').kind).toBe('m');
    expect(relation(catalog, 'numbers').kind).toBe('S');
    expect(catalog.named('pg_class')).toEqual([]);
    expect(catalog.named('columns')).toEqual([]);
  });

  it('labels listed columns, by their exact names', async () => {
    const catalog = await load();
    expect(labels(catalog, 'customers')).toEqual({ ssn: 'pii.ssn', email: 'pii.email', ssn_end: 'pii.ssn' });
    expect(labels(catalog, 'Weird "Table"')).toEqual({ 'a.b': 'odd' });
    expect(labels(catalog, 'cleared')).toEqual({ address: 'pii.email' });
  });

  it('labels what holds the same rows: partitions, parents, children, wherever the column stands in them', async () => {
    const catalog = await load();
    for (const name of ['cards', 'cards_1', 'cards_2', 'cards_2a'])
      expect(labels(catalog, name)).toEqual({ number: 'pci.pan' });
    expect(labels(catalog, 'managers')).toEqual({ salary: 'hr.salary', bonus: 'hr.bonus' });
    expect(labels(catalog, 'people')).toEqual({ salary: 'hr.salary' });
  });

  it.each([
    ['plain', { number: 'pii.ssn' }],
    ['over_view', { number: 'pii.ssn' }],
    ['cleared', { address: 'pii.email' }],
    ['copy', { ssn: 'pii.ssn' }],
    ['over_copy', { ssn: 'pii.ssn' }],
    ['joined', { ssn: 'pii.ssn', other: 'pii.ssn' }],
    ['odd_names', { '{VAR} "x"': 'pii.ssn', 'a b(c)\\\\': 'pii.email' }],
  ])('labels the columns that the view %s shows as they are', async (name, expected) => {
    const catalog = await load();
    expect(labels(catalog, name)).toEqual(expected);
    expect(relation(catalog, name).derived).toBeUndefined();
  });

  it.each([
    ['whole_row', ['c'], ['pii.email', 'pii.ssn']],
    ['whole_row_among_columns', ['to_json'], ['pii.email', 'pii.ssn']],
    ['computed', ['upper', 'mixed'], ['pii.email', 'pii.ssn']],
    ['over_computed', ['loud'], ['pii.email', 'pii.ssn']],
  ])(
    'counts only those columns of %s as derived that are computed from something classified',
    async (name, columns, from) => {
      const { derived } = relation(await load(), name);
      expect(derived).toEqual({ columns: expect.arrayContaining(columns), classifications: from, plain: true });
      expect(derived?.columns).toHaveLength(columns.length);
    },
  );

  it.each([
    ['hidden_in_where', ['pii.ssn']],
    ['hidden_in_join', ['pii.ssn']],
    ['misleading_names', ['pii.email', 'pii.ssn']],
    ['chosen_by_computed', ['pii.email', 'pii.ssn']],
    ['over_hidden_in_where', ['pii.ssn']],
    ['in_a_subquery', ['pii.ssn']],
    ['grouped', ['pii.ssn']],
    ['sorted', ['pii.ssn']],
    ['united', ['pii.ssn']],
    ['full_joined', ['pii.ssn']],
    ['notes', ['pii.ssn']],
    ['statistics', ['hr.bonus', 'hr.salary', 'odd', 'pci.pan', 'pii.email', 'pii.ssn']],
    ['raw_statistics', ['hr.bonus', 'hr.salary', 'odd', 'pci.pan', 'pii.email', 'pii.ssn']],
    ['running_text', ['hr.bonus', 'hr.salary', 'odd', 'pci.pan', 'pii.email', 'pii.ssn']],
    ['calling', ['hr.bonus', 'hr.salary', 'odd', 'pci.pan', 'pii.email', 'pii.ssn']],
    ['operating', ['hr.bonus', 'hr.salary', 'odd', 'pci.pan', 'pii.email', 'pii.ssn']],
  ])('counts %s as derived', async (name, classifications) => {
    expect(relation(await load(), name).derived).toEqual({ columns: 'all', classifications });
  });

  it.each(['harmless', 'counting', 'over_view_counting', 'measuring', 'recent', 'plain_table', 'customers', 'looks'])(
    'does not count %s as derived',
    async (name) => {
      expect(relation(await load(), name).derived).toBeUndefined();
    },
  );

  it('counts nothing as derived when nothing is classified', async () => {
    const catalog = await load({});
    expect(catalog.relations.filter(({ derived }) => derived !== undefined)).toEqual([]);
    expect(catalog.role.mode).toBe('superuser');
  });

  it('tells reviewed code from code that could do anything', async () => {
    const catalog = await load();
    expect(catalog.opaqueFunctions.has('peek')).toBe(true);
    expect(catalog.opaqueOperators.has('#?')).toBe(true);
    expect(catalog.trustedFunctions.has('similarity')).toBe(true);
    expect(catalog.trustedOperators.has('<->')).toBe(true);
    expect([...catalog.opaqueTypes].sort()).toEqual(
      [
        '_boxed',
        '_nosy',
        '_nosy_row',
        '_nosy_too',
        'boxed',
        'nosy',
        'nosy_row',
        'nosy_too',
        'pg_catalog.text',
        'text',
      ].sort(),
    );
  });

  it('believes an operator who reviewed a function, but not for a namesake', async () => {
    const allowed = { classify: classifyAll, allowFunctions: ['public.peek'] };
    const catalog = await load(allowed);
    expect(catalog.trustedFunctions.has('peek')).toBe(true);
    expect(relation(catalog, 'calling').derived).toBeUndefined();
    await admin.run(
      "create schema other; create function other.peek(int) returns text language sql as 'select null::text'",
      5000,
    );
    const later = await load(allowed);
    expect(later.trustedFunctions.has('peek')).toBe(false);
    expect(later.opaqueFunctions.has('peek')).toBe(true);
    await admin.run('drop schema other cascade', 5000);
  });

  it('answers for the origin of a reply’s column', async () => {
    const catalog = await load();
    const { classification, sensitive } = originsOf(catalog);
    const oid = (name: string) => relation(catalog, name).oid;
    expect(classification(oid('customers'), 3)).toEqual({ field: 'public.customers.ssn', classification: 'pii.ssn' });
    expect(classification(oid('customers'), 1)).toBeUndefined();
    expect(classification(0, 0)).toBeUndefined();
    expect(['customers', 'plain', 'harmless'].map((name) => sensitive(oid(name)))).toEqual([true, true, false]);
  });
});

describe('what was classified once', () => {
  const listed = { classify: { 'later.patients.diagnosis': 'health', 'later.patients.note': 'health' } };
  const connection = () => open(superuser);

  async function reloaded(...texts: readonly string[]): Promise<TargetCatalog> {
    const asking = await connection();
    try {
      await admin.run('create schema later; create table later.patients (id int, diagnosis text, note text)', 5000);
      let catalog = await loadCatalog(asking, target(listed), 5000);
      for (const text of texts) {
        await admin.run(text, 5000);
        catalog = await loadCatalog(asking, target(listed), 5000, catalog);
      }
      return catalog;
    } finally {
      asking.close();
      await admin.run('drop schema if exists later cascade; drop schema if exists elsewhere cascade', 5000);
    }
  }

  it.each([
    ['a renamed schema', 'alter schema later rename to elsewhere'],
    ['a renamed table', 'alter table later.patients rename to visitors'],
    ['a renamed column', 'alter table later.patients rename diagnosis to harmless'],
  ])('stays so under another name, and the operator is told: %s', async (_, text) => {
    const catalog = await reloaded(text, 'create table later_marker()', 'drop table later_marker');
    expect(catalog.classifications).toEqual(new Set(['health']));
    expect(catalog.relations.flatMap(({ columns }) => columns.filter((column) => column.classification))).toHaveLength(
      2,
    );
    expect(catalog.warnings.join('\n')).toContain('classified before the schema changed, and still masked');
  });

  it('stays so beside a new table of its name', async () => {
    const catalog = await reloaded(
      'create table later.next (like later.patients); alter table later.patients rename to previous; alter table later.next rename to patients',
    );
    expect(labels(catalog, 'previous')).toEqual({ diagnosis: 'health', note: 'health' });
    expect(labels(catalog, 'patients')).toEqual({ diagnosis: 'health', note: 'health' });
  });

  it('stays so in a partition that left its table', async () => {
    const catalog = await reloaded(
      'create table later.kid () inherits (later.patients)',
      'alter table later.kid no inherit later.patients',
    );
    expect(labels(catalog, 'kid')).toEqual({ diagnosis: 'health', note: 'health' });
  });

  it('is forgotten with its column', async () => {
    const catalog = await reloaded('alter table later.patients drop diagnosis');
    expect(labels(catalog, 'patients')).toEqual({ note: 'health' });
  });
});

describe('code that runs when a relation is written', () => {
  const writing = `
    create schema w;
    create table w.secrets (id int, secret text);
    create table w.plain (id int, body text, changed timestamptz default now());
    create function w.touch() returns trigger language plpgsql as 'begin new.changed := now(); return new; end';
    create trigger t before update on w.plain for each row execute function w.touch();
    create table w.filled (id int, body text);
    create function w.fill() returns trigger language plpgsql as 'begin new.body := (select secret from w."secrets" limit 1); return new; end';
    create trigger t before insert on w.filled for each row execute function w.fill();
    create table w.dynamic (id int, body text);
    create function w.run() returns trigger language plpgsql as $$ begin execute 'select 1' into new.body; return new; end $$;
    create trigger t before insert on w.dynamic for each row execute function w.run();
    create table w.part (id int) partition by range (id);
    create table w.part_1 partition of w.part for values from (1) to (9);
    create trigger t before insert on w.part_1 for each row execute function w.run();
    create view w.shown as select id, body from w.filled;
    create function w.get() returns text language sql as 'select secret from w.secrets limit 1';
    create table w.defaulted (id int, body text default w.get());
    create table w.policed (id int);
    create policy p on w.policed using (w.get() is null);
    create function w.same(text) returns text language sql immutable as 'select $1';
    create table w.indexed (id int, body text);
    create index on w.indexed (w.same(body));
    create function w.own() returns trigger language plpgsql as 'begin new.id := length(new.secret); return new; end';
    create trigger t before insert on w.secrets for each row execute function w.own();
    create domain w.seeing as text check (w.get() = value);
    create table w.typed (id int, body w.seeing);
    create table w.standard (id int, body text);
    create function w.atomic() returns text begin atomic; select secret from w.secrets limit 1; end;
    alter table w.standard alter body set default w.atomic()`;

  it('is found, and told apart by what its text can reach', async () => {
    await admin.run(writing, 5000);
    const catalog = await load({ classify: { 'w.secrets.secret': 'x' } });
    const code = Object.fromEntries(
      catalog.relations
        .filter(({ schema: name }) => name === 'w')
        .flatMap((one) => (one.code === undefined ? [] : [[one.name, one.code]])),
    );
    const anything = (name: string) => ({ functions: [name], reads: true });
    expect(code).toEqual({
      filled: anything('w.fill'),
      dynamic: anything('w.run'),
      part: anything('w.run'),
      part_1: anything('w.run'),
      shown: anything('w.fill'),
      defaulted: anything('w.get'),
      policed: anything('w.get'),
      standard: anything('w.atomic'),
      secrets: { functions: ['w.own'], reads: false },
      typed: { functions: ['the type w.seeing'], reads: false },
    });
    const reviewed = await load({
      classify: { 'w.secrets.secret': 'x' },
      allowFunctions: ['w.fill', 'w.get', 'w.run', 'w.own', 'w.atomic'],
    });
    expect(reviewed.relations.filter((one) => one.code !== undefined)).toEqual([]);
    await admin.run('drop schema w cascade', 5000);
  });
});

describe('warnings', () => {
  it('name entries without a column, derived relations, suspicious names and a role that nothing binds', async () => {
    const { warnings, role } = await load();
    const text = warnings.join('\n');
    for (const entry of ['public.customers.SSN', 'public.customers.dropped', 'public.nowhere.x'])
      expect(text).toContain(`there is no column ${entry};`);
    expect(text).toContain('view public.hidden_in_where counts as classified: it chooses rows by public.customers.ssn');
    expect(text).toContain('view public.computed counts as classified: it reads public.customers.email');
    expect(text).toContain('view public.calling counts as classified: it calls public.peek');
    expect(text).toMatch(/the name suggests it: .*public.looks.passport_no, public.looks.phoneNumber/);
    expect(text).not.toMatch(/company|spanner/);
    expect(text).toContain('postgres is a superuser');
    expect(role.mode).toBe('superuser');
  });

  it.each([
    ['reader', { 'public.customers.ssn': 'pii.ssn' }, 'no-grant', []],
    ['reader', { 'public.customers.name': 'pii.name' }, 'reader', ['public.customers.name']],
    ['owner_of_cards', { 'public.cards.number': 'pci.pan' }, 'owner', ['public.cards.number', 'public.cards_1.number']],
    ['reader', {}, 'nothing-classified', []],
  ])('say what the role %s may read of %o', async (user, classify, mode, readable) => {
    const { role } = await load({ classify }, { user, secret: 'r' });
    expect(role).toEqual({ mode, readable });
  });
});

describe('CatalogCache', () => {
  function cache(port?: number) {
    let now = 0;
    let opened = 0;
    const made = new CatalogCache({
      target: target({ classify: { 'public.customers.ssn': 'pii.ssn' } }, port),
      now: () => now,
      timeoutMs: 2000,
      open: async () => {
        opened += 1;
        const { signal } = new AbortController();
        return { permit: Permit.issue('session', 1), signal, end: () => undefined, credential: superuser };
      },
    });
    return {
      made,
      opened: () => opened,
      wait: (ms: number) => {
        now += ms;
      },
    };
  }

  it('reads once for many callers, over one connection', async () => {
    const { made, opened } = cache();
    expect(made.current(1000)).toBeUndefined();
    const [first, ...others] = await Promise.all(Array.from({ length: 10 }, () => made.get(1000)));
    expect(others.every((other) => other === first)).toBe(true);
    expect(made.current(1000)).toBe(first);
    expect(opened()).toBe(1);
    made.close();
  });

  it('serves nothing that is older than the caller takes, and keeps the same catalog while nothing changed', async () => {
    const { made, wait, opened } = cache();
    const first = await made.get(1000);
    wait(1001);
    expect(made.current(1000)).toBeUndefined();
    expect(await made.get(1000)).toBe(first);
    expect(opened()).toBe(1);
    made.close();
  });

  it.each([
    ['a new column', 'alter table looks add more text', true],
    ['a renamed column', 'alter table looks rename company to firm', true],
    ['a new view', 'create view fresh as select ssn from customers', true],
    [
      'a view with another definition',
      'create or replace view fresh as select email::text as ssn from customers',
      true,
    ],
    ['a dropped view', 'drop view fresh', true],
    ['a new function', "create function f() returns int language sql as 'select 1'", true],
    ['a function with another body', "create or replace function f() returns int language sql as 'select 2'", true],
    ['a detached partition', 'alter table cards detach partition cards_1', true],
    ['a table in a new schema', 'create schema s2; create table s2.t(x int)', true],
    ['a moved table', 'alter table s2.t set schema public', true],
    [
      'a trigger',
      "create function tf() returns trigger language plpgsql as 'begin return new; end'; create trigger tr before insert on looks for each row execute function tf()",
      true,
    ],
    ['a domain with a check', "alter domain label add check (value <> '')", true],
    ['a temporary table', 'create temp table scratch(x int)', false],
    ['rows', "insert into people values ('a', 1)", false],
    ['vacuum and analyze', 'analyze', false],
  ])('notices %s', async (_, sql, changes) => {
    const { made } = cache();
    const before = await made.get(1000);
    await admin.run(sql, 5000);
    expect((await made.refresh()) !== before).toBe(changes);
    made.close();
  });

  it('asks anew once it was told that the schema may have changed', async () => {
    const { made } = cache();
    const before = await made.get(1000);
    await admin.run('create table late(x int)', 5000);
    made.stale();
    expect(made.current(1000)).toBeUndefined();
    const after = await made.get(1000);
    expect(after).not.toBe(before);
    expect(after.named('late')).toHaveLength(1);
    made.close();
  });

  it('does not take an answer for fresh that it was asked for before it was told', async () => {
    const { made } = cache();
    await made.get(1000);
    const asked = made.refresh();
    made.stale();
    const answer = await asked;
    // Had it kept the first answer, it would still be stale.
    expect(made.current(1000)).toBe(answer);
    made.close();
  });

  it('comes back after its connection was lost', async () => {
    const { made, opened } = cache();
    await made.get(1000);
    await admin.run(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sallyport catalog'",
      5000,
    );
    made.stale();
    await made.get(1000).catch(() => made.get(1000));
    expect(opened()).toBe(2);
    made.close();
  });

  it('serves nothing when the server cannot be asked', async () => {
    const { made, wait } = cache(1);
    await expect(made.get(1000)).rejects.toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE' });
    wait(1);
    expect(made.current(Number.MAX_VALUE)).toBeUndefined();
  });
});

describe('a question to a hostile server', () => {
  it.each(Object.entries(misbehaviours))('is answered with an error: %s', async (name, script) => {
    const fake = await startFake(script);
    const connection = await open({ user: 'app' }, fake.port);
    const answer = connection.run('select a, b from t', 5000);
    if (name === 'a second answer nobody asked for') {
      await answer;
      while (connection.usable) await new Promise((resolve) => setTimeout(resolve, 5));
    } else await expect(answer).rejects.toMatchObject({ kind: expect.stringMatching(/^UPSTREAM_/) });
    expect(connection.usable).toBe(false);
    await expect(connection.run('select 1', 1000)).rejects.toThrow();
    await fake.stop();
  });

  it.each(Object.entries(oddities))('survives %s', async (_, script) => {
    const fake = await startFake(script);
    const connection = await open({ user: 'app' }, fake.port);
    const answer = await connection.run('select a, b from t', 5000).catch((error: Error) => error.message);
    expect(typeof answer === 'string' ? answer : answer[0]).toEqual(
      typeof answer === 'string' ? expect.stringContaining('XX000') : ['1', '2'],
    );
    connection.close();
    await fake.stop();
  });

  it('ends when there is no answer', async () => {
    const fake = await startFake(silent);
    const connection = await open({ user: 'app' }, fake.port);
    await expect(connection.run('select 1', 100)).rejects.toMatchObject({ kind: 'UPSTREAM_UNAVAILABLE' });
    expect(connection.usable).toBe(false);
    await fake.stop();
  });
});
