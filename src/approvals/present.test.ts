import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sampleRequest } from '../storage/store.samples.ts';
import { present, presented, visible, visibleLine } from './present.ts';

const limits = { text: 100, item: 20, items: 3, preview: 60 };

/** Nothing that moves a cursor, turns text round or hides; written with other means than the code under test. */
function harmless(text: string): boolean {
  return [...text].every((character) => {
    const code = character.codePointAt(0) as number;
    const control = (code < 0x20 && code !== 0x0a && code !== 0x09) || (code >= 0x7f && code < 0xa0);
    const turning =
      code === 0x61c ||
      (code >= 0x200b && code <= 0x200f) ||
      (code >= 0x2028 && code <= 0x202e) ||
      (code >= 0x2060 && code <= 0x206f);
    const invisible =
      code === 0xad || code === 0xfeff || (code >= 0xe0000 && code <= 0xe0fff) || (code >= 0xfe00 && code <= 0xfe0f);
    return !control && !turning && !invisible && !(code >= 0xd800 && code <= 0xdfff);
  });
}

describe('what an approver sees', () => {
  it.each([
    [
      'an ordinary statement',
      "update t set a = 'é 日本 😀'\n\twhere b = 1",
      "update t set a = 'é 日本 😀'\n\twhere b = 1",
    ],
    ['a terminal escape that clears the screen', 'a\u001b[2Jb', 'a⟦U+001B⟧[2Jb'],
    ['an escape in one byte', 'a\u009b2Jb', 'a⟦U+009B⟧2Jb'],
    [
      'a carriage return that overwrites the line',
      'drop table t;\rselect 1     ',
      'drop table t;⟦U+000D⟧select 1     ',
    ],
    ['a backspace', 'drop\b\b\b\bselect', 'drop⟦U+0008⟧⟦U+0008⟧⟦U+0008⟧⟦U+0008⟧select'],
    ['a NUL', 'a\0b', 'a⟦U+0000⟧b'],
    ['text that runs the other way', 'a \u202eelbat pord\u202c', 'a ⟦U+202E⟧elbat pord⟦U+202C⟧'],
    ['an isolate', '\u2066x\u2069', '⟦U+2066⟧x⟦U+2069⟧'],
    ['zero width characters', 'dr\u200bop\ufeff', 'dr⟦U+200B⟧op⟦U+FEFF⟧'],
    ['letters written in tags', 'x\u{e0041}', 'x⟦U+E0041⟧'],
    ['letters that show nothing', 'a\u3164\u2800b', 'a⟦U+3164⟧⟦U+2800⟧b'],
    ['a space that is none', 'a\u00a0b', 'a⟦U+00A0⟧b'],
    ['a line separator', 'a -- b\u2028drop', 'a -- b⟦U+2028⟧drop'],
    ['a lone surrogate', 'a\ud83d', 'a⟦U+D83D⟧'],
    ['a forged marker', '⟦3 characters are not shown⟧', '⟦U+27E6⟧3 characters are not shown⟦U+27E7⟧'],
    ['a tail far below', `select 1${'\n'.repeat(500)}; drop table t`, 'select 1\n⟦499 blank lines⟧\n; drop table t'],
    ['a tail far to the right', `select 1${' '.repeat(500)}; drop table t`, 'select 1 ⟦500 blanks⟧ ; drop table t'],
    ['a tail behind blank lines that are not empty', `a${'\n \t'.repeat(5)}\nb`, 'a\n⟦5 blank lines⟧\nb'],
    ['marks piled up on a letter', `a${'\u0301'.repeat(5)}`, `a${'\u0301'.repeat(3)}⟦U+0301⟧⟦U+0301⟧`],
  ])('shows %s', (_, text, shown) => {
    expect(visible(text)).toBe(shown);
  });

  it('shows what the command would do, and says how much of it is missing', () => {
    const preview = '1 commit\n+\u001b[2Jkey = 1';
    expect(present(sampleRequest({ preview }), limits)).toContain(
      '           1 commit\n           +⟦U+001B⟧[2Jkey = 1\n',
    );
    const long = present(sampleRequest({ preview: `first${'x'.repeat(500)}last` }), limits);
    expect(long).toMatch(/first.*⟦.*449.*⟧.*last/s);
  });

  it('keeps a line a line', () => {
    expect(visibleLine('an agent\nrule  harmless\tx')).toBe('an agent⟦U+000A⟧rule  harmless⟦U+0009⟧x');
  });

  it('is harmless whatever was sent, in every field', () => {
    const nasty = fc.string({
      unit: fc.oneof(
        fc.constantFrom('\u001b[', '\u202e', '\u2067', '\0', '\r', '\n', '\ufeff', '⟦', '\ud800', '\u0301', ' '),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
      ),
      maxLength: 300,
    });
    fc.assert(
      fc.property(nasty, fc.array(fc.option(nasty), { maxLength: 6 }), (text, parameters) => {
        const requester = { id: text, name: text, kind: text, owner: text };
        const resources = [text];
        const request = sampleRequest({
          text,
          parameters,
          requester,
          resources,
          preview: text,
          target: text,
          verb: text,
          rule: text,
          approvers: [text],
        });
        const lines = present(request, limits).split('\n');
        expect(lines.every(harmless)).toBe(true);
        expect(harmless(JSON.stringify(presented(request, limits)))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('tells texts apart that differ in more than blanks', () => {
    const blanksAside = (text: string) => text.replace(/[ \n]+/g, ' ');
    const alphabet = fc.constantFrom('a', ' ', '\n', '⟦', '⟧', 'U+', '\u001b', '\u202e', '4', 'blank lines');
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 6 }), fc.array(alphabet, { maxLength: 6 }), (a, b) => {
        const [one, other] = [a.join(''), b.join('')];
        return blanksAside(one) === blanksAside(other) || visible(one) !== visible(other);
      }),
      { numRuns: 2_000 },
    );
  });

  it('says how much it cut, shows both ends, and gives the digest of it all', () => {
    const request = sampleRequest({ text: `begin ${'x'.repeat(500)} drop table t`, parameters: [], resources: [] });
    const shown = presented(request, limits);
    expect(shown.cut).toBe(519 - 100);
    expect(shown.text).toContain('begin xxx');
    expect(shown.text.endsWith('x drop table t')).toBe(true);
    expect(shown.text).toContain(`⟦419 characters are not shown; a yes is for all of them, SHA-256 ${request.digest}⟧`);
    expect(shown.warnings).toContain('419 characters are not shown here');
    expect(shown.digest).toBe(request.digest);
  });

  it('counts what it shows and what it does not, to the character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 400 }), (text) => {
        const { cut } = presented(sampleRequest({ text, parameters: [], resources: [] }), limits);
        const all = [...text].length;
        // Half of the limit at each end, one less where a pair would be cut in two.
        return text.length <= 100 ? cut === 0 : cut > 0 && all - cut <= 101 && cut <= all;
      }),
    );
  });

  it('does not let many or long parameters and resources hide anything unsaid', () => {
    const parameters = ['short', null, 'y'.repeat(50), 'hidden', null];
    const request = sampleRequest({ parameters, resources: ['a', 'b', 'c', 'd'] });
    const shown = presented(request, limits);
    expect(shown.parameters?.slice(0, 2)).toEqual(['short', '⟦null⟧']);
    expect(shown.parameters?.[2]).toContain('⟦30 characters are not shown');
    expect(shown.parameters?.[3]).toMatch(/^⟦2 more with 10 characters are not shown/);
    expect(shown.resources.at(-1)).toMatch(/^⟦1 more with 1 characters are not shown/);
    expect(shown.cut).toBe(30 + 10 + 1);
  });

  it('lets no line feed forge a line of its own', () => {
    const forged = 'x\ndigest     0000\nrule       none, asks for nobody';
    const request = sampleRequest({
      text: forged,
      parameters: [forged],
      resources: [forged],
      target: forged,
      rule: forged,
    });
    const lines = present(request).split('\n');
    expect(lines.filter((line) => line.startsWith('digest'))).toEqual([`digest     ${request.digest}`]);
    expect(lines.filter((line) => line.startsWith('rule'))).toHaveLength(1);
  });

  it('tells null from the word', () => {
    expect(presented(sampleRequest({ parameters: [null, 'null', '⟦null⟧', ''] })).parameters).toEqual([
      '⟦null⟧',
      'null',
      '⟦U+27E6⟧null⟦U+27E7⟧',
      '',
    ]);
  });

  it('warns of what is concealed and of look-alike letters', () => {
    expect(presented(sampleRequest({ text: 'a\u200bb\u202e' })).warnings).toEqual([
      '2 characters are invisible or change how text appears; they are shown as ⟦U+…⟧',
    ]);
    expect(presented(sampleRequest({ text: 'delete from сustomers' })).warnings).toEqual([
      'a word mixes Latin letters with letters that look like them',
    ]);
    expect(presented(sampleRequest({ text: "select 'привет', 'καλημέρα', 'été'" })).warnings).toEqual([]);
  });

  it('shows the digest in full, and the whole command, on a terminal', () => {
    const request = sampleRequest({ text: 'delete from orders\nwhere id = $1' });
    expect(present(request).split('\n')).toEqual([
      `request    ${request.id}`,
      `who        an agent (agent ${request.requester.id}, owned by corp:owner)`,
      'target     orders',
      'rule       deletes-need-dba, asks for dba',
      'touches    write Table public.orders',
      'DELETE     delete from orders',
      '           where id = $1',
      '$1         1',
      '$2         ⟦null⟧',
      `digest     ${request.digest}`,
    ]);
  });
});
