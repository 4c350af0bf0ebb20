import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../model/errors.ts';
import { parseJsonPath, writtenPath } from './json-path.ts';

describe('a path', () => {
  it.each([
    ['$', '$'],
    ['$.customers[*].ssn', '$.customers[*].ssn'],
    ['$..email', '$..email'],
    ["$['a b'][0]", '$["a b"][*]'],
    ['$["a b"][12].c', '$["a b"][*].c'],
    ['$.data.*.card', '$.data[*].card'],
    ['$..*', '$..[*]'],
    ['$..[0]', '$..[*]'],
    ["$..['x']", '$..x'],
    ['$.a-b', '$["a-b"]'],
    ['$.straße.名前', '$.straße.名前'],
    [String.raw`$['it\'s']["\"\u0073\\"]`, String.raw`$["it's"]["\"s\\"]`],
    [`$['"']`, String.raw`$["\""]`],
    ['ssn', '$..ssn'],
    ["$['']", '$[""]'],
  ])('%s is reported as %s', (path, written) => {
    expect(writtenPath(parseJsonPath(path))).toBe(written);
  });

  it.each([
    '',
    '$.',
    '$..',
    '$.a..',
    '$a',
    '$.a b',
    '$[a]',
    '$[-1]',
    '$[01]',
    '$[1:2]',
    '$[?@.a]',
    "$['a','b']",
    "$['a]",
    "$['\\x']",
    '$.[0]',
    '$ .a',
    ' $.a',
    '$.a ',
    '@.a',
    '$[1e3]',
    `$${'.a'.repeat(65)}`,
    `$.${'a'.repeat(1024)}`,
  ])('%j is none, and the complaint says how to write one', (path) => {
    expect(() => parseJsonPath(path)).toThrow(ConfigError);
    expect(() => parseJsonPath(path)).toThrow('$.customers[*].ssn');
  });
});
