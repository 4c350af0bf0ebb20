import { describe, expect, it } from 'vitest';
import { nearest } from './nearest.ts';

const names = ['public.customers.ssn', 'public.customers.email', 'public.orders.email', 'crm."Odd.One".iban'];

describe('the name that may have been meant', () => {
  it.each([
    ['public.customer.ssn', 'public.customers.ssn'],
    ['public.customers.emial', 'public.customers.email'],
    ['public.customers.SSN', 'public.customers.ssn'],
    ['other.people.iban', 'crm."Odd.One".iban'],
    ['public.orders.e_mail', 'public.orders.email'],
    ['public.customers.salary', undefined],
    ['a.b.c', undefined],
  ])('for %s is %s', (entry, meant) => {
    expect(nearest(entry, names)).toBe(meant);
  });

  it('is looked for without trying all changes', () => {
    const many = Array.from({ length: 20_000 }, (_, n) => `public.some_table_with_a_long_name_${n}.column_${n}`);
    expect(nearest('public.some_table_with_a_long_name_7.colum_7', many)).toBe(many[7]);
  });
});
