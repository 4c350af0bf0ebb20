import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nameMeaning } from './name-meaning.ts';
import type { ValueType } from './value-type.ts';
import { wordsOf } from './words.ts';

const cases: readonly (readonly [
  table: string,
  column: string,
  type: ValueType,
  classification: string | undefined,
])[] = [
  ['customers', 'ssn', 'text', 'pii.ssn'],
  ['customers', 'cust_SSN_2', 'text', 'pii.ssn'],
  ['x', 'socialSecurityNumber', 'text', 'pii.ssn'],
  ['x', 'tax_id', 'text', 'pii.tax_id'],
  ['x', 'steuer-id', 'number', 'pii.tax_id'],
  ['x', 'E-Mail', 'text', 'pii.email'],
  ['x', 'emailAddress', 'text', 'pii.email'],
  ['x', 'strMobileNo', 'text', 'pii.phone'],
  ['x', 'kundenKontonummer', 'text', 'pii.iban'],
  ['x', 'IBAN', 'text', 'pii.iban'],
  ['x', 'ccNum', 'number', 'pci.pan'],
  ['x', 'kreditkartennummer', 'text', 'pci.pan'],
  ['x', 'CVV2', 'text', 'pci.cvv'],
  ['x', 'passportNo', 'text', 'pii.passport'],
  ['x', 'date_of_birth', 'date', 'pii.birth_date'],
  ['x', 'Geburtsdatum', 'date', 'pii.birth_date'],
  ['x', 'born_on', 'date', 'pii.birth_date'],
  ['x', 'base_salary', 'number', 'hr.salary'],
  ['x', 'Bruttogehalt', 'number', 'hr.salary'],
  ['x', 'Straße', 'text', 'pii.address'],
  ['x', 'usr_pwd', 'text', 'secret.password'],
  ['x', 'passwordHash', 'bytes', 'secret.password'],
  ['x', 'STRIPE_API_KEY', 'text', 'secret.key'],
  ['x', 'refreshToken', 'text', 'secret.token'],
  ['x', 'clientIP', 'network', 'pii.ip'],
  ['x', 'diagnosis', 'text', 'phi.health'],
  ['x', 'Blutgruppe', 'text', 'phi.health'],
  ['users', 'name', 'text', 'pii.name'],
  ['Kunden', 'Ort', 'text', 'pii.address'],
  ['products', 'name', 'text', undefined],
  ['x', 'email_verified_at', 'instant', undefined],
  ['x', 'email_verified', 'text', undefined],
  ['x', 'email_template_id', 'number', undefined],
  ['x', 'emailTemplateId', 'text', undefined],
  ['x', 'is_email', 'text', undefined],
  ['x', 'password_changed_at', 'text', undefined],
  ['x', 'token_count', 'text', undefined],
  ['x', 'card_type', 'text', undefined],
  ['x', 'address_id', 'text', undefined],
  ['x', 'ssn', 'flag', undefined],
  ['x', 'company', 'text', undefined],
  ['x', 'spanner', 'text', undefined],
  ['x', 'author', 'text', undefined],
  ['x', 'capital', 'text', undefined],
  ['x', 'shipping_method', 'text', undefined],
  ['x', 'description', 'text', undefined],
  ['x', 'tokenizer', 'text', undefined],
  ['x', 'strTitle', 'text', undefined],
  ['x', 'cardholder_name', 'text', 'pii.name'],
  ['patients', 'race', 'text', 'pii.special'],
  ['x', 'race', 'text', undefined],
  ['x', 'cell', 'text', undefined],
  ['x', 'mail_server', 'text', undefined],
  ['x', 'billing_address_city', 'text', 'pii.address'],
  ['x', 'street_name', 'text', 'pii.address'],
  ['x', 'birthplace', 'text', 'pii.birth_place'],
  ['x', 'secret_name', 'text', undefined],
  ['x', 'webadresse', 'text', undefined],
  ['x', 'Lieferadresse', 'text', 'pii.address'],
  ['x', 'session_id', 'other', undefined],
];

describe('what a name means', () => {
  it.each(cases)('in table %s column %s of type %s: %s', (table, column, type, classification) => {
    expect(nameMeaning(table, column, type)?.classification).toBe(classification);
  });

  it('is found out for any name, however odd, and hangs on words alone', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 63 }), (name) => {
        expect(wordsOf(name)).toMatch(/^_(?:[a-z0-9]+_)*$|^__$/);
        nameMeaning(name, name, 'text');
      }),
      { numRuns: 50 },
    );
    const longest = ['email_'.repeat(50), 'a'.repeat(300), 'kontonummerx'.repeat(25), '_'.repeat(300)];
    for (const name of longest) nameMeaning(name, name, 'text');
  });
});
