import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { classifyStatements } from './classify.ts';
import { exposureOf } from './exposure.ts';
import { loadParser, parse, type Statement } from './parse.ts';
import { shapeOf } from './shape.ts';
import { shapeSafe } from './shape-safe.ts';
import { randomSql } from './testdata/random-sql.ts';
import { shop, shopHidden } from './testdata/shop.ts';

beforeAll(loadParser);

/** The tree without positions, with constants reduced to their kind. */
function skeleton(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(skeleton);
  if (typeof value !== 'object' || value === null) return value;
  const out: Record<string, unknown> = {};
  for (const [name, inner] of Object.entries(value)) {
    if (name === 'location' || name.startsWith('rexpr_list_') || name.startsWith('list_') || name === 'name_location')
      continue;
    out[name] = name === 'A_Const' ? constantKind(inner as Record<string, unknown>) : skeleton(inner);
  }
  return out;
}

function constantKind(constant: Record<string, unknown>): string {
  if (constant.boolval !== undefined) return JSON.stringify(constant.boolval);
  return Object.keys(constant)
    .filter((name) => name !== 'location')
    .join();
}

const tree = (statements: readonly Statement[]) =>
  JSON.stringify(statements.map(({ kind, fields }) => skeleton({ [kind]: fields })));

function tryParse(sql: string): readonly Statement[] | undefined {
  try {
    return parse(sql);
  } catch {
    return undefined;
  }
}

/** Replaces the literals in a key by others of the same kind. */
function refill(
  key: string,
  values: readonly { readonly int: number; readonly num: string; readonly text: string }[],
): string {
  let used = 0;
  let out = '';
  for (const char of key) {
    const mark = char.charCodeAt(0);
    const value = values[used % values.length]!;
    if (mark >= 1 && mark <= 3) used += 1;
    if (mark === 1) out += String(value.int);
    else if (mark === 2) out += value.num;
    else if (mark === 3) out += `'${value.text.replaceAll("'", "''")}'`;
    else out += char;
  }
  return out;
}

const literal = fc.record({
  int: fc.oneof(fc.integer({ min: 0, max: 2147483647 }), fc.constantFrom(0, 1, 2, 10, 24, 25, 53, 54, 2147483647)),
  num: fc.constantFrom('1.5', '0.0', '2147483648', '99999999999', '10.25', '123456789.5'),
  text: fc
    .oneof(fc.string({ maxLength: 12 }), fc.string({ unit: 'grapheme', maxLength: 6 }))
    .filter((text) => !/[\\\0\ud800-\udfff]/.test(text)),
});
const literals = fc.array(literal, { minLength: 1, maxLength: 8 });

describe('shapeOf', () => {
  it.each([
    ['SELECT 1', 'SELECT 2'],
    ["SELECT * FROM t WHERE a = 'x' AND b = 10", "SELECT * FROM t WHERE a = 'it''s; --' AND b = 7"],
    ['UPDATE t SET a = a + -5 WHERE id = 1;', 'UPDATE t SET a = a + -77777 WHERE id = 900000;'],
    ["INSERT INTO t VALUES (1, 'é', 1.5)", "INSERT INTO t VALUES (3, '€', 2.5)"],
    ['SELECT a1, "b2" FROM t3 WHERE x=$1 AND y=1', 'SELECT a1, "b2" FROM t3 WHERE x=$1 AND y=2147483647'],
  ])('is the same for %s and %s', (one, other) => {
    expect(shapeOf(one)).toBeDefined();
    expect(shapeOf(one)).toEqual(shapeOf(other));
  });

  it.each([
    ['SELECT 1', "SELECT '1'"],
    ['SELECT 1', 'SELECT 1.0'],
    ['SELECT 2147483647', 'SELECT 2147483648'],
    ['SELECT 1', 'SELECT $1'],
    ['SELECT $1', 'SELECT $2'],
    ['SELECT a1', 'SELECT a2'],
    ['SELECT "1"', 'SELECT "2"'],
    ['SELECT 1', 'SELECT -1'],
    ['SELECT 1', 'SELECT  1'],
    ["SELECT 'a' 'b'", "SELECT 'a'\n'b'"],
    ["SELECT ''", "SELECT '' ''"],
  ])('differs for %s and %s', (one, other) => {
    expect(shapeOf(one)?.key).not.toBe(shapeOf(other)?.key);
  });

  it.each([
    'SELECT 1 -- x',
    'SELECT 1 /* x */',
    'SELECT 4/*2*/2',
    'SELECT $$x$$',
    'SELECT $a$x$a$',
    "SELECT E'x'",
    "SELECT e'\\''",
    "SELECT U&'x'",
    'SELECT U&"x"',
    "SELECT B'1'",
    "SELECT X'1'",
    "SELECT N'1'",
    "SELECT '\\'",
    "SELECT 'a'::regclass",
    'SELECT \'a\' :: "regclass"',
    'SELECT é',
    'SELECT "é"',
    'SELECT 1e5',
    'SELECT 1e5x',
    'SELECT 1a',
    'SELECT 1_000',
    'SELECT 0x1F',
    'SELECT 0b1',
    'SELECT .5',
    'SELECT 5.',
    'SELECT 1..2',
    'SELECT 00000000000012',
    'SELECT $1a',
    'SELECT a$1',
    "SELECT 'x'y",
    'SELECT "x"y',
    'SELECT "x"\'y\'',
    "SELECT 'unfinished",
    'SELECT "unfinished',
    'SELECT 1\u0001',
    "SELECT '\ud800'",
    "SELECT '\0'",
    'SELECT 1\u00a0',
    'SELECT 1::float(10)',
    'SELECT CAST(1 AS FLOAT  ( 10 ))',
    'SELECT a[1]',
    "SELECT '{}'::int[3]",
    `SELECT ${'1 + '.repeat(10_000)}1`,
  ])('gives up on %s', (sql) => expect(shapeOf(sql)).toBeUndefined());

  it('makes one key only of texts whose trees differ in nothing but constants', () => {
    fc.assert(
      fc.property(randomSql, literals, (sql, values) => {
        const key = shapeOf(sql)?.key;
        if (key === undefined) return;
        const other = refill(key, values);
        if (shapeOf(other)?.key !== key) return;
        const [one, two] = [tryParse(sql), tryParse(other)];
        expect(two === undefined).toBe(one === undefined);
        if (one !== undefined && two !== undefined) expect(tree(two)).toBe(tree(one));
      }),
      { numRuns: 3000 },
    );
  });

  it('also after random damage to the text', () => {
    const damage = fc.array(
      fc.tuple(
        fc.nat(200),
        fc.constantFrom("'", '"', '-', '/', '*', '$', '\\', '1', 'e', '.', ' ', '(', ':', 'é', '&', '\n', ';', '?'),
      ),
      {
        minLength: 1,
        maxLength: 4,
      },
    );
    let compared = 0;
    fc.assert(
      fc.property(randomSql, damage, literals, (sql, changes, values) => {
        let damaged = sql;
        for (const [at, mark] of changes)
          damaged = damaged.slice(0, at % damaged.length) + mark + damaged.slice((at % damaged.length) + (at % 2));
        const key = shapeOf(damaged)?.key;
        if (key === undefined) return;
        const other = refill(key, values);
        if (shapeOf(other)?.key !== key) return;
        const [one, two] = [tryParse(damaged), tryParse(other)];
        expect(two === undefined).toBe(one === undefined);
        if (one !== undefined && two !== undefined) {
          compared += 1;
          expect(tree(two)).toBe(tree(one));
        }
      }),
      { numRuns: 5000 },
    );
    expect(compared).toBeGreaterThan(100);
  });
});

