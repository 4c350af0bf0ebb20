import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Masks } from '../../gateway/protocol.ts';
import type { MaskMethod } from '../../model/decision.ts';
import { commandComplete, copyData, dataRow, type Field, parseDataRow, textField } from './codec.ts';
import { type ColumnMask, maskFrames, type Plan, valuesIn } from './rows.ts';

const lease = (size: number) => Buffer.alloc(size, 0xee);

function masksWith(method: MaskMethod) {
  const noted: { field: string; count: number; originals: string[] }[] = [];
  const masks: Masks = {
    method: () => method,
    text: (classification, original) =>
      method === 'null' ? null : method === 'token' ? `<${original.length}>` : `[${classification}]`,
    masked(field, _classification, count, originals) {
      const values: string[] = [];
      for (let at = 0; at < originals.length; ) {
        const length = originals.readUInt32BE(at);
        values.push(originals.toString('utf8', at + 4, at + 4 + length));
        at += 4 + length;
      }
      noted.push({ field, count, originals: values });
    },
    scrub: () => 0,
  };
  return { masks, noted };
}

function planOf(forms: readonly (ColumnMask['form'] | undefined)[]): Plan {
  const columns = forms.map((form, i) =>
    form === undefined ? undefined : { field: `t.c${i}`, classification: 'pii', form },
  );
  return { fields: forms.map((_, i): Field => textField(`c${i}`)), columns, masked: columns.filter(Boolean).length };
}

function rowsIn(bytes: Buffer): (string | null)[][] {
  const rows: (string | null)[][] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + bytes.readUInt32BE(at + 1);
    if (bytes[at] === 0x44) rows.push(parseDataRow(bytes, at, end).map((value) => value?.toString() ?? null));
    at = end;
  }
  return rows;
}

describe('masking rows', () => {
  it('changes exactly what is masked, whatever the rows look like', () => {
    const form = fc.constantFrom<ColumnMask['form'] | undefined>(undefined, undefined, 'text', 'null', 'json');
    const value = fc.option(fc.string({ maxLength: 120 }), { nil: null });
    const table = fc
      .array(form, { minLength: 1, maxLength: 6 })
      .chain((forms) =>
        fc.tuple(
          fc.constant(forms),
          fc.array(fc.tuple(...forms.map(() => value)), { maxLength: 30 }),
          fc.constantFrom<MaskMethod>('redact', 'null', 'token'),
        ),
      );
    fc.assert(
      fc.property(table, ([forms, rows, method]) => {
        const { masks, noted } = masksWith(method);
        const bytes = Buffer.concat([...rows.map((row) => dataRow(row)), commandComplete(`SELECT ${rows.length}`)]);
        const shown = maskFrames({ bytes, plan: planOf(forms), large: false }, masks, lease);
        const expected = rows.map((row) =>
          row.map((original, i) => {
            const masked = forms[i];
            if (masked === undefined || original === null) return original;
            if (masked === 'null' || method === 'null') return null;
            const text = method === 'token' ? `<${original.length}>` : '[pii]';
            return masked === 'json' ? JSON.stringify(text) : text;
          }),
        );
        expect(rowsIn(shown)).toEqual(expected);
        expect(shown.subarray(-commandComplete(`SELECT ${rows.length}`).length)).toEqual(
          commandComplete(`SELECT ${rows.length}`),
        );
        for (const { field, count, originals } of noted) {
          const i = Number(field.slice(3));
          const there = rows.map((row) => row[i]).filter((one): one is string => one !== null && one !== undefined);
          expect(originals).toEqual(there);
          expect(count).toBe(there.length);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('withholds rows that do not add up, and never shows what it read of them', () => {
    const { masks } = masksWith('redact');
    const plan = planOf(['text', undefined]);
    const good = dataRow(['secret', 'free']);
    for (let cut = 5; cut < good.length; cut++) {
      const torn = Buffer.from(good.subarray(0, cut));
      torn.writeUInt32BE(cut - 1, 1);
      expect(() => maskFrames({ bytes: torn, plan, large: false }, masks, lease), `cut at ${cut}`).toThrow(
        /cannot be masked/,
      );
    }
    expect(() => maskFrames({ bytes: dataRow(['secret']), plan, large: false }, masks, lease)).toThrow(/description/);
    expect(() => maskFrames({ bytes: dataRow(['secret', 'a', 'b']), plan, large: false }, masks, lease)).toThrow(
      /description/,
    );
  });

  it('withholds a classified column in a row too large to gather', () => {
    const { masks } = masksWith('redact');
    expect(() => maskFrames({ bytes: Buffer.from('part'), plan: planOf(['text']), large: true }, masks, lease)).toThrow(
      /1 MiB/,
    );
    expect(
      maskFrames({ bytes: Buffer.from('part'), plan: planOf([undefined]), large: true }, masks, lease).toString(),
    ).toBe('part');
  });

  it('grows when masks are longer than what they stand for', () => {
    const { masks } = masksWith('redact');
    const rows = Array.from({ length: 3000 }, () => ['x', 'y', 'z']);
    const bytes = Buffer.concat(rows.map((row) => dataRow(row)));
    const shown = maskFrames({ bytes, plan: planOf(['text', 'text', 'text']), large: false }, masks, (size) =>
      Buffer.alloc(size),
    );
    expect(rowsIn(shown)).toEqual(rows.map(() => ['[pii]', '[pii]', '[pii]']));
  });
});

describe('what detectors may look at', () => {
  it('is text, in either format, and the lines of a COPY; never a number', () => {
    const typed = (typeOid: number, format: 0 | 1): Field => ({ ...textField('c'), typeOid, format });
    const bytes = Buffer.concat([dataRow(['one', '2', 'three', '4444']), copyData(Buffer.from('line'))]);
    const pairs = valuesIn(bytes, [typed(25, 0), typed(23, 0), typed(25, 1), typed(20, 1)]);
    const texts = [];
    for (let i = 0; i < pairs.length; i += 2) texts.push(bytes.toString('utf8', pairs[i], pairs[i + 1]));
    expect(texts).toEqual(['one', 'three', 'line']);
  });
});
