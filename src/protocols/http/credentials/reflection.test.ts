import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { reflectionGuard, spellings } from './reflection.ts';

const secret = 'sk_live_a/b+c="<&>\' é 42';

/** Bytes as a caller sees them, given in pieces. */
function shown(secrets: readonly string[], pieces: readonly Buffer[]): { bytes: Buffer; count: number } {
  const guard = reflectionGuard(spellings(secrets));
  const filter = guard.open();
  const out = pieces.map((piece) => Buffer.from(filter.write(Buffer.from(piece))));
  return { bytes: Buffer.concat([...out, filter.end()]), count: guard.count };
}

const ways: readonly (readonly [string, (text: string) => string])[] = [
  ['as it is', (text) => text],
  ['percent-encoded', encodeURIComponent],
  [
    'percent-encoded in small letters',
    (text) => encodeURIComponent(text).replaceAll(/%[0-9A-F]{2}/g, (triple) => triple.toLowerCase()),
  ],
  ['as a form field', (text) => new URLSearchParams({ a: text }).toString()],
  ['in JSON', (text) => JSON.stringify({ token: text })],
  ['in JSON with escaped slashes', (text) => JSON.stringify(text).replaceAll('/', '\\/')],
  [
    'in HTML',
    (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
  ],
  ['in Base64', (text) => Buffer.from(text).toString('base64')],
  ['in Base64 for URLs', (text) => Buffer.from(text).toString('base64url')],
  ['in Base64 behind one byte', (text) => Buffer.from(`u${text}`).toString('base64')],
  ['in Base64 between others', (text) => Buffer.from(`user:${text}!!`).toString('base64')],
  ['in Base64 behind two bytes', (text) => Buffer.from(`ab${text}xyz`).toString('base64')],
];

describe('a secret that a target sends back', () => {
  it.each(ways)('%s is overwritten, and nothing else', (_, spell) => {
    const text = `{"echo": "${spell(secret)}", "rest": "stays"}`;
    const { bytes, count } = shown([secret], [Buffer.from(text)]);
    expect(count).toBeGreaterThan(0);
    expect(bytes).toHaveLength(Buffer.byteLength(text));
    expect(bytes.toString()).toContain('", "rest": "stays"}');
    expect(bytes.toString()).toMatch(/^\{"echo": ".*\*{20}/);
    // Whoever decodes what is left finds none of it but what the neighbours in Base64 share.
    const left = bytes.toString().slice(10).replaceAll('*', '');
    expect(left).not.toContain('sk_live');
    expect(Buffer.from(left, 'base64').toString('latin1')).not.toContain('live');
  });

  it.each(ways)('%s is found wherever the bytes are cut', (_, spell) => {
    const text = Buffer.from(`.. ${spell(secret)} ..`);
    const whole = shown([secret], [text]).bytes;
    for (let at = 0; at <= text.length; at++)
      expect(shown([secret], [text.subarray(0, at), text.subarray(at)]).bytes.equals(whole)).toBe(true);
    expect(
      shown(
        [secret],
        Array.from(text, (byte) => Buffer.from([byte])),
      ).bytes.equals(whole),
    ).toBe(true);
  });

  it('is found in fields, and their names stay', () => {
    const guard = reflectionGuard(spellings([secret]));
    const url = `https://target.example/?api_key=${encodeURIComponent(secret)}&x=1`;
    expect(guard.fields(['location', url, 'x-a', 'plain'])).toEqual([
      'location',
      expect.stringMatching(/^https:\/\/target\.example\/\?api_key=\*+&x=1$/),
      'x-a',
      'plain',
    ]);
    expect(guard.count).toBe(1);
  });

  it('holds nothing back that could not be the beginning of one', () => {
    const filter = reflectionGuard(spellings([secret])).open();
    expect(filter.write(Buffer.from('data: {"a": 1}\n\n')).toString()).toBe('data: {"a": 1}\n\n');
    expect(filter.write(Buffer.from('ends in sk_li')).toString()).toBe('ends in ');
    expect(filter.write(Buffer.from('ve but goes on')).toString()).toBe('sk_live but goes on');
    expect(filter.end()).toHaveLength(0);
  });

  it('is nothing where it is too short to tell from text', () => {
    expect(shown(['abc'], [Buffer.from('abcabc')])).toEqual({ bytes: Buffer.from('abcabc'), count: 0 });
  });

  it('is overwritten exactly where a simple search finds it, in any text and pieces', () => {
    const alphabet = fc.constantFrom('a', 'b');
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: alphabet, minLength: 1 }), { maxLength: 12 }),
        fc.string({ unit: alphabet, minLength: 4, maxLength: 7 }),
        (pieces, word) => {
          const text = pieces.join('');
          // The simple search on the whole text; at a border the filter may find an earlier one, never leave one.
          const found = shown(
            [word],
            pieces.map((piece) => Buffer.from(piece)),
          ).bytes.toString();
          expect(found).toHaveLength(text.length);
          expect(found).not.toContain(word);
          for (let at = 0; at < text.length; at++) expect([text[at], '*']).toContain(found[at]);
          if (!text.includes(word)) expect(found).toBe(text);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
