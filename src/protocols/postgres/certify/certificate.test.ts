import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { statementsIn } from '../../../../test/e2e/attacks/leaks.ts';
import { Analysing } from '../../../../test/support/analysing.ts';
import { startPostgres, type TestPostgres } from '../../../../test/support/postgres.ts';
import { binDir } from '../../../../test/support/postgres-programs.ts';
import { Permit } from '../../../audit/permit.ts';
import { Refusal } from '../../../model/errors.ts';
import { hide } from '../../../sql/hidden.ts';
import { loadParser, parse } from '../../../sql/parse.ts';
import { shapeOf } from '../../../sql/shape.ts';
import { loadCatalog, type TargetCatalog } from '../catalog.ts';
import { QueryConnection } from '../query-connection.ts';
import { postgresSettings } from '../settings.ts';
import { type Certification, certify } from './certificate.ts';
import { Certifier, type CertifierTarget } from './certifier.ts';
import { formOf, maskKey } from './mask-form.ts';
import { Rewrites } from './rewrites.ts';
import type { Rewritten } from './rewritten.ts';
import { knownCode, type Surroundings, surroundingsOf } from './surroundings.ts';
import { isNode, type Node, readTree } from './tree.ts';

const schema = readFileSync(new URL('../../../../test/e2e/attacks/schema.sql', import.meta.url), 'utf8');
const more = `
  create role joe;
  create table protected (id int, ssn text);
  alter table protected enable row level security;
  create policy own on protected using (ssn = current_user);
  create table audited (id int);
  create rule also as on insert to audited do also select ssn from customers;
  create view inserted as select id, name from customers;
  create trigger instead instead of insert on inserted for each row execute function fill();
  grant select on protected to public;
  create extension citext`;
const classify = {
  'public.customers.ssn': 'pii.ssn',
  'public.customers.email': 'pii.email',
  'public.customers.salary': 'hr.salary',
  'public.customers.profile': 'pii.profile',
  'public.patients.diagnosis': 'health',
  'public.protected.ssn': 'pii.ssn',
};
const mask = `(SELECT id, name, NULL::pg_catalog.text AS ssn, NULL::pg_catalog.text AS email, NULL::pg_catalog.int4 AS salary, city
  FROM public.customers) AS c`;
const lastFour = "pg_catalog.concat('***', pg_catalog.right(ssn, 4))";

const servers: readonly (readonly [string, number, string | undefined])[] = [
  ['PostgreSQL 18', 18, undefined],
  ['PostgreSQL 15', 15, binDir],
];

