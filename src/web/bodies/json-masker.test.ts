import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Masks } from '../../gateway/protocol.ts';
import { Refusal } from '../../model/errors.ts';
import { type Documents, JsonMasker } from './json-masker.ts';
import { type Json, maskedByReference } from './json-reference.fixture.ts';
import { bodyLimits } from './masker.ts';
import { realMasks, watchedMasks } from './masks.fixture.ts';
import { cutInto, shownOf, splits } from './pieces.fixture.ts';
import { type BodyRule, bodyRules } from './rules.ts';

const ssn: BodyRule = { path: '$..ssn', classification: 'pii.ssn' };

function masked(
  text: string | Buffer,
  rules: readonly BodyRule[] = [ssn],
  masks: Masks = realMasks(),
  documents: Documents = 'one',
): string {
  const masker = new JsonMasker(bodyRules(rules).applying(masks), { masks, limits: bodyLimits }, documents);
  return shownOf(masker, [Buffer.from(text)]).toString();
}

describe('a rule', () => {
  it.each([
    [
      'strings, numbers and booleans',
      '{"ssn":"a","b":{"ssn":1.5},"c":[{"ssn":true}]}',
      '{"ssn":"#","b":{"ssn":"#"},"c":[{"ssn":"#"}]}',
    ],
    ['not null, which tells nothing', '{"ssn":null}', '{"ssn":null}'],
    [
      'every scalar inside of what it names',
      '{"ssn":{"a":[1,"x",[false,null]],"b":{}}}',
      '{"ssn":{"a":["#","#",["#",null]],"b":{}}}',
    ],
    [
      'every one of several members with the same name',
      '{"ssn":1,"ssn":2,"a":3,"ssn":"4"}',
      '{"ssn":"#","ssn":"#","a":3,"ssn":"#"}',
    ],
    ['names in any spelling', '{"\\u0073sn":1,"s\\u0073\\u006E":2}', '{"\\u0073sn":"#","s\\u0073\\u006E":"#"}'],
    [
      'nothing with another name',
      '{"SSN":1,"ssn ":2,"ss":3,"ssnn":4,"":5,"s\\u0000sn":6}',
      '{"SSN":1,"ssn ":2,"ss":3,"ssnn":4,"":5,"s\\u0000sn":6}',
    ],
    [
      'and keeps every other byte',
      ' { "a" : 1.0e+2 ,\r\n\t"ssn"\n: "x" , "\\u0041" : "\\/é" } ',
      ' { "a" : 1.0e+2 ,\r\n\t"ssn"\n: "#" , "\\u0041" : "\\/é" } ',
    ],
    ['documents that are scalars not at all', '"ssn"', '"ssn"'],
  ])('masks %s', (_, text, expected) => {
    expect(masked(text)).toBe(expected.replaceAll('"#"', '"[masked:pii.ssn]"'));
  });

  it('names positions, wildcards, depths and quoted names', () => {
    const rules = [
      { path: '$.a[1]', classification: 'x' },
      { path: '$.b.*.c', classification: 'y' },
      { path: "$['d e'][0]['f.g']", classification: 'z' },
      { path: '$..h[0]', classification: 'w' },
    ];
    const document = {
      a: [1, 2, 3],
      b: { p: { c: 1, d: 1 }, q: [{ c: 1 }], c: 5 },
      'd e': [{ 'f.g': 1 }, { 'f.g': 1 }],
      i: { h: [1, 2, [{ h: [3, 4] }]] },
    };
    expect(JSON.parse(masked(JSON.stringify(document), rules))).toEqual({
      a: [1, '[masked:x]', 3],
      b: { p: { c: '[masked:y]', d: 1 }, q: [{ c: 1 }], c: 5 },
      'd e': [{ 'f.g': '[masked:z]' }, { 'f.g': 1 }],
      i: { h: ['[masked:w]', 2, [{ h: ['[masked:w]', 4] }]] },
    });
  });

  it('masks a whole document that is one value', () => {
    expect(masked(' 123 ', [{ path: '$', classification: 'x' }])).toBe(' "[masked:x]" ');
    expect(masked('[1,"2"]', [{ path: '$', classification: 'x' }])).toBe('["[masked:x]","[masked:x]"]');
  });

  it('applies each method to what the value means', () => {
    const text = '{"ssn":"\\u00e9 \\"123\\"-45-6789"}';
    expect(masked(text, [ssn], realMasks({ 'pii.ssn': 'null' }))).toBe('{"ssn":null}');
    expect(masked(text, [ssn], realMasks({ 'pii.ssn': 'partial' }))).toBe('{"ssn":"************6789"}');
    const token = (value: string) => masked(value, [ssn], realMasks({ 'pii.ssn': 'token' }));
    expect(token(text)).toMatch(/^\{"ssn":"\[token:pii\.ssn:[0-9a-f]{32}\]"\}$/);
    expect(token(text)).toBe(token('{"ssn":"é \\u0022123\\u0022-45-6789"}'));
    expect(masked('{"ssn":1234}', [ssn], realMasks({ 'pii.ssn': 'digits' }))).toMatch(/^\{"ssn":"\d{4}"\}$/);
  });

  it('whose classification is revealed shows the value as it came', () => {
    expect(masked('{"ssn": "123-45-6789" }', [ssn], realMasks({ 'pii.ssn': 'reveal' }))).toBe(
      '{"ssn": "123-45-6789" }',
    );
  });

  it('gives way to another for the same value that shows less, wherever that begins', () => {
    const rules = [ssn, { path: '$.a', classification: 'hr' }];
    const text = '{"a":{"ssn":"123456789","b":"123456789"},"ssn":"123456789"}';
    expect(masked(text, rules, realMasks({ 'pii.ssn': 'partial' }))).toBe(
      '{"a":{"ssn":"[masked:hr]","b":"[masked:hr]"},"ssn":"************6789"}',
    );
    expect(masked(text, rules, realMasks({ hr: 'reveal', 'pii.ssn': 'partial' }))).toBe(
      '{"a":{"ssn":"************6789","b":"123456789"},"ssn":"************6789"}',
    );
    expect(masked(text, rules, realMasks({ 'pii.ssn': 'reveal' }))).toBe(
      '{"a":{"ssn":"[masked:hr]","b":"[masked:hr]"},"ssn":"123456789"}',
    );
  });

  it('reports values by its path without positions, as they were meant, in batches', () => {
    const masks = watchedMasks();
    masked('{"l":[{"n":1},{"n":"\\u0078"},{"n":"é"}]}', [{ path: '$.l[*].n', classification: 'x' }], masks);
    expect(masks.noted).toEqual([{ field: '$.l[*].n', classification: 'x', originals: ['1', 'x', 'é'] }]);
  });

  it('reports each value once, however the bytes arrive', () => {
    const bytes = Buffer.from('[{"ssn":1},{"ssn":"two"},{"ssn":[3,"four"]}]');
    for (const pieces of splits(bytes)) {
      const masks = watchedMasks();
      shownOf(new JsonMasker(bodyRules([ssn]), { masks, limits: bodyLimits }), pieces);
      expect(masks.noted.flatMap(({ originals }) => originals)).toEqual(['1', 'two', '3', 'four']);
    }
  });
});

