import { expect, it } from 'vitest';
import { requestId } from './request-id.ts';

it('makes a UUID of version 7, as in the RFC', () => {
  // RFC 9562, appendix A.6.
  expect(requestId(0x017f22e279b0, Buffer.from('0cc318c4dc0c0c07398f', 'hex'))).toBe(
    '017f22e2-79b0-7cc3-98c4-dc0c0c07398f',
  );
});

it('sorts by time and never repeats', () => {
  const ids = Array.from({ length: 1_000 }, (_, ms) => requestId(1_700_000_000_000 + ms));
  expect([...ids].sort()).toEqual(ids);
  expect(new Set(Array.from({ length: 1_000 }, () => requestId(1))).size).toBe(1_000);
});
