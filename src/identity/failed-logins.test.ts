import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AuditEvent } from '../model/event.ts';
import { FailedLogins, singleFailures } from './failed-logins.ts';

const failed = (peer: string) => ({ type: 'auth.failed', reason: 'no', audience: 'target', peer }) as const;

describe('failed logins', () => {
  let events: AuditEvent[];
  let logins: FailedLogins;
  beforeEach(() => {
    vi.useFakeTimers();
    events = [];
    const record = async (event: AuditEvent) => void events.push(event);
    logins = new FailedLogins({ record, warn: () => undefined, now: Date.now });
  });
  afterEach(() => {
    logins.close();
    vi.useRealTimers();
  });

  it('are all recorded while they are few', async () => {
    for (let i = 0; i < singleFailures; i++) await logins.record('a', failed('a'));
    vi.advanceTimersByTime(120_000);
    expect(events).toHaveLength(singleFailures);
    expect(events.every(({ count }) => count === undefined)).toBe(true);
  });

  it('of one address beyond that are one event a minute, and none is lost', async () => {
    for (let i = 0; i < 5000; i++) await logins.record('a', failed('a'));
    await logins.record('b', failed('b'));
    expect(events).toHaveLength(singleFailures + 1);
    vi.advanceTimersByTime(120_000);
    expect(events.at(-1)).toMatchObject({
      type: 'auth.failed',
      peer: 'a',
      audience: 'target',
      count: 5000 - singleFailures,
    });
    expect(events).toHaveLength(singleFailures + 2);
    await logins.record('a', failed('a'));
    expect(events.at(-1)).toEqual(failed('a'));
  });

  it('are told when the gateway stops', async () => {
    for (let i = 0; i < 100; i++) await logins.record('a', failed('a'));
    logins.close();
    expect(events.at(-1)).toMatchObject({ count: 100 - singleFailures });
  });

  it('of any number of addresses take bounded memory, and none is lost', async () => {
    for (let i = 0; i < 40; i++) await logins.record('first', failed('first'));
    for (let i = 0; i < 10_001; i++) await logins.record(`a${i}`, failed(`a${i}`));
    expect(events.some(({ peer, count }) => peer === 'first' && count === 10)).toBe(true);
  });

  it('that cannot be recorded are an error for whoever tries to log in', async () => {
    const broken = new FailedLogins({
      record: () => Promise.reject(new Error('disk full')),
      warn: () => undefined,
      now: Date.now,
    });
    await expect(broken.record('a', failed('a'))).rejects.toThrow('disk full');
    broken.close();
  });
});
