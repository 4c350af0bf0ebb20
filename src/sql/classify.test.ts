import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { actions as allActions } from '../model/command.ts';
import { namesFrom } from './catalog.ts';
import { classifyStatements, describeStatement } from './classify.ts';
import { loadParser, parse } from './parse.ts';
import { shop } from './testdata/shop.ts';

interface Case {
  readonly sql: string;
  readonly actions: readonly string[];
  readonly verb?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly resources?: readonly string[];
  readonly functions?: readonly string[];
  readonly where?: boolean;
  readonly temporary?: boolean;
  readonly resetsSettings?: boolean;
  readonly changesSearchPath?: boolean;
}

const cases = read('classify.yaml') as readonly Case[];
const where = read('where.yaml') as Record<string, readonly string[]>;

function read(name: string): unknown {
  return parseYaml(readFileSync(new URL(`./testdata/${name}`, import.meta.url), 'utf8'));
}

const classified = (sql: string) => classifyStatements(parse(sql));
const info = (sql: string) => describeStatement(parse(sql)[0]!);

beforeAll(loadParser);

describe('a statement is classified by what it does', () => {
  it.each(cases.map((item) => [item.sql, item] as const))('%s', (sql, expected) => {
    const found = classified(sql);
    expect(found.actions).toEqual(expected.actions);
    if (expected.verb !== undefined) expect(found.verb).toBe(expected.verb);
    if (expected.functions !== undefined) expect(found.facts.functions).toEqual(expected.functions);
    if (expected.where !== undefined) expect(found.facts.hasWhere).toBe(expected.where);
    if (expected.resources !== undefined) {
      const resources = found.resources.map(({ type, id, access }) => `${letter(access)} ${type} ${id}`);
      expect([...resources].sort()).toEqual([...expected.resources].sort());
    }
    const { kind, name, temporary, resetsSettings, changesSearchPath } = expected;
    for (const [key, value] of Object.entries({ kind, name, temporary, resetsSettings, changesSearchPath })) {
      if (value !== undefined) expect(info(sql)).toMatchObject({ [key]: value });
    }
  });

  const letter = (access: string): string => ({ read: 'R', write: 'W', execute: 'X' })[access] ?? '?';
});

describe('hasWhere', () => {
  it.each(where.restricting ?? [])('counts WHERE %s', (clause) => {
    expect(classified(`DELETE FROM t WHERE ${clause}`).actions).toContain('write');
  });
  it.each(where['not restricting'] ?? [])('does not count WHERE %s', (clause) => {
    const { actions, facts } = classified(`DELETE FROM t WHERE ${clause}`);
    expect(actions).toContain('bulkWrite');
    expect(facts.hasWhere).toBe(false);
  });
  it.each([
    ['DELETE FROM products WHERE id = (SELECT customer_id FROM orders WHERE total = 1)', true],
    ['DELETE FROM products WHERE id IN (SELECT o.id FROM orders o JOIN customers ON true WHERE status = $1)', true],
    ['DELETE FROM products WHERE price = (SELECT price FROM orders WHERE total = 1)', false],
    ['DELETE FROM products WHERE price = (SELECT price FROM orders o(price) WHERE o.id = 1)', false],
    [
      'WITH order_items AS (SELECT 1 AS x) DELETE FROM products WHERE price = (SELECT price FROM order_items WHERE x = 1)',
      false,
    ],
    [
      'DELETE FROM products WHERE price = (WITH order_items AS (SELECT 1 AS x) SELECT price FROM order_items WHERE x = 1)',
      false,
    ],
  ])('believes a sub-select’s column only where the schema says that it is its own: %s', (sql, expected) => {
    expect(classifyStatements(parse(sql), namesFrom(shop)).facts.hasWhere).toBe(expected);
  });
  it('is about the changed table, not about another one in USING', () => {
    expect(classified('DELETE FROM t USING u WHERE u.k = 1 AND t.id = u.id').facts.hasWhere).toBe(false);
    expect(classified('DELETE FROM t x USING u WHERE x.k = 1 AND x.id = u.id').facts.hasWhere).toBe(true);
  });
});

describe('changes that the gateway could not follow are forbidden', () => {
  it.each([
    'SET standard_conforming_strings = off',
    'SET LOCAL standard_conforming_strings TO false',
    'SET Standard_Conforming_Strings TO DEFAULT',
    'RESET standard_conforming_strings',
    "SET client_encoding = 'SJIS'",
    "SET NAMES 'GBK'",
    'RESET client_encoding',
    'SET backslash_quote = on',
    "SELECT set_config('standard_conforming_strings', 'off', false)",
    "SELECT pg_catalog.set_config('client_' || 'encoding', 'SJIS', false)",
    "SELECT set_config($1, 'off', false)",
    "SELECT set_config(name, 'off', false) FROM pg_settings",
    "SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'standard_conforming_strings'",
    "SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'work_mem' OR true",
    "SELECT set_config(p.name, 'off', false) FROM pg_settings p, t WHERE name = 'work_mem'",
    "UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'",
    "UPDATE pg_catalog.pg_settings SET setting = 'off' WHERE name = 'x'",
    'ALTER ROLE x SET standard_conforming_strings = off',
    "ALTER DATABASE d SET client_encoding = 'SJIS'",
    'ALTER SYSTEM SET standard_conforming_strings = off',
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET standard_conforming_strings = off AS 'SELECT 1'",
    "WITH x AS (SELECT set_config('standard_conforming_strings', 'off', false)) SELECT * FROM x",
    "PREPARE p AS SELECT set_config('standard_conforming_strings', 'off', false)",
  ])('%s', (sql) => {
    expect(info(sql).forbidden).toEqual(expect.any(String));
  });

  it('and harmless values of the same settings are not', () => {
    for (const sql of ['SET standard_conforming_strings = on', "SET client_encoding = 'UTF8'", "SET NAMES 'utf-8'"]) {
      expect(info(sql)).toMatchObject({ actions: ['session'] });
      expect(info(sql).forbidden).toBeUndefined();
    }
  });
});

