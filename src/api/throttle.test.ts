import { describe, expect, it } from 'vitest';
import { network, Throttle } from './throttle.ts';

describe('the throttle', () => {
  it('lets an address fail so often in a window, and then again in the next', () => {
    let now = 0;
    const throttle = new Throttle({ failures: 2, windowMs: 1000, now: () => now });
    for (const expected of [0, 0, 1000]) {
      expect(throttle.wait('192.0.2.1', 'guess')).toBe(expected);
      throttle.failed('192.0.2.1');
    }
    expect(throttle.wait('192.0.2.2', 'guess')).toBe(0);
    now = 1000;
    expect(throttle.wait('192.0.2.1', 'guess')).toBe(0);
    throttle.failed('192.0.2.1');
    expect(throttle.wait('192.0.2.1', 'guess')).toBe(0);
  });

  it('lets credentials through that worked before', () => {
    const throttle = new Throttle({ failures: 1, windowMs: 1000, now: () => 0 });
    throttle.worked('good');
    throttle.failed('192.0.2.1');
    expect([
      throttle.wait('192.0.2.1', 'good'),
      throttle.wait('192.0.2.1', 'bad'),
      throttle.wait('192.0.2.1', undefined),
    ]).toEqual([0, 1000, 1000]);
  });

  it('counts one host once, however many addresses it has', () => {
    expect(network('2001:db8:1:2:3:4:5:6')).toBe(network('2001:db8:1:2::9'));
    expect(network('2001:db8:1:2::9')).not.toBe(network('2001:db8:1:3::9'));
    expect(network('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(network('fe80::1%eth0')).toBe(network('fe80::2'));
    expect(network('::1')).toBe(network('::2'));
  });

  it('forgets the oldest address rather than grow', () => {
    const throttle = new Throttle({ failures: 1, windowMs: 1000, now: () => 0 });
    for (let i = 0; i < 10_001; i++) throttle.failed(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    expect([throttle.wait('10.0.0.0', 'x'), throttle.wait('10.0.0.1', 'x')]).toEqual([0, 1000]);
  });
});
