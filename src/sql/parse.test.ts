import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { Refusal } from '../model/errors.ts';
import { nodeKinds, structFields } from './node-kinds.ts';
import { loadParser, parse } from './parse.ts';

beforeAll(loadParser);

function refusal(sql: string, maxBytes?: number): Refusal {
  try {
    parse(sql, maxBytes === undefined ? undefined : { maxBytes });
  } catch (error) {
    expect(error).toBeInstanceOf(Refusal);
    return error as Refusal;
  }
  throw new Error('it was parsed');
}

describe('parse', () => {
  it('splits a text into statements where the server does', () => {
    const sql = "SELECT ';' /* ; /* ; */ */; SELECT $x$;$x$ -- ;\n; SELECT U&'\\003b'";
    expect(parse(sql).map(({ text }) => text)).toEqual([
      "SELECT ';' /* ; /* ; */ */",
      'SELECT $x$;$x$ -- ;',
      "SELECT U&'\\003b'",
    ]);
  });

  it('counts offsets in UTF-8 bytes and cuts the text at the right place', () => {
    const [first, second, third] = parse('SELECT \'é€😀\' ;SELECT "ü"; SELECT 3');
    expect(first).toMatchObject({ start: 0, text: "SELECT 'é€😀'" });
    expect(second).toMatchObject({ start: 20, text: 'SELECT "ü"' });
    expect(third).toMatchObject({ text: 'SELECT 3', end: Buffer.byteLength('SELECT \'é€😀\' ;SELECT "ü"; SELECT 3') });
  });

  it('finds no statement in nothing', () => {
    for (const sql of ['', ' \n', ';;', '-- nothing', '/* nothing */']) expect(parse(sql)).toEqual([]);
  });

  it('says what is wrong and where', () => {
    expect(refusal('SELECT 1 FORM t').message).toBe('syntax error at or near "t" (position 15)');
    expect(refusal('SELECT 1 FORM t').code).toBe('SP2002');
  });

  it('refuses what the server would read differently', () => {
    expect(refusal('SELECT 1\0; DROP TABLE t')).toMatchObject({ kind: 'UNPARSABLE' });
    expect(refusal("SELECT '\ud800'")).toMatchObject({ kind: 'UNPARSABLE' });
    expect(refusal("SELECT '\udc00a'")).toMatchObject({ kind: 'UNPARSABLE' });
  });

  it('refuses what is too long, in bytes', () => {
    expect(refusal("SELECT 'aaaa'", 12)).toMatchObject({ kind: 'LIMIT_EXCEEDED' });
    expect(refusal("SELECT 'éé'", 12)).toMatchObject({ kind: 'LIMIT_EXCEEDED' });
    expect(parse("SELECT 'éa'", { maxBytes: 12 })).toHaveLength(1);
  });

  it.each([
    ['parentheses', `SELECT ${'('.repeat(14_000)}1${')'.repeat(14_000)}`],
    ['sub-queries', `SELECT ${'(SELECT '.repeat(5000)}1${')'.repeat(5000)}`],
    ['a long chain of operators', `SELECT 1${' + 1'.repeat(14_000)}`],
    ['a long chain of set operations', `SELECT 1${' UNION SELECT 1'.repeat(5000)}`],
    ['arrays in arrays', `SELECT ${'ARRAY['.repeat(5000)}1${']'.repeat(5000)}`],
  ])('refuses %s without harm to the next statement', (_, sql) => {
    expect(['UNPARSABLE', 'LIMIT_EXCEEDED']).toContain(refusal(sql).kind);
    expect(parse('SELECT 1')).toHaveLength(1);
  });

  it.each([
    ['values', `SELECT ${'1,'.repeat(20_000)}1`],
    ['rows', `INSERT INTO t VALUES ${'(1),'.repeat(15_000)}(1)`],
    ['parameters', `SELECT 1 WHERE 1 IN ($1${',$1'.repeat(20_000)})`],
    ['statements', 'SELECT 1;'.repeat(12_000)],
    ['WITH queries', `WITH ${Array.from({ length: 501 }, (_, i) => `a${i} AS (SELECT 1)`).join(', ')} SELECT 1`],
    ['signs', '+'.repeat(900_000)],
    ['quoted names', `SELECT ${'"a",'.repeat(20_000)}1`],
  ])('refuses too many %s, with advice', (_, sql) => {
    const { kind, details } = refusal(sql);
    expect(kind).toBe('LIMIT_EXCEEDED');
    expect(details?.advice).toContain('smaller parts');
  });

  it.each([
    [
      'a thousand rows of ten values',
      `INSERT INTO t VALUES ${Array.from({ length: 1000 }, () => `(${"1, 'x', ".repeat(5).slice(0, -2)})`).join(', ')}`,
    ],
    [
      'ten thousand parameters',
      `SELECT 1 WHERE 1 IN (${Array.from({ length: 10_000 }, (_, i) => `$${i + 1}`).join(', ')})`,
    ],
    ['a long text', `SELECT '${'it, is; (long) '.repeat(60_000)}'`],
    ['a long comment', `/* ${'it, is; (long) '.repeat(60_000)} */ SELECT 1`],
    ['a long line of comment', `SELECT 1 -- ${'it, is; (long) '.repeat(60_000)}`],
  ])('takes %s', (_, sql) => {
    expect(parse(sql)).toHaveLength(1);
  });

  it('never throws anything but a Refusal', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.string({ maxLength: 200 })), (sql) => {
        try {
          parse(sql);
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the table of node kinds', () => {
  const require = createRequire(createRequire(import.meta.url).resolve('libpg-query'));
  const types = readFileSync(require.resolve('@pgsql/types').replace(/index\.js$/, 'types.d.ts'), 'utf8');
  const interfaces = [...types.matchAll(/export interface (\w+) \{([^}]*)\}/g)].map(([, kind = '', body = '']) => ({
    kind,
    fields: [...body.matchAll(/(\w+)\??: (\w+)(\[\])?;/g)].map(([, name = '', type = '', list]) => ({
      name,
      type,
      list: list !== undefined,
    })),
  }));
  const known = new Set(interfaces.map(({ kind }) => kind));

  it('names the kind of every field that holds a node without saying so', () => {
    expect(interfaces.length).toBeGreaterThan(200);
    for (const { kind, fields } of interfaces.filter((item) => nodeKinds.has(item.kind))) {
      for (const { name, type, list } of fields) {
        if (!known.has(type) || list || !nodeKinds.has(type)) continue;
        expect(`${kind}.${name}: ${structFields[kind]?.[name]}`).toBe(`${kind}.${name}: ${type}`);
      }
    }
  });
});
