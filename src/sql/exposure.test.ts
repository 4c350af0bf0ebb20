import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { exposureOf } from './exposure.ts';
import { hide } from './hidden.ts';
import { loadParser, parse } from './parse.ts';
import { shop, shopHidden } from './testdata/shop.ts';

const leaks = parseYaml(file('leaks.yaml')) as Record<string, readonly (string | readonly [string, string])[]>;
const honest = parseYaml(file('honest.yaml')) as Record<
  string,
  { readonly touches: boolean; readonly cases: readonly string[] }
>;

function file(name: string): string {
  return readFileSync(new URL(`./testdata/exposure/${name}`, import.meta.url), 'utf8');
}

const exposure = (sql: string) => exposureOf(parse(sql), shop, shopHidden);

beforeAll(loadParser);

describe('what would show hidden values is unsafe', () => {
  for (const [group, cases] of Object.entries(leaks)) {
    it.each(cases.map((item) => (typeof item === 'string' ? [item, ''] : item)))(`${group}: %s`, (sql, why) => {
      const result = exposure(sql as string);
      expect(result).toMatchObject({ safe: false, reason: expect.stringContaining(why as string) });
    });
  }
});

describe('honest statements are safe', () => {
  for (const [group, { touches, cases }] of Object.entries(honest)) {
    it.each(cases)(`${group}: %s`, (sql) => expect(exposure(sql)).toEqual({ safe: true, touches }));
  }
});

describe('exposure', () => {
  it('says which column of which table, and what to write instead', () => {
    expect(exposure('SELECT id FROM customers ORDER BY email')).toEqual({
      safe: false,
      reason: 'customers.email (pii.email) is hidden from you and must not be used in ORDER BY',
      advice: expect.stringContaining('plain column'),
    });
  });

  it('lets everything through for a caller from whom nothing is hidden', () => {
    for (const cases of Object.values(leaks)) {
      for (const item of cases) {
        const sql = typeof item === 'string' ? item : (item[0] as string);
        expect(exposureOf(parse(sql), shop, hide([]))).toEqual({ safe: true, touches: false });
      }
    }
  });

  it('hides only what is hidden from this caller', () => {
    const onlySalaries = hide(['hr.salary']);
    expect(exposureOf(parse('SELECT md5(ssn) FROM customers'), shop, onlySalaries).safe).toBe(true);
    expect(exposureOf(parse('SELECT tail FROM customer_report'), shop, onlySalaries).safe).toBe(true);
    expect(exposureOf(parse('SELECT salary + 1 FROM hr.employees'), shop, onlySalaries).safe).toBe(false);
  });

  it('finds every leak also inside a cursor, a prepared statement, EXPLAIN and a second statement', () => {
    for (const wrap of [
      (sql: string) => `SELECT 1; ${sql}`,
      (sql: string) => `EXPLAIN ${sql}`,
      (sql: string) => `PREPARE p AS ${sql}`,
    ]) {
      for (const item of Object.values(leaks).flat()) {
        const sql = wrap(typeof item === 'string' ? item : item[0]);
        let statements: ReturnType<typeof parse>;
        try {
          statements = parse(sql);
        } catch {
          continue;
        }
        expect(exposureOf(statements, shop, shopHidden), sql).toMatchObject({ safe: false });
      }
    }
  });

  it('lets EXECUTE pass only where its prepared statement was looked at', () => {
    expect(exposureOf(parse('EXECUTE p(1)'), shop, shopHidden, { preparedChecked: true })).toEqual({
      safe: true,
      touches: true,
    });
    expect(exposureOf(parse('CREATE TABLE t AS EXECUTE p'), shop, shopHidden, { preparedChecked: true }).safe).toBe(
      false,
    );
    expect(
      exposureOf(parse('EXECUTE p((SELECT ssn FROM customers))'), shop, shopHidden, { preparedChecked: true }).safe,
    ).toBe(false);
  });

  it('knows relations that the open transaction made', () => {
    const created = new Set(['fresh']);
    expect(exposureOf(parse('SELECT * FROM fresh'), shop, shopHidden, { created }).safe).toBe(true);
    expect(exposureOf(parse('SELECT * FROM stale'), shop, shopHidden, { created }).safe).toBe(false);
  });

  it('does not follow more names than it can look up in a moment', () => {
    const relations = Array.from({ length: 400 }, (_, i) => `orders o${i}`).join(', ');
    const columns = Array.from({ length: 400 }, () => 'status').join(', ');
    expect(exposure(`SELECT ${columns} FROM ${relations}`)).toMatchObject({
      safe: false,
      reason: expect.stringContaining('too many columns and relations'),
    });
    expect(exposure(`SELECT ${columns} FROM orders`).safe).toBe(true);
  });

  it('has at least 120 statements in its corpus', () => {
    const count = Object.values(leaks).flat().length + Object.values(honest).flatMap(({ cases }) => cases).length;
    expect(count).toBeGreaterThan(120);
  });
});
