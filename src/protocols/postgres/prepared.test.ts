import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Names } from './prepared.ts';

it('means the new thing at once, and the old one again when its pipeline fails', () => {
  const names = new Names<string>();
  names.propose('s', 'first', 0);
  expect(names.get('s')).toBe('first');
  names.confirm('s', 'first');
  names.propose('s', 'second', 1);
  expect(names.get('s')).toBe('second');
  names.fail(1);
  expect(names.get('s')).toBe('first');
});

it('agrees with a server that answers in order and skips to the end of a failed pipeline', () => {
  const step = fc.record({ name: fc.constantFrom('a', 'b', ''), fails: fc.boolean(), ends: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const names = new Names<object>();
      const server = new Map<string, object>();
      let period = 0;
      let failed = false;
      for (const { name, fails, ends } of steps) {
        const meaning = { name };
        names.propose(name, meaning, period);
        if (!failed && !fails) {
          server.set(name, meaning);
          names.confirm(name, meaning);
        }
        failed ||= fails;
        if (!ends) continue;
        if (failed) names.fail(period);
        period += 1;
        failed = false;
        for (const known of ['a', 'b', '']) expect(names.get(known)).toBe(server.get(known));
      }
    }),
  );
});
