import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Keyed } from './keyed.ts';
import { maskText, placeholder } from './methods.ts';

const key = new Keyed(Buffer.alloc(32, 1));
const otherKey = new Keyed(Buffer.alloc(32, 2));

describe('redact', () => {
  it('shows the classification and nothing of the value', () => {
    fc.assert(fc.property(fc.string(), (value) => maskText('redact', 'pii.ssn', value, key) === '[masked:pii.ssn]'));
  });
});

describe('null', () => {
  it('is the null value', () => expect(maskText('null', 'pii.ssn', '123-45-6789', key)).toBeNull());
});

describe('reveal', () => {
  it('is the value', () => expect(maskText('reveal', 'pii.ssn', '123-45-6789', key)).toBe('123-45-6789'));
});

describe('partial', () => {
  it.each([
    ['4111 1111 1111 1111', '************1111'],
    ['4111111111111111', '************1111'],
    ['123-45-6789', '************6789'],
    ['12345678', '************'],
    ['1234', '************'],
    ['', '************'],
    ['--------------1', '************'],
    ['Zoë Österlund', '************lund'],
    ['Привет, мир!!', '************тмир'],
    ['𝒳𝒳𝒳𝒳𝒳𝒳𝒳𝒳𝒳', '************𝒳𝒳𝒳𝒳'],
  ])('shows %j as %j', (value, mask) => expect(maskText('partial', 'x', value, key)).toBe(mask));

  it('never shows half of a value, and hides its length', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), (value) => {
        const mask = maskText('partial', 'x', value, key) ?? '';
        expect(mask.slice(0, 12)).toBe('************');
        expect(mask.length).toBeLessThanOrEqual(16);
        if (mask.length > 12) expect(value.match(/[\p{L}\p{N}]/gu)?.length ?? 0).toBeGreaterThan(8);
      }),
    );
  });
});

describe('token', () => {
  const token = (classification: string, value: string, by = key) => maskText('token', classification, value, by);

  it('joins: equal values have equal tokens, others do not', () => {
    expect(token('pii.ssn', '123-45-6789')).toBe(token('pii.ssn', '123-45-6789'));
    expect(token('pii.ssn', '123-45-6789')).not.toBe(token('pii.ssn', '123-45-6780'));
    expect(token('pii.ssn', '123-45-6789')).toMatch(/^\[token:pii\.ssn:[0-9a-f]{32}\]$/);
  });

  it('cannot be linked across classifications or keys', () => {
    expect(token('pii.ssn', 'x')?.slice(-33)).not.toBe(token('pii.email', 'x')?.slice(-33));
    expect(token('pii.ssn', 'x')).not.toBe(token('pii.ssn', 'x', otherKey));
  });

  it('keeps classification and value apart in what it hashes', () => {
    expect(token('a', 'b\0c')?.slice(-33)).not.toBe(token('a\0b', 'c')?.slice(-33));
  });
});

describe('digits', () => {
  const digits = (value: string, by = key) => maskText('digits', 'pci.pan', value, by) ?? '';

  it('keeps the layout and shows no letter', () => {
    expect(digits('4111-1111 1111/1111')).toMatch(/^\d{4}-\d{4} \d{4}\/\d{4}$/);
    expect(digits('AB12cd! é𝒳')).toMatch(/^XX\d\dxx\* \*\*$/);
  });

  it('is the same for the same value and key only', () => {
    const value = '4111111111111111';
    expect(digits(value)).toBe(digits(value));
    expect(digits(value)).not.toBe(value);
    expect(digits(value)).not.toBe(digits(value, otherKey));
    // One digit changed changes the others too.
    expect(digits('4111111111111112').slice(0, 15)).not.toBe(digits(value).slice(0, 15));
  });

  it('draws all ten digits about equally often', () => {
    const counts = Array<number>(10).fill(0);
    for (const digit of digits('7'.repeat(20_000))) counts[Number(digit)]! += 1;
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(250);
  });
});

describe('placeholder', () => {
  it('recognises every mask but digits when it is written back', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 30 }),
        fc.constantFrom('redact', 'partial', 'token' as const),
        (value, method) => placeholder(maskText(method, 'pii.tax_id-2', value, key) ?? ''),
      ),
    );
  });

  it.each([
    '',
    '123-45-6789',
    '[masked:]',
    '[masked:pii.ssn] ',
    'see [masked:pii.ssn]',
    '*****',
    '[token:pii.ssn:12]',
    '[masked:a b]',
  ])('takes %j for data', (text) => expect(placeholder(text)).toBe(false));
});

it('masks with redact when it does not know the method', () => {
  expect(maskText('rot13' as never, 'pii.ssn', 'secret', key)).toBe('[masked:pii.ssn]');
});
