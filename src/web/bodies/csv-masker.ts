import { Refusal } from '../../model/errors.ts';
import { Edits } from './edits.ts';
import { HeldBytes } from './held-bytes.ts';
import { type BodyMasker, type MaskerContext, nothing } from './masker.ts';
import type { BodyRules } from './rules.ts';
import { Spans } from './spans.ts';
import { type ValueMask, ValueMasks } from './value-masks.ts';

/**
 * Tables with a header row: CSV (RFC 4180) and tab-separated values, while rules apply. Columns are named by the header. What two
 * readers could read differently is withheld: another delimiter than the header's, rows of another length, stray quotation marks.
 */
export class CsvMasker implements BodyMasker {
  readonly #context: MaskerContext;
  readonly #valueMasks: ValueMasks;
  readonly #tabs: boolean;
  readonly #held = new HeldBytes();
  readonly #edits = new Edits();
  readonly #plain = new Spans();
  #columns: readonly (ValueMask | undefined)[] | undefined;
  #delimiter: number;
  /** Where the search for the row's end goes on, and whether that is inside quotation marks. */
  #searched = 0;
  #quoted = false;

  constructor(
    rules: BodyRules,
    context: MaskerContext,
    format: { readonly headless: boolean; readonly tabs: boolean },
  ) {
    if (format.headless) throw unclear('its columns have no names');
    this.#context = context;
    this.#tabs = format.tabs;
    this.#delimiter = format.tabs ? tab : comma;
    this.#valueMasks = new ValueMasks(rules, context.masks);
  }

  write(bytes: Buffer): Buffer {
    this.#held.add(bytes);
    return this.#rows(false);
  }

