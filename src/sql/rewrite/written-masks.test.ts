import { beforeAll, describe, expect, it } from 'vitest';
import { placeholder } from '../../mask/methods.ts';
import { loadParser, parse } from '../parse.ts';
import { storesValues, writtenMask } from './written-masks.ts';

beforeAll(loadParser);

const written = (sql: string) => writtenMask(parse(sql), placeholder);
const token = `[token:pii.ssn:${'0123456789abcdef'.repeat(2)}]`;

describe('a mask that comes back as a value', () => {
  it.each([
    ["insert into people (ssn) values ('[masked:pii.ssn]')", '[masked:pii.ssn]'],
    [`update people set ssn = '${token}' where id = 1`, token],
    [`update people set ssn = E'${token}'::text`, token],
    ["update people set ssn = '************6789'", '************6789'],
    ["update people set name = 'x' where ssn = '[masked:pii.ssn]'", '[masked:pii.ssn]'],
    ['insert into people (profile) values (\'{"ssn": "[masked:pii.ssn]"}\')', '[masked:pii.ssn]'],
    ["insert into people (tags) select array['a', '[masked:pii.tag]']", '[masked:pii.tag]'],
    ["with x as (insert into people (ssn) values (U&'\\005Bmasked:pii.ssn]')) select 1", '[masked:pii.ssn]'],
    ["merge into people p using orders o on p.id = o.id when matched then update set ssn = '[masked:x]'", '[masked:x]'],
    ["explain insert into people (ssn) values ('[masked:pii.ssn]')", '[masked:pii.ssn]'],
    ["prepare p as update people set ssn = '[masked:pii.ssn]'", '[masked:pii.ssn]'],
    ["execute p ('[masked:pii.ssn]')", '[masked:pii.ssn]'],
    ["select 1; insert into people (ssn) values ('[masked:pii.ssn]')", '[masked:pii.ssn]'],
  ])('is found in %s', (sql, mask) => expect(written(sql)).toBe(mask));

  it.each([
    "select id from people where ssn = '[masked:pii.ssn]'",
    "insert into notes (body) values ('the column said [masked:pii.ssn]')",
    "insert into notes (body) values ('[masked]'), ('***'), ('')",
    "delete from people where ssn = '[masked:pii.ssn]'",
    'insert into notes (body) values ($1)',
  ])('is not what %s holds', (sql) => expect(written(sql)).toBeUndefined());
});

describe('bind values', () => {
  it('are stored by what changes rows', () => {
    expect(storesValues(parse('insert into people (ssn) values ($1)'))).toBe(true);
    expect(storesValues(parse('with x as (update people set ssn = $1 returning id) select * from x'))).toBe(true);
    expect(storesValues(parse('select id from people where ssn = $1'))).toBe(false);
  });
});
