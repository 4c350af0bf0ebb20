import { expect, it } from 'vitest';
import { SessionEnd } from './session-end.ts';

it('tells every request that is still under way, once, and no other', () => {
  const session = new AbortController();
  const end = new SessionEnd(session.signal);
  const told: string[] = [];
  const first = end.add(() => told.push('first'));
  const second = end.add(() => told.push('second'));
  end.remove(first);
  end.add(() => {
    told.push('third, in the place of the first');
    end.remove(second);
  });
  session.abort();
  session.abort();
  expect(told).toEqual(['third, in the place of the first', 'second']);
});
