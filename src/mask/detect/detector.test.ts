import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDetector, oneValue } from './detector.ts';
import { type Kind, kinds } from './kinds.ts';
import { regexpFinder } from './regexp.ts';
import { samples } from './samples.ts';

const detectors = [createDetector(), createDetector({ finder: regexpFinder() })];

it('runs on SIMD where the engine has it', () =>
  expect(detectors.map(({ engine }) => engine)).toEqual(['simd', 'regexp']));

describe.each(detectors)('with the $engine finder', (detector) => {
  function scrubbed(text: string): { readonly text: string; readonly found: readonly Kind[] } {
    const bytes = Buffer.from(text);
    const found: Kind[] = [];
    detector.scrub(bytes, oneValue, (kind, count) => found.push(...Array<Kind>(count).fill(kind)));
    return { text: bytes.toString(), found };
  }

  it.each(samples)('finds a %s: %s', (kind, sample) => {
    for (const [before, after] of [
      ['', ''],
      ['see ', ' for it'],
      ['"', '",'],
      ['=', ';'],
      ['é', 'é'],
    ] as const) {
      const { text, found } = scrubbed(before + sample + after);
      expect(text).toBe(before + '*'.repeat(sample.length) + after);
      expect(found).toEqual([kind]);
    }
  });

  it.each([
    ['postgres://app:s3cret@db.internal/shop', 'postgres://app:******@db.internal/shop'],
    ['postgres://app:p@ss@db.internal/shop', 'postgres://app:****@db.internal/shop'],
    ['postgres://app:p/ss@db.internal/shop', 'postgres://app:****@db.internal/shop'],
    ['mongodb+srv://u:hunter2@c.example.com', 'mongodb+srv://u:*******@c.example.com'],
    ['redis://:hunter2@cache:6379', 'redis://:*******@cache:6379'],
    ['host=db user=app password=hunter2 port=5432', 'host=db user=app password=******* port=5432'],
    ["dbname=x password='two words' a", "dbname=x password='*********' a"],
    ['Server=db;User Id=sa;Password=hunter2;Encrypt=yes', 'Server=db;User Id=sa;Password=*******;Encrypt=yes'],
    ['Driver=x;PWD={a;b};y', 'Driver=x;PWD={***};y'],
    [
      'jdbc:postgresql://db/x?user=a&password=hunter2&ssl=true',
      'jdbc:postgresql://db/x?user=a&password=*******&ssl=true',
    ],
    ['PGPASSWORD=hunter2 psql', 'PGPASSWORD=******* psql'],
  ])('hides only the password of %s', (text, expected) => {
    expect(scrubbed(text)).toEqual({ text: expected, found: ['password'] });
  });

  it.each([
    '2026-01-02 03:04:05.678901+00',
    '1767312245678', // ms since the epoch
    '1767312245678901234', // ns
    '4111111111111112', // Luhn
    '4111-1111 1111-1111', // mixed separators
    '411111111111111', // 15 digits
    '41111111111111111', // 17 digits
    '94111111111111111', // more digits in front
    '0.4111111111111111',
    '12.4111111111111111',
    '4111111111111111.5',
    '0000000000000000',
    '9999999999999995',
    '000-12-3456',
    '666-12-3456',
    '900-12-3456',
    '123-00-4567',
    '123-45-0000',
    '1123-45-6789',
    '123-45-67890',
    '123-45-6789-1',
    '5-123-45-6789',
    '123 45 6789',
    '115-555-0123',
    '415-155-0123',
    '415-555-01234',
    '2415-555-0123',
    '7-415-555-0123',
    '415-555.0123',
    '415 555 012',
    '+1234567',
    '+0123456789',
    '+1234567890123456',
    'x+14155550123',
    'DE89370400440532013001',
    'XX89370400440532013000',
    'DE8937040044053201300',
    'DE893704004405320130001',
    'ADE89370400440532013000',
    'de89370400440532013000',
    'user@localhost',
    '@example.com',
    'a@b.c',
    'a@-',
    'ssh://git@github.com/x',
    'AKIAIOSFODNN7EXAMPL',
    'XAKIAIOSFODNN7EXAMPLE',
    'ghp_short',
    'sk-learn and task-force-one',
    'sk-abcdefghijabcdefghij',
    'glpat-short',
    'npm_config_registry',
    'AIzaTooShort',
    'SG.abc.def',
    'eyJhbGciOiJIUzI1NiJ9',
    'eyJhbGciOiJIUzI1NiJ9.short.x',
    'they.eyJ',
    '-----BEGIN CERTIFICATE-----MIIB-----END CERTIFICATE-----',
    '-----BEGIN PUBLIC KEY-----MIIB-----END PUBLIC KEY-----',
    '----------------------------------------',
    'https://example.com:8443/a/b@c',
    'https://example.com/a?x=1',
    'postgres://app@db/shop',
    'postgres://app:@db/shop',
    'third=1',
    'password=',
    'password= x',
    'password=***',
    '550e8400-e29b-41d4-a716-446655440000',
    '12345678-1234-1234-1234-123456789012',
  ])('leaves %s alone', (text) => expect(scrubbed(text)).toEqual({ text, found: [] }));

  it('keeps the line ends of a PEM key, and takes what follows a cut one', () => {
    const key = '-----BEGIN PRIVATE KEY-----\nMIIEvQ\r\nIBADAN==\n';
    const hidden = key.replace(/[^\r\n]/g, '*');
    expect(scrubbed(`a ${key}-----END PRIVATE KEY-----\nb`).text).toBe(`a ${hidden}${'*'.repeat(25)}\nb`);
    expect(scrubbed(`a ${key}`).text).toBe(`a ${hidden}`);
  });

  it('finds numbers next to others', () => {
    expect(scrubbed('+4930123456 4111111111111111').text).toBe('*********** ****************');
    expect(scrubbed('4111 1111 1111 1111 12/26 737').text).toBe('******************* 12/26 737');
    expect(scrubbed('1234 4111 1111 1111 1111').text).toBe('1234 *******************');
    expect(scrubbed('12 5555555555554444-4111111111111111').text).toBe('12 ****************-****************');
  });

  it('crosses no NUL and no control byte', () => {
    for (const cut of ['\0', '\x01', '\x1f', '\t', '\n', '\x7f']) {
      for (const [kind, sample] of samples) {
        if (kind === 'private-key' || kind === 'password' || kind === 'email' || kind === 'api-key' || kind === 'jwt')
          continue;
        const text = sample.slice(0, 6) + cut + sample.slice(6);
        expect(scrubbed(text).found.filter((other) => other === kind)).toEqual([]);
      }
    }
  });

  it('finds nothing in what it has scrubbed', () => {
    const sample = fc.constantFrom(...samples.map(([, text]) => text));
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 8 }), fc.constantFrom(' ', ', ', '\n', '"'), (parts, glue) => {
        const once = scrubbed(parts.join(glue)).text;
        expect(scrubbed(once)).toEqual({ text: once, found: [] });
      }),
    );
  });

  it('never changes a length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        const bytes = Buffer.concat([noise, Buffer.from('123-45-6789'), noise]);
        const before = bytes.length;
        detector.scrub(bytes, oneValue);
        expect(bytes.length).toBe(before);
      }),
    );
  });
});

