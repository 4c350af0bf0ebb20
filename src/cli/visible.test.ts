import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { details, table } from './table.ts';
import { inColumns, safeJson, visible, visibleLine, width } from './visible.ts';

// Anything that a terminal acts on or that cannot be seen, written independently of the code under test.
const dangerous: readonly (readonly [number, number])[] = [
  [0x00, 0x09],
  [0x0b, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x61c, 0x61c],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xd800, 0xdfff],
  [0xfeff, 0xfeff],
  [0xfff9, 0xfffb],
  [0xe0000, 0xe007f],
];

/** The dangerous characters of a text. */
function dangers(text: string): string[] {
  return [...text].filter((character) =>
    dangerous.some(([from, to]) => from <= character.codePointAt(0)! && character.codePointAt(0)! <= to),
  );
}

describe('text from strangers', () => {
  it.each([
    ['\x1b[31mred', '\\x1b[31mred'],
    ['\x1b]0;title\x07', '\\x1b]0;title\\x07'],
    ['over\rwritten', 'over\\x0dwritten'],
    ['c1 \x9b2J', 'c1 \\x9b2J'],
    ['user \u202etxt.exe', 'user \\u{202e}txt.exe'],
    ['zero\u200bwidth', 'zero\\u{200b}width'],
    ['tag\u{e0041}', 'tag\\u{e0041}'],
    ['lone \ud800', 'lone \\u{d800}'],
    ['é and 漢字 and 👍 stay', 'é and 漢字 and 👍 stay'],
    ['two\nlines', 'two\nlines'],
  ])('%j shows as %j', (text, shown) => {
    expect(visible(text)).toBe(shown);
  });

  it('never reaches the terminal as anything it would act on', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        expect(dangers(visible(text))).toEqual([]);
        expect(visibleLine(text)).not.toContain('\n');
        expect(dangers(table(['A', 'B'], [[text, text]]))).toEqual([]);
        expect(table(['A', 'B'], [[text, text]]).split('\n')).toHaveLength(3);
        expect(details([['key', text]]).split('\n')).toHaveLength(2);
      }),
    );
  });

  it('cannot pile marks over its neighbours', () => {
    expect(visible(`a${'\u0301'.repeat(50)}`).match(/\p{M}/gu)).toHaveLength(3);
  });

  it('comes out of JSON exactly as it went in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const json = safeJson({ text });
        expect(dangers(json)).toEqual([]);
        expect(JSON.parse(json)).toEqual({ text });
      }),
    );
  });
});

describe('columns', () => {
  it('count wide letters twice and marks not at all', () => {
    expect([width('abc'), width('漢字'), width('e\u0301'), width('👍')]).toEqual([3, 4, 1, 2]);
  });

  it('are filled or cut to their width', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), fc.integer({ min: 1, max: 20 }), (text, columns) => {
        expect(width(inColumns(visibleLine(text), columns))).toBe(columns);
      }),
    );
  });
});