describe('detectors', () => {
  it.each([
    ['strings and names', '{"ann@example.com":"call 415-555-0123 now"}', '{"***************":"call ************ now"}'],
    [
      'a card in a number, which becomes a string',
      '{"card":4111111111111111,"n":12}',
      '{"card":"****************","n":12}',
    ],
    [
      'a card in any spelling of a number',
      '[4.111111111111111e15,4111111111111111.0,41111111111111110E-1]',
      '["****************","****************","****************"]',
    ],
    [
      'no card in what is another number',
      '[4111111111111111.5,4111111111111112,0.4111111111111111]',
      '[4111111111111111.5,4111111111111112,0.4111111111111111]',
    ],
    [
      'what escapes hide',
      '["4111\\u00201111 1111\\u0020\\u0031111","a\\u0040example.com","x\\n\\/"]',
      '["*******************","*************","x\\n\\/"]',
    ],
    ['escaped names', '{"ann\\u0040example.com":1}', '{"***************":1}'],
    [
      'keys over several lines',
      '{"k":"-----BEGIN RSA PRIVATE KEY-----\\nMIIE\\nAAAA\\n-----END RSA PRIVATE KEY-----\\n"}',
      `{"k":"${'*'.repeat(31)}\\n****\\n****\\n${'*'.repeat(29)}\\n"}`,
    ],
    ['nothing across values', '["4111 1111","1111 1111"]', '["4111 1111","1111 1111"]'],
    [
      'beside lone surrogates, which stay',
      '["\\ud800 ann@example.com \\uDC00"]',
      '["\\ud800 *************** \\udc00"]',
    ],
    ['beside pairs of surrogates', '["\\ud83d\\ude00 ann@example.com"]', '["😀 ***************"]'],
  ])('find %s', (_, text, expected) => {
    expect(masked(text, [])).toBe(expected);
  });

  it('leave text with nothing in it as it came', () => {
    const text = '{"a":"\\u0041\\/\\n","b":[1.0,-0,1E5,"\\ud800"],"c":"héllo"}';
    expect(masked(text, [])).toBe(text);
  });

  it('do not look at values that are masked anyway', () => {
    const masks = watchedMasks();
    expect(masked('{"ssn":"ann@example.com"}', [ssn], masks)).toBe('{"ssn":"[masked:pii.ssn]"}');
    expect(masks.noted).toEqual([{ field: '$..ssn', classification: 'pii.ssn', originals: ['ann@example.com'] }]);
  });

  it('leave whole characters behind where a finding is cut off', () => {
    const shown = masked(JSON.stringify([`password=${'é'.repeat(200)}`, `x password=a${'é'.repeat(200)}`]), []);
    expect(shown).not.toContain('�');
    expect(() => JSON.parse(shown)).not.toThrow();
  });
});

