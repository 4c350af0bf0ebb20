import { expect, it } from 'vitest';
import { difference, percentile, ratio, spread } from './statistics.ts';

it('gives median, smallest and largest', () => {
  expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  expect(spread([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
  expect(spread([])).toEqual({ median: Number.NaN, min: Number.NaN, max: Number.NaN });
});

it('takes percentiles by rank', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
  expect(percentile(hundred, 0.5)).toBe(50);
  expect(percentile(hundred, 0.99)).toBe(99);
  expect(percentile([7], 0.99)).toBe(7);
});

it('compares what was measured in the same round', () => {
  expect(ratio([10, 40], [10, 20])).toEqual({ median: 1.5, min: 1, max: 2 });
  expect(difference([110, 250], [10, 50])).toEqual({ median: 150, min: 100, max: 200 });
});
