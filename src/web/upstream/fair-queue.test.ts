import { describe, expect, it } from 'vitest';
import { FairQueue } from './fair-queue.ts';

describe('the queue', () => {
  it('serves every source in its turn, and each source in order', () => {
    const queue = new FairQueue<string>();
    for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'a4', 'b2']) queue.push(item[0]!, item);
    expect(queue.size).toBe(7);
    const served = Array.from({ length: 8 }, () => queue.shift());
    expect(served).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4', undefined]);
    expect(queue.size).toBe(0);
  });

  it('gives a newcomer its turn before those who ask much', () => {
    const queue = new FairQueue<string>();
    for (let index = 0; index < 100; index++) queue.push('busy', `busy ${index}`);
    queue.shift();
    queue.push('new', 'new');
    expect([queue.shift(), queue.shift()]).toContain('new');
  });

  it('lets go of what waits no longer', () => {
    const queue = new FairQueue<string>();
    queue.push('a', 'a1');
    queue.push('a', 'a2');
    queue.remove('a', 'a1');
    queue.remove('a', 'a1');
    queue.remove('b', 'a2');
    expect([queue.size, queue.sizeOf('a'), queue.sizeOf('b')]).toEqual([1, 1, 0]);
    expect([queue.shift(), queue.shift()]).toEqual(['a2', undefined]);
  });
});
