import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Refusal } from '../../../model/errors.ts';
import { type PathRelaxation, pathRelaxations } from '../settings.ts';
import { readPath } from './path.ts';

interface Case {
  readonly path: string;
  readonly allow?: readonly PathRelaxation[];
  readonly ignoreCase?: boolean;
  readonly readings?: readonly string[];
  readonly refused?: string;
}

const cases = parse(readFileSync(new URL('./testdata/paths.yaml', import.meta.url), 'utf8')) as readonly Case[];
const strict = { allow: [], ignoreCase: false };

function read({ path, allow = [], ignoreCase = false }: Case): readonly string[] | string {
  try {
    return readPath(path, { allow, ignoreCase });
  } catch (error) {
    if (error instanceof Refusal && error.kind === 'UNPARSABLE') return error.message;
    throw error;
  }
}

describe('a path', () => {
  it.each(cases)('is read in every way that a server could, or refused: $path $allow', (given) => {
    const found = read(given);
    if (given.refused !== undefined) expect(found).toContain(given.refused);
    else expect([...found].sort()).toEqual([...(given.readings ?? [])].sort());
    if (given.readings !== undefined) expect(found[0]?.toLowerCase()).toBe(given.path.toLowerCase());
  });

  it('is known from a corpus of some size', () => {
    expect(cases.length).toBeGreaterThan(120);
  });

  it('that is refused is told what to write, shortened where it is long', () => {
    expect(read({ path: `/${'a'.repeat(300)}%2Fb` })).toMatch(/…" has an encoded slash .*: write \/ /);
    expect(read({ path: `/${'a'.repeat(9000)}` })).toContain('longer than');
  });

  const pieces = fc.constantFrom(
    ...'abAZ09._-~/\\%;?#@: é'.split(''),
    '%2f',
    '%2e',
    '%5c',
    '%25',
    '%00',
    '%3b',
    '..',
    '//',
    '%c3%a9',
    '%ff',
    '%EF%BC%8F',
  );
  const relaxations = fc.subarray([...pathRelaxations]);

  it('never makes anything but readings or a refusal, whatever it is', () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), relaxations, fc.boolean(), (parts, allow, ignoreCase) => {
        const found = read({ path: `/${parts.join('')}`, allow, ignoreCase });
        if (typeof found === 'string') return;
        for (const reading of found) {
          expect(reading.startsWith('/')).toBe(true);
          expect(
            new Set(['.', '..']).intersection(
              new Set(decodeURIComponent(reading.replaceAll(/%(?![0-9A-F]{2})/g, '%25')).split('/')),
            ).size,
          ).toBe(0);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('means the same to a URL parser, where it is let through strictly', () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const path = `/${parts.join('')}`;
        if (typeof read({ path }) === 'string') return;
        expect(new URL(path, 'https://target.example').href).toBe(`https://target.example${path}`);
      }),
      { numRuns: 2000 },
    );
  });

  it('can be read again in each of its readings with the same result', () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
        const found = read({ path: `/${parts.join('')}` });
        if (typeof found === 'string') return;
        for (const reading of found) expect(found).toEqual(expect.arrayContaining([...readPath(reading, strict)]));
      }),
    );
  });
});
