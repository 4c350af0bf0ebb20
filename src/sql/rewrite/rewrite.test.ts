import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { catalogOf } from '../catalog.ts';
import { as, eachChild, type Fields, listOf, namesIn, text } from '../node.ts';
import { loadParser, parse } from '../parse.ts';
import { randomSql } from '../testdata/random-sql.ts';
import { shop, shopHidden } from '../testdata/shop.ts';
import { masksBy } from './masks.ts';
import { createRewriter } from './rewrite.ts';

const type = { sql: 'pg_catalog.text', base: { sql: 'pg_catalog.text', name: 'text' } };
const catalog = catalogOf({
  ...shop,
  relations: shop.relations.map((relation) => ({
    ...relation,
    columns: relation.columns.map((column) => ({ ...column, type })),
  })),
});
const rewriter = createRewriter(
  catalog,
  shopHidden,
  masksBy(catalog, () => 'null'),
);
const hiddenIn = new Map(
  catalog.relations.map(({ schema, name, columns }) => [
    JSON.stringify([schema, name]),
    new Set(
      columns
        .filter(({ classification }) => classification !== undefined && shopHidden.classifications.has(classification))
        .map((column) => column.name),
    ),
  ]),
);

beforeAll(loadParser);

describe('any text that parses', () => {
  it('is refused with a reason, or becomes one that parses and reads nothing hidden', () => {
    let rewritten = 0;
    fc.assert(
      fc.property(randomSql, (sql) => {
        const statements = attempt(sql);
        if (statements === undefined) return;
        const result = rewriter.rewrite(sql, statements, { searchPath: ['pg_catalog', 'public'] });
        if (result.outcome === 'refused') {
          expect(result.reason).toMatch(/\w/);
          expect(result.advice).toMatch(/\w/);
          return;
        }
        if (result.outcome === 'rewritten') rewritten += 1;
        for (const { kind, fields } of parse(result.text)) check(kind, fields);
      }),
      { numRuns: 1500 },
    );
    expect(rewritten).toBeGreaterThan(150);
  });

  it('takes a bounded time and comes out bounded', () => {
    const many = (count: number, item: (i: number) => string, between = ', ') =>
      Array.from({ length: count }, (_, i) => item(i)).join(between);
    const texts = [
      `select ${many(5000, () => 'c.ssn')} from customers c`,
      `select 1 from ${many(3000, (i) => `customers c${i}`)}`,
      `select ${many(200, () => 'ssn')} from ${many(500, (i) => `customers c${i}`)}`,
      `select 1 from customers c0 ${many(300, (i) => `natural join customers c${i + 1}`, ' ')}`,
      `with ${many(400, (i) => `x${i} as (select * from customers)`)} select 1`,
      `update customers set name = name returning ${many(3000, () => '*')}`,
      `select ${'('.repeat(900)}select ssn from customers${')'.repeat(900)}`,
      many(200, () => 'select ssn from customers', ' union '),
    ];
    for (const sql of texts) {
      const statements = attempt(sql);
      if (statements === undefined) continue;
      const result = rewriter.rewrite(sql, statements, { searchPath: ['public'] });
      if (result.outcome !== 'refused') expect(result.text.length).toBeLessThanOrEqual(1 << 19);
    }
  });
});

function attempt(sql: string) {
  try {
    return parse(sql);
  } catch {
    return undefined;
  }
}

/** A table with hidden columns is read only by a query that picks others of its columns, or is what a statement changes. */
function check(kind: string, fields: Fields): undefined {
  const own = new Set<string>();
  collect(kind, fields, own);
  checkNode(kind, fields, '', own);
}

/** Names of the text's own WITH queries. What is put in names tables with their schema. */
function collect(kind: string, fields: Fields, own: Set<string>): undefined {
  if (kind === 'CommonTableExpr') own.add(text(fields.ctename) ?? '');
  return eachChild(kind, fields, (child, inner) => collect(child, inner, own));
}

function checkNode(kind: string, fields: Fields, via: string, own: ReadonlySet<string>): undefined {
  if (kind === 'RangeVar' && via !== 'relation' && via !== 'lockedRels') {
    const name = text(fields.relname) ?? '';
    const schema = text(fields.schemaname);
    const hidden =
      schema === undefined && own.has(name) ? 0 : hiddenIn.get(JSON.stringify([schema ?? 'public', name]))?.size;
    expect(hidden ?? 0, 'hidden columns that are read past a mask').toBe(0);
  }
  const [only, ...others] = listOf(fields.fromClause);
  const table = kind === 'SelectStmt' && others.length === 0 ? as('RangeVar', only) : undefined;
  const hidden = hiddenIn.get(JSON.stringify([text(table?.schemaname), text(table?.relname)]));
  if (hidden === undefined || hidden.size === 0)
    return eachChild(kind, fields, (child, inner, field) => checkNode(child, inner, field, own));
  for (const key of Object.keys(fields)) expect(['fromClause', 'limitOption', 'op', 'targetList']).toContain(key);
  for (const item of listOf(fields.targetList)) {
    const value = as('ResTarget', item)?.val;
    const column = as('ColumnRef', value);
    if (column === undefined) expect(as('TypeCast', value), 'a mask').toBeDefined();
    else for (const name of namesIn(column.fields)) expect(name === '*' || hidden.has(name)).toBe(false);
  }
}
