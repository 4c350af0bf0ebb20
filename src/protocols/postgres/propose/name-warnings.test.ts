import { describe, expect, it } from 'vitest';
import type { SchemaRelation } from '../schema.ts';
import { nameWarnings, unclassifiedWarnings } from './name-warnings.ts';

const text = 25;
const jsonb = 3802;

function table(oid: number, name: string, columns: Readonly<Record<string, number>>): SchemaRelation {
  return {
    oid,
    schema: 'public',
    name,
    kind: 'r',
    owner: 'o',
    owned: false,
    rowSecurity: false,
    triggers: false,
    rules: false,
    columns: Object.entries(columns).map(([column, typeOid], index) => ({ attnum: index + 1, name: column, typeOid })),
  };
}

const none = { columns: new Map(), derived: new Map() };

describe('warnings by names', () => {
  it('name columns that look sensitive and are not classified, in one line', () => {
    const relations = [
      table(1, 'looks', { passport_no: text, phoneNumber: text, company: text, spanner: text }),
      table(2, 'customers', { email: text, ssn: text }),
    ];
    const classified = { ...none, columns: new Map([[2, new Map([[2, 'pii.ssn']])]]) };
    expect(nameWarnings({ relations, parents: [] }, classified)).toEqual([
      'not classified, though the name suggests it: public.looks.passport_no, public.looks.phoneNumber, public.customers.email; sallyport classify proposes what to add',
    ]);
    expect(nameWarnings({ relations: [table(1, 'calm', { id: 23, title: text })], parents: [] }, none)).toEqual([]);
  });

  it('name a column once for all partitions', () => {
    const relations = [table(1, 'parts', { email: text }), table(2, 'parts_1', { email: text })];
    const parents = [{ child: 2, parent: 1 }];
    expect(nameWarnings({ relations, parents }, none)[0]).toContain('it: public.parts.email;');
  });

  it('name copies of classified tables, as long as there is something in them that is not classified', () => {
    const columns = { id: 23, ssn: text, note: text };
    const relations = [
      table(1, 'customers', columns),
      table(2, 'customer_audit', { ...columns, old_row: jsonb }),
      table(3, 'customers_2024_backup', { id: 23, note: text }),
      table(4, 'audit_log', { ssn_hint: text }),
    ];
    const ssn = new Map([[2, 'pii.ssn']]);
    const [copy, ...more] = nameWarnings({ relations, parents: [] }, { ...none, columns: new Map([[1, ssn]]) }).slice(
      1,
    );
    expect(copy).toBe(
      'public.customer_audit seems to be a copy of public.customers, which is classified; here these are not: ssn, old_row',
    );
    expect(more).toEqual([]);
    const both = new Map([
      [1, ssn],
      [2, new Map([...ssn, [4, 'pii.document']])],
    ]);
    expect(nameWarnings({ relations, parents: [] }, { ...none, columns: both })).toEqual([]);
  });

  it('stay few and quick in a schema of 25,000 columns', () => {
    const relations = Array.from({ length: 500 }, (_, n) =>
      table(n, `customers${n}_history`, Object.fromEntries(Array.from({ length: 50 }, (_, c) => [`email_${c}`, text]))),
    );
    const warnings = unclassifiedWarnings(
      relations.flatMap(({ schema, name, columns }) =>
        columns.map(({ name: column, typeOid }) => ({ schema, table: name, column, typeOid })),
      ),
    );
    expect(warnings.length).toBe(1);
    expect(warnings[0]).toContain('and 24990 more');
    expect(warnings[0]!.length).toBeLessThan(1000);
    const all = new Map(relations.map(({ oid }) => [oid, new Map([[1, 'pii.email']])]));
    expect(nameWarnings({ relations, parents: [] }, { ...none, columns: all }).length).toBeLessThan(10);
  });
});
