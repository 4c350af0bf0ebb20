import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { Refusal } from '../model/errors.ts';
import { createAnalyser } from './analyse.ts';
import { catalogOf, emptyCatalog } from './catalog.ts';
import { hide } from './hidden.ts';
import { loadParser } from './parse.ts';
import { randomSql } from './testdata/random-sql.ts';
import { shop, shopHidden } from './testdata/shop.ts';

beforeAll(loadParser);

function refusal(run: () => unknown): Refusal {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(Refusal);
    return error as Refusal;
  }
  throw new Error('nothing was refused');
}

describe('analyse', () => {
  it('gives one object for all texts of a safe shape', () => {
    const { analyse } = createAnalyser();
    const first = analyse("SELECT a FROM t WHERE id = 1 AND b = 'x'");
    expect(analyse("SELECT a FROM t WHERE id = 99 AND b = 'y'").classified).toBe(first.classified);
    expect(analyse("SELECT a FROM t WHERE id = 99 AND c = 'y'").classified).not.toBe(first.classified);
  });

  it('keeps apart what a literal changes', () => {
    const { analyse } = createAnalyser({ catalog: shop });
    expect(analyse('SELECT id, ssn FROM customers ORDER BY 1').exposure(shop, shopHidden).safe).toBe(true);
    expect(analyse('SELECT id, ssn FROM customers ORDER BY 2').exposure(shop, shopHidden).safe).toBe(false);
    expect(analyse("SELECT set_config('search_path', 'a', true)").classified.actions).toEqual(['read', 'session']);
    expect(analyse("SELECT set_config('role', 'a', true)").classified.actions).toContain('administer');
    expect(analyse("DELETE FROM t WHERE a LIKE 'x'").classified.actions).toEqual(['write']);
    expect(analyse("DELETE FROM t WHERE a LIKE '%'").classified.actions).toEqual(['bulkWrite']);
  });

  it('answers the same from the cache', () => {
    fc.assert(
      fc.property(fc.array(randomSql, { minLength: 1, maxLength: 5 }), (texts) => {
        const cached = createAnalyser({ catalog: shop });
        for (const text of [...texts, ...texts]) {
          const fresh = createAnalyser({ catalog: shop });
          const outcome = (run: typeof cached) => {
            try {
              const analysis = run.analyse(text);
              return [analysis.classified, analysis.statements, analysis.exposure(shop, shopHidden)];
            } catch (error) {
              return [(error as Refusal).kind, (error as Refusal).message];
            }
          };
          expect(outcome(cached)).toEqual(outcome(fresh));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('refuses the same text in the same words each time', () => {
    const { analyse } = createAnalyser();
    const first = refusal(() => analyse('SELEC 1'));
    expect(refusal(() => analyse('SELEC 1'))).toMatchObject({ kind: first.kind, message: first.message });
  });

  it('refuses what the gateway could not follow, whatever policy would say', () => {
    const { analyse } = createAnalyser();
    expect(refusal(() => analyse('SELECT 1; SET standard_conforming_strings = off'))).toMatchObject({
      kind: 'UNSUPPORTED',
    });
    expect(refusal(() => analyse("SELECT set_config('client_encoding', 'SJIS', false)"))).toMatchObject({
      kind: 'UNSUPPORTED',
    });
  });

  it('keeps to the length that it was given', () => {
    const { analyse } = createAnalyser({ maxStatementBytes: 20 });
    expect(analyse('SELECT 1').statements).toHaveLength(1);
    expect(refusal(() => analyse('SELECT 1                    '))).toMatchObject({ kind: 'LIMIT_EXCEEDED' });
  });

  it('looks again when the catalog or the caller is another', () => {
    const { analyse } = createAnalyser();
    const analysis = analyse('SELECT md5(ssn) FROM customers');
    expect(analysis.exposure(shop, shopHidden).safe).toBe(false);
    expect(analysis.exposure(shop, hide([])).safe).toBe(true);
    expect(analysis.exposure(emptyCatalog, shopHidden).safe).toBe(true);
    const unclassified = catalogOf({
      ...shop,
      version: 'later',
      relations: shop.relations.map((relation) => ({
        ...relation,
        columns: relation.columns.map(({ classification: _, ...column }) => column),
      })),
    });
    expect(analysis.exposure(unclassified, shopHidden).safe).toBe(true);
    expect(analysis.exposure(shop, hide(shopHidden.classifications)).safe).toBe(false);
  });

  it('forgets rather than grow', () => {
    const { analyse } = createAnalyser({ cacheSize: 20_000 });
    const first = analyse('SELECT a0 FROM t');
    for (let index = 1; index < 500; index += 1) analyse(`SELECT a${index} FROM t`);
    const again = analyse('SELECT a0 FROM t');
    expect(again).not.toBe(first);
    expect(again.classified).toEqual(first.classified);
    expect(analyse('SELECT a499 FROM t')).toBe(analyse('SELECT a499 FROM t'));
  });

  it('says when the catalog has to be looked at again', () => {
    const { analyse } = createAnalyser();
    for (const sql of ['CREATE TABLE t (a int)', 'DROP VIEW v', 'SELECT 1; ALTER TABLE t ADD b int', "DO 'x'"])
      expect(analyse(sql).changesCatalog).toBe(true);
    for (const sql of ['SELECT 1', 'DELETE FROM t', 'TRUNCATE t', 'BEGIN'])
      expect(analyse(sql).changesCatalog).toBe(false);
  });
});

describe('whatever text comes', () => {
  const words = fc.constantFrom(
    ..."SELECT INSERT UPDATE DELETE MERGE FROM WHERE WITH AS ( ) , ; * ' \" $1 $$ :: :: [ ] -- /* */ 1 1e5 t customers.ssn set_config pg_read_file COPY TO STDOUT PROGRAM CREATE ALTER DROP TABLE FUNCTION BEGIN ATOMIC END ATOMIC GRANT EXPLAIN ANALYZE PREPARE EXECUTE JSON_TABLE XMLTABLE GROUPING SETS OVER PARTITION BY ORDER LATERAL RETURNING old. new. ON CONFLICT DO NOTHING USING NATURAL JOIN IN ANY ARRAY ROW CASE WHEN THEN NULL U&'x' E'\\' é \0".split(
      ' ',
    ),
  );

  it('is understood or refused, and nothing else is thrown', () => {
    const { analyse } = createAnalyser({ catalog: shop });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(words, { maxLength: 30 }).map((list) => list.join(' ')),
          fc.string({ unit: 'binary', maxLength: 300 }),
        ),
        (text) => {
          try {
            const { classified, exposure } = { ...analyse(text), exposure: analyse(text).exposure(shop, shopHidden) };
            expect(classified?.actions ?? ['x']).not.toHaveLength(0);
            expect(typeof exposure.safe).toBe('boolean');
          } catch (error) {
            expect(error).toBeInstanceOf(Refusal);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('damaged statements too', () => {
    const { analyse } = createAnalyser({ catalog: shop });
    fc.assert(
      fc.property(randomSql, fc.nat(300), words, (sql, at, word) => {
        const cut = at % (sql.length + 1);
        try {
          analyse(`${sql.slice(0, cut)} ${word} ${sql.slice(cut)}`).exposure(shop, shopHidden);
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