const corpus: readonly string[] = [
  '{"customers":[{"id":1,"ssn":"123-45-6789","note":"caf\\u00e9 – naïve 😀"},{"id":2,"\\u0073sn":{"a":[1,true,null]}}]}',
  '{"card":4111111111111111,"mail":"ann\\u0040example.com","x":[-1.5e+10,0,"\\ud83d\\ude00","\\\\\\"",{}]}',
  '[["password=hunter2;",[4111111111111111.0]], "4111-1111-1111-1111" , false]',
  ' "\\"ann@example.com\\"" ',
  '\ufeff{"ssn":[[],{},""]}\r\n',
  '-0.5e-3',
  '{"k":"-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----"}',
];

describe('pieces', () => {
  it.each(corpus)('of any size show the same of %s', (text) => {
    const bytes = Buffer.from(text);
    const rules = bodyRules([ssn]);
    const whole = masked(bytes);
    for (const pieces of splits(bytes)) {
      const masks = realMasks();
      expect(shownOf(new JsonMasker(rules, { masks, limits: bodyLimits }), pieces).toString()).toBe(whole);
    }
  });

  it('are shown up to the last complete token, so that streams flow', () => {
    const masker = new JsonMasker(bodyRules([ssn]), { masks: realMasks(), limits: bodyLimits });
    expect(masker.write(Buffer.from('{"a":12')).toString()).toBe('{"a":');
    expect(masker.write(Buffer.from('3,"ssn":"12')).toString()).toBe('123,"ssn":');
    expect(masker.write(Buffer.from('3"')).toString()).toBe('"[masked:pii.ssn]"');
    expect(masker.write(Buffer.from('}')).toString()).toBe('}');
    expect(masker.end().toString()).toBe('');
  });

  it('that came are never changed', () => {
    const bytes = Buffer.from('{"ssn":"x","a":"ann@example.com"}');
    const before = Buffer.from(bytes);
    const masker = new JsonMasker(bodyRules([ssn]), { masks: realMasks(), limits: bodyLimits });
    masker.write(bytes);
    masker.end();
    expect(bytes.equals(before)).toBe(true);
  });
});