describe('names', () => {
  it('stand for the relation of every schema that has one', () => {
    const found = classifyStatements(parse('SELECT id FROM suppliers'), namesFrom(shop));
    expect(found.resources.filter(({ type }) => type === 'Table').map(({ id }) => id)).toEqual([
      'hr.suppliers',
      'public.suppliers',
    ]);
  });
  it('of unreviewed functions count even where a builtin has the same one', () => {
    const names = { ...namesFrom(shop), opaqueFunctions: new Set(['lower']) };
    expect(classifyStatements(parse('SELECT lower(name) FROM orders'), names).actions).toContain('execute');
    expect(classifyStatements(parse('SELECT pg_catalog.lower(name) FROM orders'), names).actions).toEqual(['read']);
  });
  it.each([
    'SELECT o.customer_ssn FROM orders o',
    'SELECT (o).customer_ssn FROM orders o',
    'SELECT (ARRAY[o])[1].customer_ssn FROM orders o',
    'SELECT id FROM orders WHERE orders.customer_ssn IS NULL',
    'SELECT x.customer_ssn FROM (SELECT o.* FROM orders o) x',
    'SELECT x.customer_ssn FROM LATERAL (SELECT 1) x, orders o ORDER BY x.customer_ssn',
    "SELECT 1 WHERE 'a' ~~~ 'b'",
    "SELECT 1 WHERE 'a' OPERATOR(public.~~~) 'b'",
    "SELECT 1 WHERE 'a' ~~~ ANY (SELECT note FROM orders)",
    'SELECT id FROM orders ORDER BY note USING <%',
    "SELECT 'x'::checked_text",
    "SELECT CAST('x' AS public.checked_text)",
    "SELECT '{x}'::checked_text[]",
    "SELECT '{x}'::_checked_text",
    "SELECT checked_text('x')",
    "SELECT * FROM json_to_record('{}') AS x(a checked_text)",
    'EXPLAIN SELECT o.customer_ssn FROM orders o',
    'UPDATE orders SET note = o.customer_ssn FROM orders o WHERE orders.id = 1',
    "SELECT 1::pg_catalog.int4::text FROM orders WHERE note ~~~ 'x'",
  ])('of unreviewed code count however it is reached: %s', (sql) => {
    expect(classifyStatements(parse(sql), namesFrom(shop)).actions).toContain('execute');
  });
  it.each([
    'SELECT o.status, (o).total FROM orders o',
    "SELECT 'x'::text, 1 + 2, 'a' LIKE 'b', 1 BETWEEN 0 AND 2",
    'INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET status = excluded.status',
    'SELECT * FROM orders o WHERE o.status = ANY ($1) ORDER BY o.total USING <',
  ])('of columns are no calls, even where a function has the same one: %s', (sql) => {
    const names = { ...namesFrom(shop), opaqueFunctions: new Set(['status', 'total']) };
    expect(classifyStatements(parse(sql), names).actions).not.toContain('execute');
  });
  it('name the functions that rows call, for policies about functions', () => {
    const { resources } = classifyStatements(parse('SELECT o.customer_ssn FROM orders o'), namesFrom(shop));
    expect(resources).toContainEqual({ type: 'Function', id: 'customer_ssn', access: 'execute' });
  });
  it('of types that casts of somebody’s make count also as the server’s own', () => {
    const names = { ...namesFrom(shop), opaqueTypes: new Set(['int4', 'pg_catalog.int4', 'text']) };
    expect(classifyStatements(parse('SELECT x::int FROM orders'), names).actions).toContain('execute');
    expect(classifyStatements(parse('SELECT x::pg_catalog.text FROM orders'), names).actions).toEqual(['read']);
  });
  it('of trusted functions only compute', () => {
    expect(classifyStatements(parse("SELECT similarity(name, 'x') FROM orders"), namesFrom(shop)).actions).toEqual([
      'read',
    ]);
  });
});

describe('created', () => {
  it.each([
    ['CREATE TABLE s.t (a int)', ['t']],
    ['CREATE TEMP VIEW v AS SELECT * FROM u', ['v']],
    ['CREATE TABLE t AS SELECT * FROM u', ['t']],
    ['SELECT * INTO t FROM u', ['t']],
    ['CREATE SCHEMA s CREATE TABLE t (a int) CREATE VIEW v AS SELECT 1', ['t', 'v']],
    ['CREATE INDEX ON t (a)', []],
    ['CREATE TABLE t (LIKE u) INHERITS (w)', ['t']],
    ['EXPLAIN CREATE TABLE t AS SELECT 1', []],
    ['DROP TABLE t', []],
  ])('%s makes %j', (sql, created) => expect(info(sql).created).toEqual(created));
});

describe('every kind of action', () => {
  it('comes sorted, mildest first, and never empty', () => {
    for (const { sql } of cases) {
      const { actions } = classified(sql);
      expect(actions.length).toBeGreaterThan(0);
      expect(actions).toEqual(allActions.filter((action) => actions.includes(action)));
    }
    expect(classified('')).toMatchObject({ verb: 'EMPTY', actions: ['session'] });
  });
});