describe('shapeSafe', () => {
  it.each([
    'SELECT abalance FROM pgbench_accounts WHERE aid = 1;',
    'UPDATE pgbench_accounts SET abalance = abalance + -3 WHERE aid = 1;',
    "INSERT INTO t (a, b) VALUES (1, 'x') RETURNING id",
    'SELECT lower(name), count(*) FROM t WHERE a IN (1, 2) GROUP BY name ORDER BY name LIMIT 10 OFFSET 5',
    'DELETE FROM t WHERE id = 1',
    "SELECT date '2020-01-01' + interval '1 day'",
  ])('holds for %s', (sql) => expect(shapeSafe(parse(sql))).toBe(true));

  it.each([
    'SELECT a, b FROM t ORDER BY 1',
    'SELECT a FROM t GROUP BY 1',
    'SELECT a FROM t GROUP BY ROLLUP (1)',
    'SELECT DISTINCT ON (1) a FROM t',
    "SELECT set_config('work_mem', '1', false)",
    "SELECT nextval('s')",
    "SELECT pg_catalog.pg_relation_size('t')",
    "SELECT query_to_xml('x', true, true, '')",
    "SELECT CAST('t' AS regclass)",
    "SELECT regclass 't'",
    "SELECT to_regclass('t')",
    "SELECT has_table_privilege('t', 'select')",
    "DELETE FROM t WHERE a LIKE 'x%'",
    "UPDATE t SET a = 1 WHERE a IN (SELECT b FROM u WHERE c ILIKE '%')",
    'SELECT 1; SELECT 2',
    'SELECT 1 INTO t',
    'SET work_mem = 1',
    "COPY t FROM STDIN (DELIMITER ',')",
    'EXPLAIN SELECT 1',
    'PREPARE p AS SELECT 1',
    'WITH x AS (MERGE INTO t USING s ON t.id = 1 WHEN MATCHED THEN DELETE RETURNING *) SELECT * FROM x',
  ])('does not hold for %s', (sql) => expect(shapeSafe(parse(sql))).toBe(false));

  it('holds only where no literal changes the classification or the exposure', () => {
    let compared = 0;
    fc.assert(
      fc.property(randomSql, literals, (sql, values) => {
        const key = shapeOf(sql)?.key;
        const one = tryParse(sql);
        if (key === undefined || one === undefined || !shapeSafe(one)) return;
        const other = refill(key, values);
        if (shapeOf(other)?.key !== key) return;
        const two = parse(other);
        compared += 1;
        expect(classifyStatements(two)).toEqual(classifyStatements(one));
        expect(exposureOf(two, shop, shopHidden)).toEqual(exposureOf(one, shop, shopHidden));
      }),
      { numRuns: 2000 },
    );
    expect(compared).toBeGreaterThan(200);
  });
});
