import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../../model/errors.ts';
import { planBody } from './body-plan.ts';
import type { BodyMasker } from './masker.ts';
import { realMasks, watchedMasks } from './masks.fixture.ts';
import { openBodyMasker } from './open-body-masker.ts';
import { shownOf, splits } from './pieces.fixture.ts';
import { bodyRules, noRules } from './rules.ts';

interface Attack {
  readonly name: string;
  readonly type: string;
  readonly body?: string;
  readonly hex?: string;
  readonly shown?: string;
  readonly shownHex?: string;
  readonly withheld?: boolean;
}

const attacks = JSON.parse(readFileSync(new URL('testdata/attacks.json', import.meta.url), 'utf8')) as Attack[];
const rules = bodyRules([{ path: '$..ssn', classification: 'pii.ssn' }]);

function open(type: string, applying = rules, status = 200): BodyMasker {
  const fields = type === '' ? [] : ['content-type', type];
  return openBodyMasker(planBody({ status, fields }, applying, true), realMasks());
}

describe('a reply with a classified value', () => {
  it.each(attacks.filter(({ withheld }) => withheld !== true))('is shown masked: $name', (attack) => {
    const bytes = attack.hex === undefined ? Buffer.from(attack.body!) : Buffer.from(attack.hex, 'hex');
    const expected = attack.shownHex === undefined ? Buffer.from(attack.shown!) : Buffer.from(attack.shownHex, 'hex');
    for (const pieces of splits(bytes)) {
      expect(shownOf(open(attack.type), pieces).toString('latin1')).toBe(expected.toString('latin1'));
    }
  });

  it.each(attacks.filter(({ withheld }) => withheld === true))('is withheld: $name', (attack) => {
    const bytes = attack.hex === undefined ? Buffer.from(attack.body!) : Buffer.from(attack.hex, 'hex');
    for (const pieces of splits(bytes)) {
      const shown: Buffer[] = [];
      const show = () => {
        const masker = open(attack.type);
        for (const piece of pieces) shown.push(masker.write(piece));
        shown.push(masker.end());
      };
      expect(show).toThrow(Refusal);
      expect(Buffer.concat(shown).toString('latin1').replaceAll('\0', '')).not.toMatch(/1234|6789/);
    }
  });

  it('has a corpus worth the name', () => {
    expect(attacks.length).toBeGreaterThan(130);
    expect(new Set(attacks.map(({ name }) => name)).size).toBe(attacks.length);
  });
});

describe('what is masked', () => {
  const noted = (type: string, body: string) => {
    const masks = watchedMasks();
    const plan = planBody({ status: 200, fields: ['content-type', type] }, rules, true);
    shownOf(openBodyMasker(plan, masks), [Buffer.from(body)]);
    return masks.noted.flatMap(({ field, originals }) => originals.map((original) => `${field} ${original}`));
  };

  it.each([
    ['application/x-ndjson', '{"ssn":1}\n{"ssn":"\\u0032"}'],
    ['text/event-stream', 'data: {"ssn":1}\n\ndata: {"ssn":"2"}\n\n'],
    ['application/x-www-form-urlencoded', 'ssn=1&x[ssn]=%32'],
    ['text/csv', 'a,ssn\n"1",1\n2,"2"\n'],
    [
      'multipart/form-data; boundary=b',
      '--b\r\nContent-Disposition: form-data; name="ssn"\r\n\r\n1\r\n--b\r\nContent-Type: application/json\r\n\r\n{"ssn":2}\r\n--b--',
    ],
    ['text/plain', '[{"ssn":1},{"ssn":2}]'],
  ])('is reported as it was meant, once: %s', (type, body) => {
    expect(noted(type, body)).toEqual(['$..ssn 1', '$..ssn 2']);
  });
});

describe('without rules', () => {
  const shown = (type: string, body: string | Buffer) =>
    shownOf(open(type, noRules), [Buffer.from(body)]).toString('latin1');

  it.each([
    'text/plain',
    'text/html; charset=iso-8859-1',
    'application/xml',
    'text/csv',
    'application/yaml',
    'application/octet-stream',
    '',
    'text/event-stream',
    'multipart/mixed; boundary=b',
  ])('detectors read %s', (type) => {
    const body = type.startsWith('multipart') ? '--b\r\n\r\nmail ann@example.com\r\n--b--' : 'mail ann@example.com\n';
    expect(shown(type, body)).toBe(body.replace('ann@example.com', '***************'));
  });

  it.each(['application/msgpack', 'image/png', 'text/plain; charset=utf-16', 'application/pdf'])(
    '%s passes unseen',
    (type) => {
      expect(planBody({ status: 200, fields: ['content-type', type] }, noRules, true).changes).toBe(false);
      expect(shown(type, '\u0001 ann@example.com')).toContain('ann@example.com');
    },
  );

  it('bytes of no type pass as they are, unless they are text', () => {
    const bytes = Buffer.concat([
      Buffer.from('%PDF-1.7\n%'),
      Buffer.from([0xe2, 0xe3, 0xcf, 0xd3]),
      Buffer.from('\nann@example.com'),
    ]);
    expect(shown('application/octet-stream', bytes)).toBe(bytes.toString('latin1'));
    expect(shown('', Buffer.from('\0ann@example.com'))).toContain('ann@example.com');
    expect(shown('', Buffer.from('é ann@example.com'))).not.toContain('ann@');
  });

  it('an event that is no JSON is text, and one too long for an event too', () => {
    expect(shown('text/event-stream', 'data: {x ann@example.com\n\n')).toBe('data: {x ***************\n\n');
    const long = `data: ${'x '.repeat(600_000)}ann@example.com\n\ndata: ann@example.com\n\n`;
    expect(shown('text/event-stream', long)).toBe(long.replaceAll('ann@example.com', '***************'));
  });

  it('parts without a certain end are text all the same', () => {
    expect(shown('multipart/mixed; boundary=b', 'ann@example.com\n--b\n\nann@example.com\n')).toBe(
      '***************\n--b\n\n***************\n',
    );
  });
});

describe('where a rule names everything', () => {
  const everything = bodyRules([{ path: '$', classification: 'secret' }]);

  it('text is withheld, and tables and forms are masked in every column', () => {
    expect(() => shownOf(open('text/plain', everything), [Buffer.from('hello')])).toThrow(Refusal);
    expect(() => shownOf(open('text/event-stream', everything), [Buffer.from('data: hello\n\n')])).toThrow(Refusal);
    expect(shownOf(open('text/csv', everything), [Buffer.from('a,b\n1,2\n')]).toString()).toBe(
      'a,b\n[masked:secret],[masked:secret]\n',
    );
    expect(shownOf(open('application/x-www-form-urlencoded', everything), [Buffer.from('a=1')]).toString()).toBe(
      'a=%5Bmasked%3Asecret%5D',
    );
  });
});

describe('a part of a body', () => {
  it.each(['text/plain', 'application/json', 'text/csv', 'multipart/byteranges; boundary=b'])(
    'of %s is withheld',
    (type) => {
      expect(() => open(type, noRules, 206)).toThrow('without the rest');
    },
  );

  it('of bytes passes where no rule applies, and is withheld where it is text', () => {
    expect(shownOf(open('application/octet-stream', noRules, 206), [Buffer.from([0, 1, 2])])).toHaveLength(3);
    expect(() => shownOf(open('application/octet-stream', noRules, 206), [Buffer.from('4111 1111')])).toThrow(
      'without the rest',
    );
    expect(() => open('application/octet-stream', rules, 206)).toThrow('without the rest');
  });
});
