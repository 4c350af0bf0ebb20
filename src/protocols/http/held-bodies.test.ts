import { expect, it } from 'vitest';
import { Refusal } from '../../model/errors.ts';
import { HeldBodies } from './held-bodies.ts';

it('gives nobody more than its share, nor all together more than there is', () => {
  const room = new HeldBodies({ bytes: 100, bytesOfOne: 40 });
  const mine = room.take('a', 30);
  expect(() => room.take('a', 11)).toThrow(Refusal);
  room.take('a', 10);
  room.take('b', 40);
  expect(() => room.take('c', 21)).toThrow(/wait for an approval already/);
  mine();
  mine();
  room.take('c', 40);
  expect(() => room.take('a', 11)).toThrow(Refusal);
});