describe.each(servers)('a certificate by %s', (_name, major, programs) => {
  let postgres: TestPostgres;
  let analysing: Analysing;
  let surroundings: Surroundings;
  let catalog: TargetCatalog;
  beforeAll(async () => {
    const trust = ['host all all 127.0.0.1/32 trust'];
    postgres = await startPostgres({ hba: trust, ...(programs === undefined ? {} : { binDir: programs }) });
    const settings = postgresSettings.parse({
      address: `127.0.0.1:${postgres.port}`,
      database: 'postgres',
      tls: { mode: 'disable' },
      classify,
      masking: 'rewrite',
    });
    const target = { name: 'shop', protocol: 'postgres', labels: {}, holdMs: 0, settings };
    const connection = await QueryConnection.open({
      target,
      credential: { user: 'postgres', secret: postgres.superuser.password },
      permit: Permit.issue('session', 1),
      signal: new AbortController().signal,
      timeoutMs: 5000,
    });
    await connection.run(`${schema}; ${more}`, 10_000);
    catalog = await loadCatalog(connection, target, 5000);
    connection.close();
    const code = knownCode(catalog, catalog.schema.details!.builtins, new Set());
    surroundings = surroundingsOf(catalog, code, hide(catalog.classifications));
    analysing = await Analysing.open(postgres.port);
  });
  afterAll(async () => {
    analysing?.close();
    await postgres?.stop();
  });

  async function treeOf(text: string): Promise<string> {
    const { analysed } = await analysing.analyse(text);
    if (analysed.kind !== 'tree') throw new Error(`no tree: ${JSON.stringify(analysed)}`);
    return analysed.tree;
  }

  async function certified(
    text: string,
    options: { strangers?: boolean; masks?: ReadonlyMap<string, ReadonlySet<string>> } = {},
  ): Promise<Certification> {
    return certify(await treeOf(text), { surroundings, serverMajor: major, strangers: false, ...options });
  }

  it.each([
    `select * from ${mask} where ssn like '4%' order by salary, email`,
    `select upper(ssn), max(email), row_to_json(c) from ${mask} group by ssn, c.*`,
    `with x as (select ssn from ${mask}) select x.ssn || 'x' from x join orders o on o.status = x.ssn`,
    `select ssn from ${mask} union all select status from orders`,
    'select o.id, v.id from orders o join contacts v on v.id = o.customer_id',
    'select count(*) from customers',
    'select o.id from orders o where exists (select * from customers c where c.id = o.customer_id)',
    'select id from (select * from customers) x',
    'with x as (select id, ssn from customers) select id from x',
    "update notes set body = 'x' where id in (select id from contacts where name = 'x') returning body",
    'insert into customers (id, email, ssn) values (1, $1, $2) on conflict (id) do update set ssn = excluded.ssn',
    'delete from orders where id = 1',
    'merge into orders o using notes n on n.id = o.id when matched then update set status = n.body when not matched then insert (id) values (n.id)',
    'select sum(total) over (order by id range between 1 preceding and current row), jsonb_agg(status) from orders group by id, total',
    'with recursive t (n) as (select 1 union all select n + 1 from t where n < 5) search depth first by n set o cycle n set c using p select * from t',
    'select * from rows from (generate_series(1, 2), unnest(array[1])) with ordinality',
    "select * from xmltable('/a' passing xml '<a/>' columns x int path 'b')",
    "select 'x'::citext = 'X'",
    'select status::mood, mood::text from orders cross join moods',
    'select * from orders tablesample bernoulli (10)',
    'select id from orders for update',
  ])('is given for: %s', async (text) => {
    expect(await certified(text)).toMatchObject({
      ok: true,
      certificate: { serverMajor: major, carries: 0, strangers: false },
    });
  });

  it.each([
    ['select ssn from customers', 1],
    ['select id, ssn, email as x from customers c', 2],
    ['select * from contacts', 1],
    ['with x as (select * from customers) select y.ssn from (select * from x) y', 1],
    ["update customers set name = 'x' where id = 1 returning ssn, id", 1],
    ['select ssn from customer_copy', 1],
    ['select perks, salary from vips order by id', 1],
    ['select j.email from (customers c join orders o on o.id = c.id) j', 1],
  ])('says of “%s” how many columns the reply has to mask', async (text, carries) => {
    expect(await certified(text)).toMatchObject({ ok: true, certificate: { carries } });
  });

  it.each([
    "select id from customers where ssn = 'x'",
    'select id from customers order by ssn',
    'select upper(ssn) from customers',
    'select ssn::varchar from customers',
    'select distinct ssn from customers',
    'select count(*) from customers group by ssn',
    'select max(ssn) from customers',
    'select ssn from customers union select ssn from customers',
    'select status from orders union all select ssn from customers',
    'select (select ssn from customers limit 1)',
    'select array(select ssn from customers)',
    'select id from orders where status in (select ssn from customers)',
    'select customers from customers',
    'select row_to_json(c) from customers c',
    'select (x).ssn from (select c as x from customers c) y',
    'select id from customers a join customers b using (ssn, id)',
    'select a.id from customers a natural join customers b',
    'select ssn from customers a full join (select 1 as x) b on true where ssn is null',
    'select coalesce(a.ssn, b.ssn) from customers a full join customers b on a.id = b.id',
    'select ssn from customers full join customer_copy using (ssn)',
    'select x.s from customers c cross join lateral (select c.ssn || 1 as s) x',
    'with recursive t (s) as (select ssn from customers union all select s from t) select s from t',
    "with x as (update customers set name = 'x' returning ssn) select upper(ssn) from x",
    'update orders set status = (select ssn from customers limit 1) returning status',
    'update orders o set status = c.ssn from customers c where c.id = o.customer_id',
    'insert into notes select id, ssn from customers',
    "update customers set email = email || 'x' where id = 1",
    "delete from customers where ssn = 'x'",
    'insert into customers (id) values (1) on conflict (id) do update set city = customers.ssn',
    'merge into notes n using customers c on c.ssn = n.body when matched then delete',
    'merge into notes n using customers c on c.id = n.id when not matched then insert values (c.id, c.ssn)',
    'select rank() over (order by ssn) from customers',
    'select count(*) filter (where ssn is null) from customers',
    'select * from customers c, generate_series(1, c.salary)',
    'select id from customers limit (select max(salary) from customers)',
    'select id from rich',
    'select masked_too || 1 from customers',
    'select id from customer_copy order by ssn',
    'insert into audited values (1)',
    'insert into inserted values (1)',
    'insert into tickets values (1, 1)',
    'select * from seen_through',
    'select peek(1)',
    'select peek_all(id) from orders',
    'select 1 ~@~ 1',
    'select * from peek_set()',
    "select 'x'::nosy",
    'select $1::nosy',
    "select * from json_to_record('{}') as (a nosy)",
    'select (1::boxed).value',
    'select o.peek_row from orders o',
    "select query_to_xml('select 1', true, true, '')",
    "select pg_read_file('x')",
    'select * from pg_stats',
    'select stavalues1 from pg_statistic',
    'select query from pg_stat_activity',
    'create table x as select 1',
    'explain select 1',
  ])('is refused for: %s', async (text) => {
    const made = await certified(text);
    expect(made.ok ? made.certificate : undefined).toBeUndefined();
  });

  it('covers masks that read their column, and nothing that looks like them', async () => {
    const tree = readTree(await treeOf(`select ${lastFour} from only public.customers`));
    const [target] = tree[0]!.fields.targetList as readonly Node[];
    const expression = target!.fields.expr;
    if (!isNode(expression)) throw new Error('no expression');
    const made = await certified('select id from customers');
    const oid = made.ok ? made.certificate.relations[0]! : 0;
    const masks = new Map([[maskKey(oid, 4), new Set([formOf(expression)])]]);
    const masked = (inner: string) =>
      `select upper(s), count(*) from (select id, ${inner} as s from public.customers) c group by s`;
    expect(await certified(masked(lastFour), { masks })).toMatchObject({ ok: true, certificate: { carries: 0 } });
    expect(await certified(`select c.id from customers c where ${lastFour} = 'x'`, { masks })).toMatchObject({
      ok: true,
    });
    for (const other of [
      'ssn',
      "pg_catalog.concat('***', pg_catalog.right(ssn, 5))",
      "pg_catalog.concat('***', pg_catalog.right(email, 4))",
      "pg_catalog.concat('***', ssn, pg_catalog.right(ssn, 4))",
      "pg_catalog.concat('***', pg_catalog.left(ssn, 4))",
      "pg_catalog.concat('***', pg_catalog.right((select ssn from public.customers limit 1), 4))",
      `pg_catalog.concat(${lastFour}, ssn)`,
    ])
      expect((await certified(masked(other), { masks })).ok, other).toBe(false);
    expect((await certified(masked(lastFour))).ok).toBe(false);
  });

  it('looks into the policies that the server adds', async () => {
    expect(await certified('select id from protected')).toMatchObject({ ok: true });
    await analysing.run('set role joe');
    expect(await certified('select id from protected')).toMatchObject({ ok: false });
    await analysing.run('reset role');
  });

  it('does not know tables of others, only of the session itself', async () => {
    await analysing.run('create temp table mine (id int)');
    expect(await certified('select * from mine')).toMatchObject({ ok: false, doubtful: true });
    expect(await certified('select * from mine', { strangers: true })).toMatchObject({
      ok: true,
      certificate: { strangers: true },
    });
    await analysing.run('drop table mine');
  });

  it('is about names as the session has them', async () => {
    await analysing.run('set search_path = staging');
    expect(await certified("select id from customers where ssn = 'x'")).toMatchObject({ ok: true });
    await analysing.run('set search_path = public');
    expect(await certified("select id from customers where ssn = 'x'")).toMatchObject({ ok: false });
    await analysing.run(
      'create schema evil; create function evil.upper(text) returns text language sql as $$select $1$$',
    );
    await analysing.run('set search_path = evil, pg_catalog, public');
    expect(await certified('select upper(status) from orders')).toMatchObject({ ok: false, doubtful: true });
    await analysing.run('reset search_path');
    expect(await certified('select upper(status) from orders')).toMatchObject({ ok: true });
  });

  it('cannot be had by names that look like a tree', async () => {
    for (const name of [
      '}',
      ':relid',
      '{VAR :varno 1',
      ')',
      '\\',
      ':resorigtbl',
      '<>',
      'a b',
      'a\nb',
      '"',
      '1',
      '[',
      ' ',
    ])
      for (const text of [
        `select upper(ssn) as "x" from customers`,
        `select ssn || '' as x from (select ssn as "x" from customers) "x"("x")`,
      ]) {
        const named = text
          .replaceAll('"x"', `"${name.replaceAll('"', '""')}"`)
          .replace('select ssn ||', `select "${name.replaceAll('"', '""')}" ||`);
        expect((await certified(named)).ok, named).toBe(false);
      }
    expect(await certified('select id as ":relid", status as "{VAR :x", total as "a }" from orders')).toMatchObject({
      ok: true,
    });
  });

  it('holds for texts of one shape, which are rewritten alike', async () => {
    await loadParser();
    const names = { created: new Set<string>(), temporary: new Set<string>(), schemas: ['pg_catalog', 'public'] };
    const hidden = hide(catalog.classifications);
    const masks = {};
    const kept = new Rewrites(catalog, parse);
    let shared = 0;
    for (const { text } of [...statementsIn('masked'), ...statementsIn('leaks')]) {
      const literals: number[] = [];
      shapeOf(text, literals);
      let other = text;
      for (let i = literals.length - 2; i >= 0; i -= 2) {
        const literal = text.slice(literals[i], literals[i + 1]);
        other = `${text.slice(0, literals[i])}${literal.startsWith("'") ? "'o''ther text'" : '12'}${other.slice(literals[i + 1])}`;
      }
      const first = kept.of(text, hidden, masks, names);
      const second = kept.of(other, hidden, masks, names);
      const alone = new Rewrites(catalog, parse).of(other, hidden, masks, names);
      if (second instanceof Refusal || alone instanceof Refusal)
        expect(second instanceof Refusal).toBe(alone instanceof Refusal);
      else {
        expect([second.text, second.analysed, second.reads]).toEqual([alone.text, alone.analysed, alone.reads]);
        if (!(first instanceof Refusal) && text !== other && first.certificates === second.certificates) shared += 1;
      }
    }
    expect(shared).toBeGreaterThan(30);
  });

  it('does not let plain columns go where nobody masks them', async () => {
    const text = 'select id, ssn from customers';
    const decide = async (shown: boolean, analysed: string) => {
      const rewritten: Rewritten = {
        text: analysed,
        analysed,
        shown,
        hidden: hide(catalog.classifications),
        version: catalog.version,
        reads: [],
        certificates: new Map(),
      };
      const target: CertifierTarget = {
        surroundings: () => surroundings,
        maskForms: new Map(),
        certified: new WeakSet(),
        stale: () => undefined,
      };
      return new Certifier(target, major).decide(
        {
          understood: { rewritten: () => rewritten },
          text: analysed,
          parameterTypes: [],
          created: new Set(),
          temporary: new Set(),
          names: undefined,
          learned: (schemas) => ({ key: '', schemas }),
          analyse: async (asked) => (await analysing.analyse(asked)).analysed,
        },
        { masks: {} },
        new Refusal('MASK_IMPOSSIBLE', 'as it stands'),
      );
    };
    expect(await decide(true, text)).toMatchObject({ kind: 'instead', text, certificate: { carries: 1 } });
    expect(await decide(false, text)).toBeInstanceOf(Refusal);
    expect(await decide(false, 'select id from customers')).toMatchObject({ kind: 'instead' });
    expect(await decide(true, 'select ssn || 1 from customers')).toBeInstanceOf(Refusal);
    expect(await decide(true, 'select nothing from customers')).toMatchObject({ kind: 'failed' });
  });

  it('is not given for a tree that was cut or changed anywhere', async () => {
    const tree = await treeOf('select id, ssn from customers where id = 1');
    const options = { surroundings, serverMajor: major, strangers: false };
    for (let at = 0; at < tree.length - 2; at += 7) expect(certify(tree.slice(0, at), options).ok).toBe(false);
    for (const kind of ['VAR', 'QUERY', 'RANGETBLENTRY', 'TARGETENTRY'])
      expect(certify(tree.replace(kind, `${kind}S`), options).ok, kind).toBe(false);
    for (const field of [
      ':relid',
      ':varattno',
      ':selectedCols',
      ':rtekind',
      ':resorigtbl',
      ':canSetTag',
      ':commandType',
    ])
      expect(certify(tree.replace(field, `${field}x`), options).ok, field).toBe(false);
  });
});

