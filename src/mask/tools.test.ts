import { expect, it } from 'vitest';
import { createDetector } from './detect/detector.ts';
import { maskingTools } from './tools.ts';

const key = Buffer.alloc(32, 3);
const tools = maskingTools(key, createDetector());
const redact = () => 'redact' as const;

it('notes what the detectors found, without the value', () => {
  const ledger = tools.ledger();
  const bytes = Buffer.from('123-45-6789 and 123-45-6780, ann@example.com');
  expect(tools.scrub?.(bytes, ledger, undefined, redact)).toBe(3);
  expect(bytes.toString()).toBe('*********** and ***********, ***************');
  expect(ledger.fields().map(({ field, classification, count }) => [field, classification, count])).toEqual([
    ['(content)', 'pii.ssn', 2],
    ['(content)', 'pii.email', 1],
  ]);
});

it('leaves alone what policy reveals', () => {
  const bytes = Buffer.from('123-45-6789 ann@example.com');
  tools.scrub?.(bytes, tools.ledger(), undefined, (c) => (c === 'pii.email' ? 'reveal' : 'redact'));
  expect(bytes.toString()).toBe('*********** ann@example.com');
});

it('refuses to write into framed bytes when it is not told where the values are', () => {
  const framed = Buffer.from('\0\0\0\x0b123-45-6789');
  expect(() => tools.scrub?.(framed, tools.ledger(), undefined, redact)).toThrow(/cannot|not known/);
  expect(tools.scrub?.(framed, tools.ledger(), () => [4, 15], redact)).toBe(1);
  expect(framed.toString()).toBe('\0\0\0\x0b***********');
  expect(tools.scrub?.(Buffer.from('\0\0\0\x05hello'), tools.ledger(), undefined, redact)).toBe(0);
});

it('searches nothing where the detectors are off', () => {
  expect(maskingTools(key).scrub).toBeUndefined();
});
