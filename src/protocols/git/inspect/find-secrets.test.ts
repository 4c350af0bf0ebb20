import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSecretSearch } from './find-secrets.ts';
import { maskDiff, maskSecrets } from './mask-secrets.ts';
import { SecretScanner } from './secret-scanner.ts';

const corpus = JSON.parse(readFileSync(new URL('testdata/secrets.json', import.meta.url), 'utf8')) as {
  readonly secrets: readonly (readonly [string, readonly string[]])[];
  readonly benign: readonly string[];
};
const search = createSecretSearch();

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const alphabets: Readonly<Record<string, string>> = {
  alnum: `${letters}${letters.toLowerCase()}0123456789`,
  base64: `${letters}${letters.toLowerCase()}0123456789+/`,
  base32: `${letters}234567`,
  hex: '0123456789abcdef',
  digit: '0123456789',
  mixed: `${letters.slice(0, 8)}${letters.toLowerCase().slice(8, 16)}23456789!#*`,
};

/** Fills a corpus text in. The generator is fixed, so that a failure can be looked at again. */
function filled(pieces: readonly string[], seed: number): string {
  let state = seed * 2654435761 + 12345;
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % below;
  };
  return pieces.join('').replace(/\{([a-z0-9]+):(\d+)\}/g, (_, kind: string, length: string) => {
    const alphabet = alphabets[kind]!;
    let text = Array.from({ length: Number(length) }, () => alphabet[next(alphabet.length)]!).join('');
    // A password has something of each.
    if (kind === 'mixed') text = `k7R${text.slice(3)}`;
    return text;
  });
}

describe('the search for secrets', () => {
  it.each(corpus.secrets.map(([rule, pieces]) => [rule, pieces.join('|'), pieces] as const))(
    'finds %s in %j',
    (rule, _, pieces) => {
      for (let seed = 1; seed <= 20; seed++) {
        const text = filled(pieces, seed);
        for (const around of [text, `x = 1\n${text}\ny = 2\n`, `"${text}"`]) {
          const found = search.find(around, true).map((hit) => hit.rule);
          expect([around, found.length > 0 && found.includes(rule)]).toEqual([around, true]);
        }
      }
    },
  );

  it('finds nothing else: at least sixty texts that only look like it', () => {
    expect(corpus.benign.length).toBeGreaterThanOrEqual(60);
    const wrong = corpus.benign.flatMap((text) => search.find(text, true).map(({ rule }) => [text, rule]));
    expect(wrong).toEqual([]);
  });

  it('names what is secret, and only that', () => {
    const text = filled(['postgres', '://app:{mixed:16}@db/shop pass', 'word = "{mixed:14}"'], 3);
    const found = search.find(text, true).map(({ start, end }) => text.slice(start, end));
    expect(text).toContain(`app:${found[0]}@db`);
    expect(text.endsWith(`"${found[1]}"`)).toBe(true);
    expect(found).toHaveLength(2);
  });

  it('tells one secret once', () => {
    const text = filled(['API_TO', 'KEN="gh', 'p_{alnum:36}"'], 5);
    expect(search.find(text, true).map(({ rule }) => rule)).toEqual(['github-token']);
  });

  it('finds the same in a stream, wherever it is cut, with the right lines', () => {
    const texts = corpus.secrets.map(([, pieces], i) => filled(pieces, i + 1));
    const filler = 'some line of code that says nothing much\n'.repeat(400);
    const whole = texts.map((text) => `${filler}${text}\n`).join('');
    const lines = search.find(whole, true).map(({ rule, start }) => [rule, whole.slice(0, start).split('\n').length]);
    expect(lines.length).toBeGreaterThan(70);
    for (const step of [997, 65_536, 100_003, whole.length]) {
      const scanner = new SecretScanner(search, true);
      for (let at = 0; at < whole.length; at += step) scanner.push(whole.slice(at, at + step));
      expect(scanner.end().map(({ rule, line }) => [rule, line])).toEqual(lines);
    }
  });

  it('finds the same at every cut around a window', () => {
    const secret = filled(['gh', 'p_{alnum:36}'], 8);
    for (let shift = 0; shift < 200; shift += 7) {
      const scanner = new SecretScanner(search, true);
      scanner.push(`${' '.repeat(65_536 - 100 + shift)}${secret} ${'.'.repeat(20_000)}`);
      scanner.push('x'.repeat(70_000));
      expect(scanner.end().map((hit) => hit.secret)).toEqual([secret]);
    }
  });

  it('masks what it finds, nothing more, also over the lines of a diff', () => {
    const key = filled(['-----BEGIN PRIV', 'ATE KEY-----\n{base64:64}\n{base64:64}\n-----END PRIVATE KEY-----'], 2);
    const diff = `--- a/k\n+++ b/k\n@@ -0,0 +1,4 @@\n${key.replace(/^/gm, '+')}\n context\n`;
    const masked = maskDiff(search, diff);
    for (const line of key.split('\n').slice(1, 3)) expect(masked).not.toContain(line);
    expect(masked).toHaveLength(diff.length);
    expect(masked.split('\n').map((line) => line[0])).toEqual(diff.split('\n').map((line) => line[0]));
    expect(masked).toContain('\n context\n');
    expect(maskSecrets(search, 'nothing here')).toBe('nothing here');
  });

  it('takes any bytes', () => {
    const piece = fc.oneof(
      fc.constantFrom(...corpus.secrets.flatMap(([, pieces]) => pieces), 'password', '://', '=', '"', ':', '\n'),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = Buffer.from(pieces.join('')).toString('latin1');
        let at = 0;
        for (const { start, end } of search.find(text, true)) {
          expect(start >= at && end > start && end <= text.length).toBe(true);
          at = end;
        }
        expect(maskSecrets(search, text)).toHaveLength(text.length);
      }),
      { numRuns: 300 },
    );
  });
});
