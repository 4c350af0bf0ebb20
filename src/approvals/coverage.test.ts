import { describe, expect, it } from 'vitest';
import { covered, isApproved } from './coverage.ts';

const yes = (...groups: string[]) => ({ answer: 'approve' as const, groups });
const no = (...groups: string[]) => ({ answer: 'deny' as const, groups });

describe('who speaks for which group', () => {
  it.each([
    ['nobody', ['dba'], [], 0],
    ['one for one', ['dba'], [yes('dba')], 1],
    ['one person in two groups speaks for one', ['dba', 'security'], [yes('dba', 'security')], 1],
    ['two people who are both in both', ['dba', 'security'], [yes('dba', 'security'), yes('dba', 'security')], 2],
    ['the first makes room for the second', ['dba', 'security'], [yes('dba', 'security'), yes('dba')], 2],
    ['whatever the order', ['security', 'dba'], [yes('dba', 'security'), yes('security')], 2],
    ['a chain of three', ['a', 'b', 'c'], [yes('a', 'b'), yes('b', 'c'), yes('a')], 3],
    ['two of one group are one', ['dba', 'security'], [yes('dba'), yes('dba')], 1],
    ['a no speaks for nobody', ['dba'], [no('dba')], 0],
    ['groups that were not asked for do not count', ['dba'], [yes('security')], 0],
  ])('%s', (_, groups, decisions, count) => {
    expect(covered(groups, decisions)).toBe(count);
    expect(isApproved(groups, decisions)).toBe(count === groups.length);
  });

  it('approves nothing where no group was asked', () => {
    expect(isApproved([], [])).toBe(false);
    expect(isApproved([], [yes('dba')])).toBe(false);
  });
});
