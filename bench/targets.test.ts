import { expect, it } from 'vitest';
import { type Target, verdictOf } from './targets.ts';

const target = (median: number, more: Partial<Target> = {}): Target => ({
  text: 'throughput',
  unit: '× PgBouncer',
  digits: 2,
  better: 'higher',
  floor: 0.6,
  aim: 0.75,
  disturbed: false,
  reached: { median, min: median, max: median },
  ...more,
});

it('judges by the median, in the direction that is better', () => {
  expect(verdictOf(target(0.8))).toBe('aim reached');
  expect(verdictOf(target(0.6))).toBe('reached');
  expect(verdictOf(target(0.59))).toBe('NOT REACHED');
  expect(verdictOf(target(1.5, { better: 'lower', floor: 1.9, aim: 1.6 }))).toBe('aim reached');
  expect(verdictOf(target(2, { better: 'lower', floor: 1.9, aim: 1.6 }))).toBe('NOT REACHED');
});

it('says nothing about what was not measured, or while others used the machine', () => {
  expect(verdictOf(target(0, { reached: undefined }))).toBe('not measured');
  expect(verdictOf(target(Number.NaN))).toBe('not measured');
  expect(verdictOf(target(5, { disturbed: true }))).toBe('machine too busy to judge');
});
