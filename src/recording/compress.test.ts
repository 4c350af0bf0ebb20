import { randomBytes } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Compressor, decompress } from './compress.ts';
import { segmentLimit } from './format.ts';

describe('compressing', () => {
  it('makes a whole frame of each, however many are under way and whatever went before', async () => {
    const compressor = new Compressor();
    const noise = randomBytes(segmentLimit);
    const plain = fc.record({ size: fc.nat({ max: segmentLimit }), noisy: fc.boolean(), salt: fc.nat() });
    await fc.assert(
      fc.asyncProperty(fc.array(plain, { maxLength: 12 }), async (given) => {
        const plains = given.map(({ size, noisy, salt }) =>
          noisy ? noise.subarray(0, size) : Buffer.alloc(size, `row ${salt} `),
        );
        const packed = await Promise.all(plains.map((one) => compressor.compress(one)));
        for (const [i, one] of plains.entries()) {
          const stored = packed[i]!;
          expect(stored.length).toBeLessThanOrEqual(one.length);
          if (stored === one) continue;
          expect(zstdDecompressSync(stored).equals(one)).toBe(true);
          expect((await decompress(stored, one.length)).equals(one)).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
    compressor.close();
  });

  it('gives back what does not get smaller', async () => {
    const compressor = new Compressor();
    for (const plain of [Buffer.from('short'), randomBytes(5000)]) expect(await compressor.compress(plain)).toBe(plain);
    expect((await compressor.compress(Buffer.alloc(5000))).length).toBeLessThan(100);
    compressor.close();
  });
});
