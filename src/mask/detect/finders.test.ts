import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CardRun, FirstBucket, Nanp, Plus, Ssn, windowSize } from './candidates.ts';
import { createDetector, Search, type ValuesOf } from './detector.ts';
import { type Bytes, kinds } from './kinds.ts';
import { regexpFinder } from './regexp.ts';
import { samples } from './samples.ts';

const finders = [createDetector(), createDetector({ finder: regexpFinder() })];
const allFlags = CardRun | Ssn | Nanp | Plus | (255 * FirstBucket);

/** Without a prefilter: every detector, at every position. */
function searchEverywhere(bytes: Bytes, values: ArrayLike<number>): Search {
  const search = new Search(bytes, values, new Set(kinds));
  for (let at = 0; at < bytes.length; at++) search.look(at, allFlags);
  return search;
}

function expectSame(bytes: Buffer, values: ArrayLike<number>): void {
  const expected = Buffer.from(bytes);
  const count = searchEverywhere(bytes, values).hits.overwrite(expected, false, undefined);
  for (const detector of finders) {
    const scrubbed = Buffer.from(bytes);
    const found = detector.scrub(scrubbed, () => values);
    expect([detector.engine, found, scrubbed.toString('latin1')]).toEqual([
      detector.engine,
      count,
      expected.toString('latin1'),
    ]);
  }
}

// Text in which halves of patterns meet often.
const shards = [
  ...samples.map(([, sample]) => sample),
  ...[
    '4',
    '41',
    '411',
    '4111',
    '12',
    '-',
    ' ',
    '.',
    '(',
    ')',
    '+',
    '+1',
    '@',
    'a',
    'Z',
    '_',
    'eyJ',
    'ghp_',
    'sk-',
    'AKIA',
    '://',
    ':',
  ],
  ...[
    '-----',
    '-----BEGIN ',
    'PRIVATE KEY',
    '-----END ',
    'password=',
    'pwd=',
    'DE89',
    '\0',
    '\n',
    'D\0\0\0',
    '\xff',
    '123-45-',
    '555-0123',
  ],
];
const text = fc
  .array(fc.oneof(fc.constantFrom(...shards), fc.string({ minLength: 1, maxLength: 3 })), { maxLength: 30 })
  .map((parts) => Buffer.from(parts.join(''), 'latin1'));

describe('a finder', () => {
  it('finds what looking everywhere finds', () => {
    fc.assert(
      fc.property(text, (bytes) => expectSame(bytes, [0, bytes.length])),
      { numRuns: 1500 },
    );
  });

  it('finds it in values that are parts of the bytes, whatever is beside them', () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat({ max: 400 }), { maxLength: 12 }), (bytes, cuts) => {
        const offsets = [...new Set(cuts.filter((cut) => cut <= bytes.length))].sort((a, b) => a - b);
        const values = offsets.slice(0, offsets.length & ~1);
        expectSame(bytes, values);
        // And each value is scrubbed as it would be alone.
        const alone = Buffer.from(bytes);
        for (let i = 0; i < values.length; i += 2)
          finders[0]!.scrub(alone.subarray(values[i], values[i + 1]), (b) => [0, b.length]);
        const together = Buffer.from(bytes);
        finders[0]!.scrub(together, () => values);
        expect(together.toString('latin1')).toBe(alone.toString('latin1'));
      }),
      { numRuns: 1500 },
    );
  });

  it.each(samples)('finds a %s at every alignment: %s', (_, sample) => {
    for (let offset = 0; offset < 130; offset++) {
      const bytes = Buffer.from(`${'.'.repeat(offset - 1 < 0 ? 0 : offset - 1)}${offset > 0 ? ' ' : ''}${sample}`);
      for (const detector of finders) {
        const scrubbed = Buffer.from(bytes);
        expect(detector.scrub(scrubbed, (b) => [0, b.length])).toBe(1);
        expect(scrubbed.subarray(offset).toString()).toBe('*'.repeat(sample.length));
      }
    }
  });

  it('finds what lies across the edge of its window', () => {
    const filler = Buffer.alloc(2 * windowSize + 500, '.');
    for (const [, sample] of samples) {
      for (const edge of [windowSize, 2 * windowSize]) {
        for (let before = 0; before <= sample.length; before += 3) {
          const bytes = Buffer.from(filler);
          bytes.write(` ${sample} `, edge - before - 1);
          expect(finders[0]!.scrub(bytes, (b) => [0, b.length])).toBe(1);
          expect(bytes.toString('latin1', edge - before, edge - before + sample.length)).toBe(
            '*'.repeat(sample.length),
          );
        }
      }
    }
  });

  it('looks at each run of digits once when it spans windows', () => {
    const bytes = Buffer.alloc(2 * windowSize, '7 7');
    bytes.write(' 4111111111111111 ', windowSize - 5);
    expectSame(bytes, [0, bytes.length]);
  });

  it('does not see bytes of an earlier, longer chunk', () => {
    for (const detector of finders) {
      detector.scrub(Buffer.from(`${' '.repeat(40)}123-45-6789 4111111111111111 ann@example.com`), (b) => [
        0,
        b.length,
      ]);
      for (let length = 0; length < 70; length++)
        expect(detector.scrub(Buffer.alloc(length, ' '), (b) => [0, b.length])).toBe(0);
    }
  });
});

