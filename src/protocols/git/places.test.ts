import { describe, expect, it } from 'vitest';
import type { Line } from '../../gateway/protocol.ts';
import { Refusal } from '../../model/errors.ts';
import { Places } from './places.ts';
import { Workplace } from './workplace.ts';

const never = new AbortController().signal;

describe('places', () => {
  it('let in so many at once, and the others in the order they came', async () => {
    const places = new Places(2, 10);
    const log: string[] = [];
    const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
    const all = gates.map((gate, n) =>
      places.take(async () => {
        log.push(`in ${n}`);
        await gate.promise;
      }, never),
    );
    await Promise.resolve();
    expect(log).toEqual(['in 0', 'in 1']);
    gates[1]!.resolve();
    await all[1];
    await Promise.resolve();
    expect(log).toEqual(['in 0', 'in 1', 'in 2']);
    for (const gate of gates) gate.resolve();
    await Promise.all(all);
    expect(log.at(-1)).toBe('in 3');
  });

  it('pass on when work fails, and when somebody no longer waits', async () => {
    const places = new Places(1, 10);
    const gate = Promise.withResolvers<void>();
    const first = places.take(() => gate.promise, never);
    const gone = new AbortController();
    const second = places.take(async () => 'second', gone.signal);
    const third = places.take(async () => 'third', never);
    gone.abort(new Error('gone'));
    await expect(second).rejects.toThrow('gone');
    gate.reject(new Error('failed'));
    await expect(first).rejects.toThrow('failed');
    expect(await third).toBe('third');
    expect(await places.take(async () => 'fourth', never)).toBe('fourth');
  });

  it('turn away who would wait too far back', async () => {
    const places = new Places(1, 1);
    const gate = Promise.withResolvers<void>();
    const first = places.take(() => gate.promise, never);
    const second = places.take(async () => undefined, never);
    await expect(places.take(async () => undefined, never)).rejects.toThrow('too many pushes');
    gate.resolve();
    await Promise.all([first, second]);
  });
});

describe('pushes of one session', () => {
  it('are so many at once and no more, and others are not counted', () => {
    const workplace = new Workplace();
    const [mine, theirs] = [{} as Line, {} as Line];
    const leave = Array.from({ length: 8 }, () => workplace.enter(mine));
    expect(() => workplace.enter(mine)).toThrow('more than 8 pushes');
    workplace.enter(theirs);
    leave[0]!();
    workplace.enter(mine);
    expect(() => workplace.enter(mine)).toThrow(Refusal);
  });
});
