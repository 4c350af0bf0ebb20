import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claimAt, firstUnmet } from './claims.ts';

const meets = (value: unknown, condition: Parameters<typeof firstUnmet>[1][string]) =>
  firstUnmet({ x: value }, { x: condition }) === undefined;

describe('conditions', () => {
  it.each([
    ['refs/heads/*', 'refs/heads/main', true],
    ['refs/heads/*', 'refs/heads/a/b', false],
    ['refs/heads/release-*', 'refs/heads/release-1.2', true],
    ['refs/heads/release-*', 'refs/heads/release-', true],
    ['refs/heads/release-*', 'refs/heads/prerelease-1', false],
    ['*-*-*', 'a-b-c', true],
    ['*-*-*', 'a-b', false],
    ['ab*ba', 'aba', false],
    ['ab*ba', 'abba', true],
    ['a*b*c', 'a-c-b', false],
    ['*', '', false],
    ['*', 'a:b', false],
    ['a.c', 'abc', false],
    ['(a|b)+$', 'a', false],
    ['*', 'a\nb', false],
  ])('%s against %s: %s', (like, text, fits) => {
    expect(meets(text, { like })).toBe(fits);
  });

  it('holds a pattern and a text that would stop a backtracking matcher', () => {
    expect(meets('a'.repeat(16_000), { like: `${'*a'.repeat(200)}b` })).toBe(false);
  });

  it('is met by nothing when the claim is missing or empty, whatever is asked', () => {
    const nothing = fc.constantFrom(undefined, null, '', [], {}, [[]], [{}]);
    const condition = fc.oneof(
      fc.string({ minLength: 1 }),
      fc.record({ not: fc.string({ minLength: 1 }) }),
      fc.record({ like: fc.constantFrom('*', '**') }),
      fc.constant({ present: true } as const),
    );
    fc.assert(fc.property(nothing, condition, (value, wanted) => !meets(value, wanted)));
  });

  it('compares whole values, by case', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (a, b) => meets(a, b) === (a === b)),
    );
  });
});

describe('a claim', () => {
  it('is looked up by name, or by a pointer into it', () => {
    const claims = { 'a/b': 1, a: { 'b/c': { d: 'deep' } }, 'https://corp.example/groups': 'x' };
    expect(claimAt(claims, 'a/b')).toBe(1);
    expect(claimAt(claims, '/a/b~1c/d')).toBe('deep');
    expect(claimAt(claims, 'https://corp.example/groups')).toBe('x');
  });

  it('is never something that objects have by nature', () => {
    for (const ref of ['__proto__', 'constructor', 'toString', '/constructor/name', '/a/length', '/a/0', '/s/length']) {
      expect(claimAt({ a: ['x'], s: 'text' }, ref), ref).toBeUndefined();
    }
  });
});
