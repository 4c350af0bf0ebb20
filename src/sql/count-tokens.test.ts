import { describe, expect, it } from 'vitest';
import { countTokens } from './count-tokens.ts';

describe('countTokens', () => {
  it.each([
    ['', 0],
    ['select 1', 2],
    ['select a.b, $1', 6],
    ["'it''s' 'x'", 2],
    ["e'it\\'s' 1", 2],
    ["E'a'\n 'b\\'' 1", 2],
    ["e'a' 'b'", 2],
    ['"a "" b" 1', 2],
    ["$$ a ' b $$ 1", 2],
    ["$x$ $$ ' $y$ $x$ 1", 2],
    ['a$b$c 1', 2],
    ["-- it's\n1", 1],
    ["/* it's /* nested */ ' */ 1", 1],
    ["/***/1/* ' */2", 2],
    ['größe', 1],
    ["name'x'", 2],
  ])('counts %j as %i', (text, count) => expect(countTokens(text, 100)).toBe(count));

  it.each(["'", '"', '$$', '$a$', '/*', "e'"])('is not led astray by %s without an end', (open) => {
    expect(countTokens(`${open} ${'1 '.repeat(50)}`, 1000)).toBeGreaterThanOrEqual(50);
  });

  it.each([["e'\\'', "], ["/* /* */ ' */ "], ["$$ ' $$, "], ['"\'", '], ["--'\n"], ["e'a'\n'\\'', "]])(
    'counts what comes after %j and looks like a text',
    (before) => {
      expect(countTokens(`select ${before}${'1,'.repeat(5000)} '`, 100_000)).toBeGreaterThan(10_000);
    },
  );

  it('stops when it is enough', () => {
    expect(countTokens('1 '.repeat(1000), 10)).toBe(11);
  });

  it('goes over the text once, whatever is open in it', () => {
    for (const piece of ["'", '"', '$$', '/*', '$a$', "e'", '--', '*/'])
      expect(countTokens(piece.repeat(400_000), 1e6)).toBeLessThan(1e6);
  });
});
