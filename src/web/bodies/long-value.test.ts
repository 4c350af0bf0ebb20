import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LongValue } from './long-value.ts';
import { bodyLimits } from './masker.ts';
import { realMasks } from './masks.fixture.ts';
import { cutInto } from './pieces.fixture.ts';

const sizes = { block: 150, ahead: 300, behind: 120 };

function shown(coding: 'raw' | 'json', bytes: Buffer, pieces: readonly number[]): Buffer {
  const value = new LongValue({ masks: realMasks(), limits: bodyLimits }, coding, sizes);
  return Buffer.concat([...cutInto(bytes, pieces).map((piece) => value.write(piece)), value.end()]);
}

function atOnce(text: string): string {
  const bytes = Buffer.from(text);
  realMasks().scrub(bytes, (whole) => [0, whole.length]);
  return bytes.toString();
}

const words = [
  'ann@example.com',
  '4111 1111 1111 1111',
  "password='two words'",
  'pwd=x',
  'postgres://app:p/ss@db.example/x',
  `eyJhbGciOiJub25lIn0.${'eyJ'.repeat(30)}.abc`,
  '-----BEGIN PRIVATE KEY-----\nMIIE\nAAAA\n-----END PRIVATE KEY-----',
  '+44 20 7946 0958',
  'DE89370400440532013000',
  ...['lorem ', 'ipsum, ', ' ', '<td>', 'é', '😀 ', '* ', '\n', 'x'.repeat(40), '://', 'a="', '/', '-', '12 34 '],
];
const text = fc.array(fc.constantFrom(...words), { maxLength: 120 }).map((parts) => parts.join(' '));
const pieces = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 3 });

describe('a long value', () => {
  it('is shown as if it had been searched at once', () => {
    fc.assert(
      fc.property(text, pieces, (value, cuts) => {
        expect(shown('raw', Buffer.from(value), cuts).toString()).toBe(atOnce(value));
      }),
      { numRuns: 600 },
    );
  });

  it('is shown as what its escapes mean, searched at once', () => {
    fc.assert(
      fc.property(text, fc.infiniteStream(fc.nat(9)), (value, dice) => {
        const units = Array.from(value, (c) => {
          const plain = JSON.stringify(c).slice(1, -1);
          if ((dice.next().value ?? 0) > 1) return plain;
          return Array.from({ length: c.length }, (_, i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, '0')}`).join(
            '',
          );
        });
        // Pieces are cut between escapes, as the walk cuts them; a pair of surrogates may be cut in two.
        const long = new LongValue({ masks: realMasks(), limits: bodyLimits }, 'json', sizes);
        const out: Buffer[] = [];
        for (const unit of units.flatMap((written) => written.match(/\\u....|\\.|[^\\]+/gsu) ?? []))
          out.push(long.write(Buffer.from(unit)));
        out.push(long.end());
        const content = Buffer.concat(out).toString();
        const expected = atOnce(value);
        expect(JSON.parse(`"${content}"`)).toBe(expected);
        if (expected === value) expect(content).toBe(units.join(''));
      }),
      { numRuns: 400 },
    );
  });

  it('of bytes that are no text stays as it is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ min: 0x80, maxLength: 2000 }), pieces, (bytes, cuts) => {
        expect(shown('raw', Buffer.from(bytes), cuts).equals(Buffer.from(bytes))).toBe(true);
      }),
    );
  });
});