describe.each(servers)('asking %s', (_name, _major, programs) => {
  let postgres: TestPostgres;
  let analysing: Analysing;
  beforeAll(async () => {
    const trust = ['host all all 127.0.0.1/32 trust'];
    postgres = await startPostgres({ hba: trust, ...(programs === undefined ? {} : { binDir: programs }) });
    analysing = await Analysing.open(postgres.port);
    await analysing.run('create table t (id int primary key, body text)');
  });
  afterAll(async () => {
    analysing?.close();
    await postgres?.stop();
  });

  const settings = () =>
    analysing.run(
      "select current_setting('client_min_messages') || current_setting('debug_pretty_print') || current_setting('debug_print_rewritten')",
    );

  it('leaves settings as they were: outside and inside a transaction, and when it fails', async () => {
    await analysing.run('set client_min_messages = warning');
    expect((await analysing.analyse('select 1')).analysed.kind).toBe('tree');
    expect(await settings()).toEqual(['warningonoff']);
    expect((await analysing.analyse('select nothing')).analysed.kind).toBe('failed');
    expect(await settings()).toEqual(['warningonoff']);
    await analysing.run('begin');
    await analysing.run('set local client_min_messages = error');
    expect(await analysing.analyse('select 1')).toMatchObject({ analysed: { kind: 'tree' }, status: 'T' });
    expect(await settings()).toEqual(['erroronoff']);
    await analysing.run('savepoint a');
    expect(await analysing.analyse('select nothing')).toMatchObject({ analysed: { kind: 'failed' }, status: 'E' });
    await analysing.run('rollback to a');
    expect(await settings()).toEqual(['erroronoff']);
    await analysing.run('commit');
    expect(await settings()).toEqual(['warningonoff']);
    await analysing.run('reset client_min_messages');
  });

  it('runs nothing, and leaves no names behind', async () => {
    await analysing.run("prepare kept as select 'mine'");
    const { analysed } = await analysing.analyse("insert into t values (1, 'x') returning pg_sleep(100)");
    expect(analysed.kind).toBe('tree');
    expect(await analysing.run('select count(*)::text from t')).toEqual(['0']);
    expect(await analysing.run('select name from pg_prepared_statements')).toEqual(['kept']);
    expect(await analysing.run('select name from pg_cursors')).toEqual([]);
    expect(await analysing.run('execute kept')).toEqual(['mine']);
  });

  it('says where names are looked up', async () => {
    await analysing.run('create schema "a,b"; set search_path = "a,b", public, missing');
    expect((await analysing.analyse('select')).analysed).toMatchObject({
      schemas: ['pg_catalog', 'a,b', 'public'],
      temporary: false,
    });
    await analysing.run('create temp table x (id int)');
    expect((await analysing.analyse('select')).analysed).toMatchObject({ temporary: true });
    await analysing.run('reset search_path; drop table x');
  });

  it('is told apart from a statement that fails: where the server does not let it be asked', async () => {
    await analysing.run('create role modest; revoke execute on function set_config(text, text, boolean) from public');
    await analysing.run('set role modest');
    expect((await analysing.analyse('select 1')).analysed).toEqual({ kind: 'lost' });
    await analysing.run('reset role; grant execute on function set_config(text, text, boolean) to public');
    await analysing.run('begin');
    await analysing.run('select 1 / 0');
    expect((await analysing.analyse('select 1')).analysed).toMatchObject({
      kind: 'failed',
      report: { sqlstate: '25P02' },
    });
    await analysing.run('rollback');
  });

  it('takes no tree from anybody else', async () => {
    await analysing.run(`create function forge() returns int language plpgsql immutable as $$
      begin raise log 'rewritten parse tree:' using detail = '({QUERY :commandType 1})'; return 1; end $$`);
    const { analysed } = await analysing.analyse('select forge() from t where id = forge()');
    expect(analysed).toMatchObject({ kind: 'tree', tree: expect.stringContaining('FUNCEXPR') });
  });
});