describe('what is no JSON', () => {
  const refused = (text: string | Buffer, documents: Documents = 'one') => {
    expect(() => masked(text, [], realMasks(), documents)).toThrow(Refusal);
    try {
      masked(text, [], realMasks(), documents);
    } catch (error) {
      expect((error as Refusal).kind).toBe('MASK_IMPOSSIBLE');
    }
  };

  it.each([
    'NaN',
    'Infinity',
    '-Infinity',
    '+1',
    '01',
    '1.',
    '.5',
    '1e',
    '1e+',
    '-',
    '--1',
    '0x10',
    '1_000',
    '1.2.3',
    '1e5.5',
    "'a'",
    '"a',
    '"\\x41"',
    '"\\u12g4"',
    '"\\u12',
    '"a\tb"',
    '"a\nb"',
    '"\u0000"',
    'True',
    'nul',
    'nulll',
    'undefined',
    '{a:1}',
    '{"a" 1}',
    '{"a":}',
    '{"a":1,}',
    '{,}',
    '{"a":1 "b":2}',
    '{"a":1',
    '{"a"',
    '{"a":',
    '{1:2}',
    '{"a":1]',
    '{null:1}',
    '{{}:1}',
    '[1,]',
    '[,1]',
    '[1 2]',
    '[1',
    '[1}',
    ']',
    '}',
    '[',
    '{',
    ',',
    ':',
    '[1,,2]',
    '["a":1]',
    '{"a":1:2}',
    '{"a","b"}',
    '{}{}',
    '1 2',
    '[] x',
    '{} ,',
    '"a""b"',
    '// c\n1',
    '/* c */1',
    '1#',
    '\u00a01',
    '\u000b1',
    '\u000c1',
    '1\u0000',
    ")]}',\n{}",
    'callback({})',
    '\ufeff\ufeff1',
    '1\ufeff',
    '[\ufeff1]',
  ])('%j is withheld', (text) => refused(text));

  it('is withheld where it is not UTF-8, in strings and outside', () => {
    refused(Buffer.from('"caf\xe9"', 'latin1'));
    refused(Buffer.from([0x22, 0xc0, 0xaf, 0x22]));
    refused(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]));
    refused(Buffer.from('{"a":1}', 'utf16le'));
    refused(Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('{"a":1}', 'utf16le')]));
    refused(Buffer.concat([Buffer.from([0xef, 0xbb]), Buffer.from('{}')]));
  });

  it('stays withheld', () => {
    const masker = new JsonMasker(bodyRules([]), { masks: realMasks(), limits: bodyLimits });
    expect(() => masker.write(Buffer.from('[1,}'))).toThrow(Refusal);
    expect(() => masker.write(Buffer.from('{"ssn":1}'))).toThrow(Refusal);
    expect(() => masker.end()).toThrow(Refusal);
  });

  it('is what the language itself would not parse, and nothing else', () => {
    const alphabet = [
      ...'{}[]:,"\\/ \n0123.eE+-truefalsn',
      '"a"',
      '\\u0041',
      '\\ud800',
      'é',
      'true',
      'null',
      '"ssn":',
      '\u0001',
      '\ufeff',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...alphabet), { maxLength: 14 }), (parts) => {
        const text = parts.join('');
        let valid = true;
        try {
          JSON.parse(text.replace(/^\ufeff/, ''));
        } catch {
          valid = false;
        }
        let accepted = true;
        try {
          masked(text, []);
        } catch {
          accepted = false;
        }
        if (/^\ufeff?[ \n]*$/.test(text)) return; // nothing, which holds nothing
        expect(accepted).toBe(valid);
      }),
      { numRuns: 3000 },
    );
  });

  it('is also what is nested too deeply, and no more than that', () => {
    expect(masked(`${'['.repeat(512)}1${']'.repeat(512)}`, [])).toContain('1');
    refused(`${'['.repeat(513)}${']'.repeat(513)}`);
    refused('{"a":'.repeat(600));
  });
});

