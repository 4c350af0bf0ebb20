import { expect, it } from 'vitest';
import { judge, verdictOf } from './targets.ts';
import type { Transfer, TransferResult } from './transfers.ts';

const quiet = { programs: 0, stolen: 0 };
const run = (seconds: number, grown?: number): Transfer => ({
  seconds,
  cpuMsPerMb: undefined,
  peak: grown === undefined ? undefined : 300e6 + grown,
  before: grown === undefined ? undefined : 300e6,
  foreign: quiet,
});

it('judges a transfer through the gateway by the direct one of the same round', () => {
  const large: TransferResult = {
    kind: 'transfer',
    name: 'http-large',
    title: '',
    size: 100e6,
    paths: [
      { label: 'direct', rounds: [run(1), run(2)] },
      { label: 'nginx', rounds: [run(9), run(9)] },
      { label: 'Sallyport', rounds: [run(1.25, 10e6), run(2.5, 80e6)] },
    ],
    foreign: [quiet],
  };
  const [speed, memory] = judge([large]).filter(({ reached }) => reached !== undefined);
  expect(speed?.reached).toEqual({ median: 0.8, min: 0.8, max: 0.8 });
  expect(verdictOf(speed!)).toBe('NOT REACHED');
  expect(memory?.reached?.max).toBe(80);
  expect(verdictOf(memory!)).toBe('reached');
});
