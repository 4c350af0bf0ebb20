import { expect, it } from 'vitest';
import { Wakeups } from './wakeups.ts';

const never = new AbortController().signal;
const hour = 3_600_000;

it('wakes everybody who waits for that request, and nobody else', async () => {
  const wakeups = new Wakeups();
  const [a, b, other] = [wakeups.listen('a'), wakeups.listen('a'), wakeups.listen('b')];
  const stop = new AbortController();
  let otherWoken = false;
  const waiting = other.next(hour, stop.signal).then(() => {
    otherWoken = true;
  });
  const both = Promise.all([a.next(hour, never), b.next(hour, never)]);
  wakeups.wake('a');
  await both;
  expect(otherWoken).toBe(false);
  stop.abort();
  await waiting;
});

it('does not lose a wake-up between two waits', async () => {
  const wakeups = new Wakeups();
  const listening = wakeups.listen('a');
  wakeups.wake('a');
  await listening.next(hour, never);
  wakeups.wake('a');
  await listening.next(hour, never);
  wakeups.wake('a');
  await listening.next(hour, never);
});

it('leaves no timer and no listener behind', async () => {
  const wakeups = new Wakeups();
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const stop = new AbortController();
  const listening = [wakeups.listen('a'), wakeups.listen('a'), wakeups.listen('b')];
  const waits = listening.map((each) => each.next(hour, stop.signal));
  wakeups.wake('a');
  stop.abort();
  await Promise.all(waits);
  expect(timers()).toBe(before);
  expect(wakeups.size).toBe(2);
  for (const each of listening) each.end();
  expect(wakeups.size).toBe(0);
});
