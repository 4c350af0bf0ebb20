import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Keyed } from './keyed.ts';
import { Ledger } from './ledger.ts';

const secret = Buffer.alloc(32, 9);
const key = new Keyed(secret);

function prefixed(values: readonly string[]): Buffer {
  return Buffer.concat(
    values.flatMap((value) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(value));
      return [length, Buffer.from(value)];
    }),
  );
}

function digestOf(...batches: (readonly string[])[]): string | undefined {
  const ledger = new Ledger(key);
  for (const batch of batches) ledger.masked('t.ssn', 'pii.ssn', 'redact', batch.length, prefixed(batch));
  return ledger.fields()[0]?.digest;
}

it('is an HMAC over the originals that whoever has the key can repeat', () => {
  const expected = createHmac('sha256', secret)
    .update('sallyport masked ["t.ssn","pii.ssn"]')
    .update(prefixed(['123-45-6789', '987-65-4321']))
    .digest('hex')
    .slice(0, 32);
  expect(digestOf(['123-45-6789', '987-65-4321'])).toBe(`${key.keyId}:${expected}`);
});

it('does not depend on how rows fell into batches', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 1 }), fc.nat(), (values, cut) => {
      const at = cut % (values.length + 1);
      expect(digestOf(values.slice(0, at), values.slice(at))).toBe(digestOf(values));
    }),
  );
});

it('tells apart values that run together', () => {
  expect(digestOf(['ab', 'c'])).not.toBe(digestOf(['a', 'bc']));
});

it('counts per field and classification, and gives equal values in other fields other digests', () => {
  const ledger = new Ledger(key);
  ledger.masked('t.ssn', 'pii.ssn', 'redact', 2, prefixed(['x', 'y']));
  ledger.masked('t.tin', 'pii.ssn', 'token', 1, prefixed(['x']));
  ledger.masked('t.ssn', 'pii.ssn', 'redact', 1, prefixed(['z']));
  ledger.masked('u.ssn', 'pii.ssn', 'token', 1, prefixed(['x']));
  const fields = ledger.fields();
  expect(fields.map(({ field, method, count }) => [field, method, count])).toEqual([
    ['t.ssn', 'redact', 3],
    ['t.tin', 'token', 1],
    ['u.ssn', 'token', 1],
  ]);
  expect(new Set(fields.map(({ digest }) => digest)).size).toBe(3);
});

it('holds no original', () => {
  const ledger = new Ledger(key);
  ledger.masked('t.ssn', 'pii.ssn', 'redact', 1, prefixed(['123-45-6789']));
  expect(JSON.stringify(ledger.fields())).not.toContain('6789');
});

it('is empty, and the same object, where nothing was masked', () => {
  expect(new Ledger(key).fields()).toEqual([]);
  expect(new Ledger(key).fields()).toBe(new Ledger(key).fields());
});
