import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bodyLimits } from './masker.ts';
import { realMasks, watchedMasks } from './masks.fixture.ts';
import { cutInto, shownOf, splits } from './pieces.fixture.ts';
import { TextMasker } from './text-masker.ts';

function shown(text: string | Buffer, sizes: readonly number[] = [1 << 30], masks = realMasks()): Buffer {
  return shownOf(new TextMasker({ masks, limits: bodyLimits }), cutInto(Buffer.from(text), sizes));
}

const key = `-----BEGIN RSA PRIVATE KEY-----\n${'MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn\n'.repeat(25)}-----END RSA PRIVATE KEY-----\n`;

describe('text', () => {
  it.each([
    'call 415-555-0123\r\nor ann@example.com\n',
    'card 4111 1111 1111 1111, again 4111-1111-1111-1111\n\n5555555555554444',
    `before\n${key}after postgres://app:hunter2@db/x\n`,
    'cut off: -----BEGIN PRIVATE KEY-----\nMIIE\nAAAA\n',
    'caf\u00e9 password=p\u00e4ss; \ud83d\ude00\n',
  ])('is the same in pieces of any size: %j', (text) => {
    const whole = shown(text).toString();
    expect(whole).not.toMatch(/0123|ann@|1111|4444|MIIE|hunter|p\u00e4ss/);
    for (const pieces of splits(Buffer.from(text))) {
      expect(shownOf(new TextMasker({ masks: realMasks(), limits: bodyLimits }), pieces).toString()).toBe(whole);
    }
  });

  it('with nothing in it stays as it is, whatever bytes it has', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 50 }), (bytes, size) => {
        const quiet = Buffer.from(bytes.filter((byte) => byte < 0x30 || byte > 0x7a));
        expect(shown(quiet, [size]).equals(quiet)).toBe(true);
      }),
    );
  });

  it('is as long as it was, whatever is found', () => {
    const parts = fc.constantFrom(
      'ann@example.com',
      'password=x\u00e9y',
      '4111 1111 1111 1111',
      '\n',
      ' ',
      '\u00e9',
      key,
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 30 }), fc.integer({ min: 1, max: 500 }), (text, size) => {
        const bytes = Buffer.from(text.join(' '));
        expect(shown(bytes, [size]).length).toBe(bytes.length);
      }),
    );
  });

  it('is shown line by line', () => {
    const masker = new TextMasker({ masks: realMasks(), limits: bodyLimits });
    expect(masker.write(Buffer.from('one\ntw')).toString()).toBe('one\n');
    expect(masker.write(Buffer.from('o\nann@example')).toString()).toBe('two\n');
    expect(masker.write(Buffer.from('.com\n')).toString()).toBe('***************\n');
    expect(masker.end().toString()).toBe('');
  });

  it('with long lines is searched without a gap, wherever pieces and blocks end', () => {
    const marks = [
      'ann@example.com',
      '4111 1111 1111 1111',
      'password=hunter2',
      `eyJhbGciOiJub25lIn0.${'eyJ'.repeat(1200)}.abc`,
      'postgres://app:hunter2@db',
    ];
    for (const filler of ['lorem ipsum ', '<td>', 'QUJD']) {
      let text = '';
      for (let i = 0; text.length < 250_000; i++) text += `${filler.repeat(i % 83)} ${marks[i % marks.length]} `;
      const whole = shown(text).toString();
      expect(whole).toHaveLength(text.length);
      expect(whole).not.toMatch(/ann@|4111|hunter|eyJ/);
      expect(shown(text, [65_536]).toString()).toBe(whole);
      expect(shown(text, [10_007, 1]).toString()).toBe(whole);
    }
  });

  it('has no place in a long line where a secret is missed', () => {
    const secret = 'password=hunter2';
    for (let shift = 0; shift < 40; shift += 3) {
      for (const around of [65_536, 65_536 + 4160, 65_536 - 1024]) {
        const text = `${'x '.repeat(around / 2 - 20)}${'x'.repeat(shift)} ${secret} ${'y '.repeat(60_000)}`;
        expect(shown(text, [50_000]).toString()).toBe(text.replace('hunter2', '*******'));
      }
    }
  });

  it('holds a private key over lines until its end, and gives up on one without', () => {
    const filler = 'lorem ipsum\n'.repeat(20_000);
    expect(shown(filler + key + filler, [1000]).toString()).toBe(filler + key.replace(/[^\n]/g, '*') + filler);
    const open = `-----BEGIN PRIVATE KEY-----\n${'MIIE\n'.repeat(2000)}`;
    expect(shown(`${open}!\n${filler}`, [999]).toString()).toBe(`${open.replace(/[^\n]/g, '*')}!\n${filler}`);
  });

  it('never shows part of a key before a long line', () => {
    const text = `-----BEGIN PRIVATE KEY-----\nMIIE\n${'A'.repeat(100_000)}`;
    expect(shown(text, [3000]).toString()).not.toContain('MIIE');
  });

  it('counts what it finds in lines once', () => {
    const masks = watchedMasks();
    const fields: string[] = [];
    const counting = {
      ...masks,
      scrub: (bytes: Buffer, values?: (bytes: Buffer) => ArrayLike<number>) => {
        const found = masks.scrub(bytes, values);
        for (let i = 0; i < found; i++) fields.push('found');
        return found;
      },
    };
    shownOf(
      new TextMasker({ masks: counting, limits: bodyLimits }),
      cutInto(Buffer.from('a ann@example.com b\n'.repeat(5000)), [777]),
    );
    expect(fields).toHaveLength(5000);
  });
});