describe('an empty body', () => {
  it('holds nothing, and passes', () => {
    expect(masked('')).toBe('');
  });
});

describe('several documents', () => {
  it('are masked each by itself', () => {
    const text = '{"ssn":1}\n{"ssn":2}\r\n\n3\n[4]\n"x" true';
    const shown = text.replace(/"ssn":\d/g, '"ssn":"[masked:pii.ssn]"');
    expect(masked(text, [{ path: '$.ssn', classification: 'pii.ssn' }], realMasks(), 'lines')).toBe(shown);
    expect(masked('', [ssn], realMasks(), 'lines')).toBe('');
    expect(masked('1\n', [{ path: '$', classification: 'x' }], realMasks(), 'lines')).toBe('"[masked:x]"\n');
  });

  it('may each have a record separator in front in a sequence, and there only', () => {
    const text = '\x1e{"ssn":1}\n\x1e\x1e"a"\n\x1e2';
    expect(masked(text, [ssn], realMasks(), 'sequence')).toBe(text.replace('1}', '"[masked:pii.ssn]"}'));
    for (const documents of ['one', 'lines'] as const)
      expect(() => masked(text, [ssn], realMasks(), documents)).toThrow(Refusal);
    expect(() => masked('\x1e{"a":\x1e1}', [ssn], realMasks(), 'sequence')).toThrow(Refusal);
    expect(() => masked('\x1e[\x1e', [ssn], realMasks(), 'sequence')).toThrow(Refusal);
  });

  it('must be complete', () => {
    expect(() => masked('{}\n{"a":', [ssn], realMasks(), 'lines')).toThrow(Refusal);
    expect(() => masked('{}\n{', [ssn], realMasks(), 'lines')).toThrow(Refusal);
  });
});

