import { expect, it } from 'vitest';
import { Outbox } from './outbox.ts';

it('keeps the order, whatever is ready first, and asks in a place’s turn before it is filled', () => {
  const log: string[] = [];
  const outbox = new Outbox(
    () => log.push('('),
    () => log.push(')'),
  );
  const a = outbox.reserve();
  const b = outbox.reserve();
  outbox.add(() => log.push('housekeeping'));
  b.first(() => log.push('b asks'));
  expect(log).toEqual([]);
  a.first(() => log.push('a asks'));
  a.first(() => log.push('a asks again'));
  expect(log).toEqual(['(', 'a asks', ')', '(', 'a asks again', ')']);
  log.length = 0;
  a.fill(() => log.push('a'));
  expect(log).toEqual(['(', 'a', 'b asks', ')']);
  expect(outbox.size).toBe(2);
  log.length = 0;
  b.fill(() => log.push('b'));
  expect(log).toEqual(['(', 'b', 'housekeeping', ')']);
  expect(outbox.size).toBe(0);
});