  end(): Buffer {
    if (this.#quoted) throw unclear('it ends inside quotation marks');
    return this.#rows(true);
  }

  #rows(complete: boolean): Buffer {
    const bytes = this.#held.bytes;
    let start = 0;
    for (let end = this.#rowEnd(bytes, complete); end > start; end = this.#rowEnd(bytes, complete)) {
      this.#row(bytes, start, end);
      start = end;
    }
    if (bytes.length - start > this.#context.limits.valueBytes) throw unclear('a row is too long');
    this.#searched -= start;
    if (start === 0) return nothing;
    const shown = this.#held.take(start);
    if (this.#plain.size > 0) this.#context.masks.scrub(shown, () => this.#plain.offsets);
    this.#plain.clear();
    this.#valueMasks.report();
    return this.#edits.empty ? shown : this.#edits.apply(shown);
  }

  /** Behind the line end of the row that the search is in; or where the search came to. */
  #rowEnd(bytes: Buffer, complete: boolean): number {
    let at = this.#searched;
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte === mark && !this.#tabs) this.#quoted = !this.#quoted;
      if (this.#quoted || (byte !== lf && byte !== cr)) continue;
      if (byte === cr && at + 1 === bytes.length && !complete) break;
      at += byte === cr && bytes[at + 1] === lf ? 2 : 1;
      this.#searched = at;
      return at;
    }
    this.#searched = at;
    return complete ? at : -1;
  }

  #row(bytes: Buffer, start: number, next: number): void {
    let end = next;
    while (end > start && (bytes[end - 1] === lf || bytes[end - 1] === cr)) end -= 1;
    if (end === start) return;
    if (this.#columns === undefined) {
      this.#header(bytes, start, end);
      return;
    }
    let column = 0;
    for (const field of this.#fields(bytes, start, end)) {
      if (column === this.#columns.length) throw unclear('a row has more fields than its header');
      const mask = this.#columns[column];
      if (mask === undefined) this.#show(bytes, field);
      else this.#mask(bytes, field, mask);
      column += 1;
    }
    if (column < this.#columns.length) throw unclear('a row has fewer fields than its header');
  }

  #header(bytes: Buffer, start: number, end: number): void {
    const marked = bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf;
    const from = marked ? start + 3 : start;
    if (!this.#tabs) this.#delimiter = delimiterOf(bytes, from, end);
    const fields = this.#fields(bytes, from, end);
    this.#columns = fields.map((field) => this.#valueMasks.forName(meaning(bytes, field).toString()));
    for (const field of fields) this.#show(bytes, field);
  }

  #fields(bytes: Buffer, start: number, end: number): readonly Field[] {
    const fields: Field[] = [];
    for (let at = start; ; at++) {
      const quoted = bytes[at] === mark && at < end;
      if (quoted && this.#tabs) throw unclear('a field begins with a quotation mark');
      const from = at;
      if (quoted) {
        for (at += 1; ; at++) {
          if (at >= end) throw unclear('a quotation mark is missing');
          if (bytes[at] !== mark) continue;
          if (bytes[at + 1] !== mark || at + 1 >= end) break;
          at += 1;
        }
        at += 1;
        if (at < end && bytes[at] !== this.#delimiter) throw unclear('something follows a closing quotation mark');
      } else {
        for (; at < end && bytes[at] !== this.#delimiter; at++) {
          if (bytes[at] === mark && !this.#tabs) throw unclear('a quotation mark stands inside a field');
        }
      }
      fields.push(quoted ? { start: from + 1, end: at - 1, quoted } : { start: from, end: at, quoted });
      if (at >= end) return fields;
    }
  }

  #show(bytes: Buffer, field: Field): void {
    const { start, end, quoted } = field;
    if (!quoted || !bytes.subarray(start, end).includes(mark)) {
      this.#plain.add(start, end);
      return;
    }
    const meant = meaning(bytes, field);
    if (this.#context.masks.scrub(meant, (whole) => [0, whole.length]) > 0) this.#edits.add(start, end, doubled(meant));
  }

  #mask(bytes: Buffer, field: Field, mask: ValueMask): void {
    const value = meaning(bytes, field);
    const text = this.#valueMasks.text(mask, value, 0, value.length) ?? '';
    const by = Buffer.from(text);
    const needsMarks = !field.quoted && (by.includes(this.#delimiter) || /["\r\n]/.test(text));
    if (needsMarks && this.#tabs) throw unclear('a mask cannot be written in it');
    this.#edits.add(
      field.start,
      field.end,
      needsMarks ? Buffer.concat([quote, doubled(by), quote]) : field.quoted ? doubled(by) : by,
    );
  }
}

/** A field's content, without its quotation marks. */
interface Field {
  readonly start: number;
  readonly end: number;
  readonly quoted: boolean;
}

const lf = 0x0a;
const cr = 0x0d;
const tab = 0x09;
const comma = 0x2c;
const mark = 0x22;
const quote = Buffer.of(mark);

/** The one character of those in use that the header has outside quotation marks. */
function delimiterOf(bytes: Buffer, start: number, end: number): number {
  const seen = new Set<number>();
  let quoted = false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === mark) quoted = !quoted;
    else if (!quoted && (byte === comma || byte === 0x3b || byte === tab || byte === 0x7c)) seen.add(byte);
  }
  if (seen.size > 1) throw unclear('its header has several characters that could separate columns');
  return [...seen][0] ?? comma;
}

/** A copy. */
function meaning(bytes: Buffer, { start, end, quoted }: Field): Buffer {
  const text = Buffer.from(bytes.subarray(start, end));
  return quoted && text.includes(mark) ? Buffer.from(text.toString('latin1').replaceAll('""', '"'), 'latin1') : text;
}

function doubled(text: Buffer): Buffer {
  return text.includes(mark) ? Buffer.from(text.toString('latin1').replaceAll('"', '""'), 'latin1') : text;
}

function unclear(why: string): Refusal {
  return new Refusal('MASK_IMPOSSIBLE', `a table has classified columns and cannot be read with certainty: ${why}`);
}
