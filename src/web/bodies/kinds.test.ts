import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planBody } from './body-plan.ts';
import { realMasks } from './masks.fixture.ts';
import { openBodyMasker } from './open-body-masker.ts';
import { cutInto, shownOf } from './pieces.fixture.ts';
import { bodyRules } from './rules.ts';

const rules = bodyRules([{ path: '$..ssn', classification: 'pii.ssn' }]);
const mask = '[masked:pii.ssn]';

function shown(type: string, body: string, sizes: readonly number[]): string {
  const masks = realMasks({}, false);
  const plan = planBody({ status: 200, fields: ['content-type', type] }, rules, false);
  return shownOf(openBodyMasker(plan, masks), cutInto(Buffer.from(body), sizes)).toString();
}

const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 3 });
const cell = fc.string({
  unit: fc.constantFrom('a', '1', '"', ',', ';', '\n', '\r', ' ', 'é', '&', '=', '%', '+'),
  maxLength: 8,
});

describe('a table', () => {
  const table = fc.integer({ min: 1, max: 5 }).chain((width) =>
    fc.record({
      names: fc.array(fc.constantFrom('ssn', 'a', 'b c', 'SSN', 'x,y', 'say "hi"'), {
        minLength: width,
        maxLength: width,
      }),
      rows: fc.array(fc.array(cell, { minLength: width, maxLength: width }), { maxLength: 5 }),
    }),
  );

  it('has its columns masked and nothing else, whatever its cells hold', () => {
    fc.assert(
      fc.property(
        table,
        sizes,
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        ({ names, rows }, cuts, lineEnd, always) => {
          const written = (text: string) =>
            always || text === '' || /[",;\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
          const write = (cells: readonly (readonly string[])[]) =>
            cells.map((row) => row.map(written).join(',') + lineEnd).join('');
          const expected = rows.map((row) => row.map((text, i) => (names[i]!.toLowerCase() === 'ssn' ? mask : text)));
          const readBack = readTable(shown('text/csv', write([names, ...rows]), cuts));
          expect(readBack).toEqual([names, ...expected]);
        },
      ),
      { numRuns: 400 },
    );
  });
});

/** The plainest reader of RFC 4180. */
function readTable(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < text.length) {
    let value = '';
    if (text[at] === '"') {
      for (at += 1; text[at] !== '"' || text[at + 1] === '"'; at++) {
        value += text[at];
        if (text[at] === '"') at += 1;
      }
      at += 1;
    } else while (at < text.length && !',\r\n'.includes(text[at]!)) value += text[at++];
    row.push(value);
    if (text[at] === ',') at += 1;
    else {
      at += text[at] === '\r' ? 2 : 1;
      rows.push(row);
      row = [];
    }
  }
  return rows;
}

describe('a form', () => {
  it('has its fields masked and nothing else, whatever they hold', () => {
    const field = fc.tuple(fc.constantFrom('ssn', 'a', 'b c', 'x[ssn]', 'ssn[]', '%', 'é'), cell);
    fc.assert(
      fc.property(fc.array(field, { maxLength: 8 }), sizes, (fields, cuts) => {
        const body = new URLSearchParams(fields).toString();
        const readBack = [...new URLSearchParams(shown('application/x-www-form-urlencoded', body, cuts))];
        expect(readBack).toEqual(fields.map(([name, value]) => [name, name.includes('ssn') ? mask : value]));
      }),
      { numRuns: 400 },
    );
  });
});

describe('events', () => {
  it('have their data masked and nothing else, over any lines', () => {
    const data = fc.record(
      {
        ssn: fc.oneof(fc.string(), fc.integer()),
        a: fc.string({ unit: fc.constantFrom('a', '\n', '\r', '\u2028', 'é', '😀', '"', '\\', ' ') }),
        b: fc.array(fc.record({ ssn: fc.string() })),
      },
      { requiredKeys: [] },
    );
    const event = fc.record({
      data,
      indent: fc.nat(1),
      name: fc.constantFrom('event: x', 'id:1', ': note', 'retry: 5', 'data2: y'),
    });
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 4 }),
        sizes,
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.constantFrom('data: ', 'data:'),
        (events, cuts, lineEnd, prefix) => {
          const lines = events.flatMap(({ data: value, indent, name }) => [
            name,
            ...JSON.stringify(value, null, indent)
              .split('\n')
              .map((line) => prefix + line),
            '',
          ]);
          const out = shown('text/event-stream', lines.map((line) => line + lineEnd).join(''), cuts).split(lineEnd);
          const parsed = out
            .join('\n')
            .split('\n\n')
            .slice(0, -1)
            .map((text) =>
              text
                .split('\n')
                .filter((line) => line.startsWith('data:'))
                .map((line) => line.slice(prefix.length))
                .join('\n'),
            );
          const masked = (value: object): object =>
            JSON.parse(JSON.stringify(value), (name, inner) => (name === 'ssn' ? mask : inner)) as object;
          expect(parsed.map((text) => JSON.parse(text))).toEqual(events.map((each) => masked(each.data)));
          expect(out.filter((line) => !line.startsWith('data:'))).toEqual([
            ...lines.filter((line) => !line.startsWith('data:')),
            '',
          ]);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('parts', () => {
  it('are masked each by its type, and keep their bytes', () => {
    const part = fc.oneof(
      fc
        .record({ ssn: fc.string() })
        .map((value) => ['application/json', JSON.stringify(value), JSON.stringify({ ssn: mask })] as const),
      fc
        .string({ unit: fc.constantFrom('a', '\r', '\n', '-', ' ', 'b') })
        .map((text) => ['text/plain', text, text] as const),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 4 }), sizes, (parts, cuts) => {
        fc.pre(parts.every(([, text]) => !/(^|\n)--b0/.test(text)));
        const body = (which: 1 | 2) =>
          `${parts.map((each) => `--b0\r\ncontent-type: ${each[0]}\r\n\r\n${each[which]}\r\n`).join('')}--b0--\r\n`;
        expect(shown('multipart/mixed; boundary=b0', body(1), cuts)).toBe(body(2));
      }),
      { numRuns: 400 },
    );
  });
});