describe('long values', () => {
  const long = 1_500_000;
  const sizes = [70_001, 1, 65_536, 13];
  const inPieces = (text: string, rules: readonly BodyRule[] = [], masks: Masks = realMasks()) =>
    shownOf(
      new JsonMasker(bodyRules(rules), { masks, limits: bodyLimits }),
      cutInto(Buffer.from(text), sizes),
    ).toString();

  it('pass in pieces, with everything in them found wherever it stands', () => {
    const marks = [
      'ann@example.com',
      '4111 1111 1111 1111',
      'password=hunter2',
      `eyJhbGciOiJub25lIn0.${'eyJ'.repeat(1200)}.abc`,
    ];
    let text = '';
    for (let i = 0; text.length < long; i++) text += `${'lorem ipsum '.repeat(i % 97)}é ${marks[i % marks.length]} ,`;
    const shown = inPieces(JSON.stringify({ a: text, ssn: 1 }), [ssn]);
    expect(shown.length).toBe(JSON.stringify({ a: text, ssn: '[masked:pii.ssn]' }).length);
    expect(shown).not.toMatch(/ann@|4111|hunter|eyJ/);
    expect(shown).toContain('lorem ipsum é');
    expect(shown.endsWith('"ssn":"[masked:pii.ssn]"}')).toBe(true);
  });

  it('pass with escapes in them', () => {
    const text = `${'\\n\\u00e9x\\ud83d\\ude00'.repeat(60_000)}`;
    expect(inPieces(`["${text}"]`)).toBe(`["${text}"]`);
    const hidden = `ann\\u0040example.com ${'\\n'.repeat(40_000)}`.repeat(20);
    const shown = inPieces(`["${hidden}"]`);
    expect(JSON.parse(shown)).toEqual([JSON.parse(`"${hidden}"`).replaceAll('ann@example.com', '*'.repeat(15))]);
  });

  it('show the same in pieces of any size', () => {
    const text = JSON.stringify([`${'lorem ipsum '.repeat(125_000)}${'x@y.example '.repeat(1000)}`]);
    const shown = [[65_536], [1_000_003], [64, 5000]].map((pieces) =>
      shownOf(
        new JsonMasker(bodyRules([]), { masks: realMasks(), limits: bodyLimits }),
        cutInto(Buffer.from(text), pieces),
      ).toString(),
    );
    expect(new Set(shown).size).toBe(1);
    expect(shown[0]).not.toContain('@');
  });

  it('are withheld where they are classified, are names, or numbers', () => {
    expect(() => inPieces(`{"ssn":"${'x'.repeat(long)}"}`, [ssn])).toThrow('too long');
    expect(() => inPieces(`{"${'x'.repeat(long)}":1}`)).toThrow('too long');
    expect(() => inPieces(`[${'1'.repeat(long)}]`)).toThrow('too many digits');
  });

  it('are checked like short ones', () => {
    expect(() => inPieces(`["${'x'.repeat(long)}\n"]`)).toThrow(Refusal);
    expect(() => inPieces(`["${'x'.repeat(long)}\\q"]`)).toThrow(Refusal);
    expect(() => inPieces(`["${'x'.repeat(long)}`)).toThrow(Refusal);
    const bytes = Buffer.from(`["${'x'.repeat(long)}"]`);
    bytes[1_200_000] = 0xff;
    expect(() => masked(bytes, [])).toThrow('UTF-8');
  });

  it('are cut nowhere inside a character', () => {
    const text = `["${'é😀漢'.repeat(170_000)}"]`;
    expect(inPieces(text)).toBe(text);
  });
});

describe('any document', () => {
  const name = fc.constantFrom('ssn', 'a', 'b', 'email', 'x y', 'ß', '');
  const { json } = fc.letrec<{ json: Json }>((tie) => ({
    json: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.oneof(
        fc.constant(null),
        fc.boolean(),
        fc.integer(),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.string({ unit: 'binary' }),
        fc.string(),
      ),
      fc.array(tie('json'), { maxLength: 5 }),
      fc.dictionary(name, tie('json'), { maxKeys: 5, noNullPrototype: true }),
    ),
  }));
  const step = fc.oneof(
    name.map((text) => `[${JSON.stringify(text)}]`),
    fc.constantFrom('.*', '[*]', '[0]', '[1]', '..ssn', '.ssn', '..[0]', '..*', '.a', '..["x y"]'),
  );
  const rule = fc.record({
    path: fc.array(step, { maxLength: 4 }).map((steps) => `$${steps.join('')}`),
    classification: fc.constantFrom('one', 'two'),
  });

  it('comes out with exactly the named values replaced', () => {
    const plain = realMasks({}, false);
    fc.assert(
      fc.property(
        json,
        fc.array(rule, { maxLength: 3 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(2),
        (value, rules, size, indent) => {
          // One classification decides per value in the reference: that of the first rule that begins furthest out.
          const same = rules.map(({ path }) => ({ path, classification: 'one' }));
          const text = JSON.stringify(value, null, indent).replace(/[\u0080-\uffff]/g, (c) => {
            const code = c.charCodeAt(0);
            return code % 2 === 0 || !c.isWellFormed() ? `\\u${code.toString(16).padStart(4, '0')}` : c;
          });
          const masker = new JsonMasker(bodyRules(same), { masks: plain, limits: bodyLimits });
          const shown = shownOf(masker, cutInto(Buffer.from(text), [size])).toString();
          expect(JSON.parse(shown)).toEqual(maskedByReference(JSON.parse(text), same));
          if (rules.length === 0) expect(shown).toBe(text);
        },
      ),
      { numRuns: 800 },
    );
  });
});
