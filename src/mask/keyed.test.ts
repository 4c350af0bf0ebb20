import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Keyed } from './keyed.ts';

it('computes HMAC-SHA-256, at once and over a stream', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 100 }),
      fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }),
      (key, parts) => {
        const keyed = new Keyed(key);
        const message = Buffer.concat(parts);
        const expected = createHmac('sha256', key).update(message).digest('hex');
        expect(keyed.mac(message).toString('hex')).toBe(expected);
        const stream = keyed.begin();
        for (const part of parts) stream.update(part);
        expect(keyed.end(stream).toString('hex')).toBe(expected);
      },
    ),
  );
});

it('refuses a key that is too short to be secret', () => {
  expect(() => new Keyed(Buffer.alloc(31))).toThrow(RangeError);
});

it('names a key without showing it', () => {
  const key = Buffer.alloc(32, 0xab);
  expect(new Keyed(key).keyId).toMatch(/^[0-9a-f]{8}$/);
  expect(new Keyed(key).keyId).not.toBe(new Keyed(Buffer.alloc(32, 0xac)).keyId);
  expect(key.toString('hex')).not.toContain(new Keyed(key).keyId);
});