it('looks only for the kinds it was made for, and not for those ignored', () => {
  const all = Buffer.from(samples.map(([, sample]) => sample).join(' | '));
  for (const kind of kinds.filter((k) => k !== 'password')) {
    const found: Kind[] = [];
    createDetector({ kinds: [kind] }).scrub(Buffer.from(all), oneValue, (k) => found.push(k));
    expect(found).toEqual([kind]);
    const others: Kind[] = [];
    createDetector().scrub(
      Buffer.from(all),
      oneValue,
      (k) => others.push(k),
      (k) => k === kind,
    );
    expect(others).toEqual(kinds.filter((k) => k !== kind && k !== 'password'));
  }
});

it('can leave the last four digits of a card, and only of a card', () => {
  const bytes = Buffer.from('4111-1111-1111-1111 123-45-6789');
  createDetector({ keepCardTail: true }).scrub(bytes, oneValue);
  expect(bytes.toString()).toBe('***************1111 ***********');
});

it('hands over the originals, each after its length', () => {
  const seen: [Kind, number, string][] = [];
  createDetector().scrub(Buffer.from('123-45-6789 a@example.com 899-99-9999'), oneValue, (kind, count, originals) =>
    seen.push([kind, count, originals.toString('latin1')]),
  );
  expect(seen).toEqual([
    ['ssn', 2, '\0\0\0\x0b123-45-6789\0\0\0\x0b899-99-9999'],
    ['email', 1, '\0\0\0\x0da@example.com'],
  ]);
});