describe('framed bytes', () => {
  /** A message of length-prefixed values, with length bytes that look like text. */
  const message = fc.array(text, { minLength: 1, maxLength: 6 }).map((values) => {
    const parts = [Buffer.from('D\0\0\0\x41\0\x02', 'latin1')];
    for (const value of values) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(value.length);
      parts.push(length, value);
    }
    return { bytes: Buffer.concat([...parts, Buffer.from('C\0\0\0\x0bSELECT 1\0', 'latin1')]), values };
  });
  const valuesOf = (values: readonly Buffer[]): ValuesOf => {
    const pairs: number[] = [];
    let at = 7;
    for (const value of values) {
      pairs.push(at + 4, at + 4 + value.length);
      at += 4 + value.length;
    }
    return () => pairs;
  };

  it('keep every byte that is not in a value', () => {
    fc.assert(
      fc.property(message, ({ bytes, values }) => {
        const scrubbed = Buffer.from(bytes);
        const pairs = valuesOf(values);
        finders[0]!.scrub(scrubbed, pairs);
        const outside = (buffer: Buffer) => {
          const copy = Buffer.from(buffer);
          const list = pairs(copy);
          for (let i = 0; i < list.length; i += 2) copy.fill(0, list[i], list[i + 1]);
          return copy.toString('latin1');
        };
        expect(outside(scrubbed)).toBe(outside(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  it('keep a length that continues a match, and the type of the next message', () => {
    const address = `${'n'.repeat(0x61 - 12)}@example.com`; // 0x61, "a", is its length
    const bytes = Buffer.from(`\0\0\0a${address}D\0\0\0`, 'latin1');
    expect(finders[0]!.scrub(bytes, () => [4, 4 + 0x61])).toBe(1);
    expect(bytes.toString('latin1', 0, 4)).toBe('\0\0\0a');
    expect(bytes.toString('latin1', 4 + 0x61)).toBe('D\0\0\0');
  });
});

describe('the work', () => {
  const seeds = [
    ...[
      '4',
      '41111111',
      '1-',
      '1 ',
      '12-',
      '4111 ',
      '1111-',
      '@',
      'a@',
      'a@a.',
      'a.',
      '.@',
      'eyJ',
      'eyJa.',
      'eyJaaaaaaaaaaa.',
      '://',
      'a://',
      'a://a:',
    ],
    ...[
      'a://a:a',
      'a://:1/@',
      '-',
      '-----BEGIN ',
      '-----BEGIN PRIVATE KEY-----',
      '-----END ',
      'sk-',
      'sk-ant-',
      'xoxb-',
      'AKIA',
      'SG.',
      'github_pat_',
    ],
    ...[
      'password=',
      "pwd='",
      'pwd={',
      '+1',
      '+',
      '(415) 555-',
      '555-0123 ',
      '123-45-',
      'DE89',
      'DE89 3704 ',
      'GB',
      'PRIVATE KEY ',
      'a',
      'AA1',
      '\0',
      '"',
    ],
  ];

  /** How many bytes are looked at. */
  function steps(seed: string, size: number): number {
    const bytes = Buffer.from(seed.repeat(Math.ceil(size / seed.length)), 'latin1').subarray(0, size);
    let count = 0;
    const counting = new Proxy(bytes, {
      get(target, property) {
        count += 1;
        return Reflect.get(target, property, target);
      },
    }) as unknown as Bytes;
    searchEverywhere(counting, [0, size]);
    return count;
  }

  it.each(seeds)('grows in step with %j repeated, even without a prefilter', (seed) => {
    const [small, large] = [steps(seed, 4000), steps(seed, 16_000)];
    expect(large).toBeLessThan(4.5 * small);
    expect(large / 16_000).toBeLessThan(1500);
  });
});
