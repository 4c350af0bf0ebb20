import { describe, expect, it } from 'vitest';
import type { Masks } from '../../gateway/protocol.ts';
import { Refusal } from '../../model/errors.ts';
import { planBody } from './body-plan.ts';
import { realMasks } from './masks.fixture.ts';
import { openBodyMasker } from './open-body-masker.ts';
import { bodyRules, noRules } from './rules.ts';

const rules = bodyRules([{ path: '$..ssn', classification: 'pii.ssn' }]);

function open(type: string, masks: Masks = realMasks(), applying = rules) {
  return openBodyMasker(planBody({ status: 200, fields: ['content-type', type] }, applying, true), masks);
}

describe('a body of 300 MB', () => {
  it('needs no more memory than one of 30', () => {
    const row =
      '{"id":1,"name":"Customer 12345","ssn":"123-45-6789","note":"parcel left at the door","tags":["a","b",null,1.5]},';
    const piece = Buffer.from(row.repeat(10_000));
    const masker = open('application/json');
    const used = () => {
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    let shown = masker.write(Buffer.from('[')).length;
    let sent = 0;
    let early = 0;
    for (; sent < 300e6; sent += piece.length) {
      shown += masker.write(piece).length;
      if (sent < 30e6) early = Math.max(early, used());
      else expect(used()).toBeLessThan(early + 100e6);
    }
    shown += masker.write(Buffer.from('0]')).length + masker.end().length;
    expect(shown).toBe(
      3 + sent + (sent / row.length) * '[masked:pii.ssn]'.length - (sent / row.length) * '123-45-6789'.length,
    );
  });
});

describe('hostile bodies', () => {
  const cases: readonly (readonly [string, string, string, number])[] = [
    ['one long string in single bytes', 'application/json', `["${'x'.repeat(300_000)}"]`, 1],
    ['one very long string', 'application/json', `["${'x@y.'.repeat(150_000)}"]`, 1000],
    ['escapes only', 'application/json', `["${'\\u0041'.repeat(100_000)}"]`, 100],
    ['a number without an end', 'application/json', '1'.repeat(300_000), 10],
    ['nesting', 'application/json', `${'[{"a":'.repeat(255)}1${'}]'.repeat(255)}`, 1],
    ['keys that begin and do not end', 'text/plain', '-----BEGIN PRIVATE KEY-----\n'.repeat(10_000), 1000],
    ['a key that does not end', 'text/plain', `-----BEGIN PRIVATE KEY-----\n${'A\n'.repeat(200_000)}`, 1000],
    ['a line without an end', 'text/plain', 'x@y.'.repeat(150_000), 1000],
    ['short lines in single bytes', 'text/plain', 'a\n'.repeat(50_000), 1],
    ['an event without an end', 'text/event-stream', `data: ${'x'.repeat(900_000)}`, 100],
    ['events of nothing', 'text/event-stream', '\n'.repeat(100_000), 7],
    ['a row without an end', 'text/csv', `a,b\n1,"${'""'.repeat(300_000)}`, 100],
    ['columns', 'text/csv', `${'a,'.repeat(50_000)}b\n${'1,'.repeat(50_000)}2\n`, 1000],
    ['fields', 'application/x-www-form-urlencoded', 'ssn=1&'.repeat(20_000), 1000],
    ['a field without an end', 'application/x-www-form-urlencoded', `a=${'%41'.repeat(300_000)}`, 100],
    ['delimiters', 'multipart/mixed; boundary=b', '--b\r\n\r\nx\r\n'.repeat(10_000), 1e9],
    ['what is nearly a delimiter', 'multipart/mixed; boundary=b', `--b\r\n\r\n${'\n--b'.repeat(20_000)}`, 1e9],
    ['a head without an end', 'multipart/mixed; boundary=b', `--b\r\n${'a'.repeat(16_000)}`, 1],
  ];

  it.each(cases)('are searched about once: %s', (_, type, body, size) => {
    for (const applying of [rules, noRules]) {
      const real = realMasks();
      let searched = 0;
      const masks: Masks = {
        method: (classification) => real.method(classification),
        text: (classification, original) => real.text(classification, original),
        masked: (...noted) => real.masked(...noted),
        scrub(bytes, values) {
          searched += bytes.length;
          return real.scrub(bytes, values);
        },
      };
      const bytes = Buffer.from(body);
      try {
        const masker = open(type, masks, applying);
        for (let at = 0; at < bytes.length; at += size) masker.write(bytes.subarray(at, at + size));
        masker.end();
      } catch (error) {
        expect(error).toBeInstanceOf(Refusal);
      }
      expect(searched).toBeLessThan(bytes.length * 1.2 + 100_000);
    }
  });
});
