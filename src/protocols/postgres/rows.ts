import type { Masks } from '../../gateway/protocol.ts';
import { Refusal } from '../../model/errors.ts';
import { type Field, Server } from './codec.ts';

/** What becomes of each column of a row. */
export interface Plan {
  readonly fields: readonly Field[];
  readonly columns: readonly (ColumnMask | undefined)[];
  /** How many columns are masked. */
  readonly masked: number;
}

export interface ColumnMask {
  /** `schema.table.column`. */
  readonly field: string;
  readonly classification: string;
  /** How a mask is written in this column's type: as text, as a JSON string, as jsonb's binary form, or only as null. */
  readonly form: 'text' | 'json' | 'jsonb' | 'null';
}

/** A batch of whole messages of one reply, or a piece of one large message. */
export interface Frames {
  readonly bytes: Buffer;
  /** Absent where no row of the batch can hold a classified value. */
  readonly plan: Plan | undefined;
  /** A piece of a message too large to gather; such rows are only let through where nothing in them is masked. */
  readonly large: boolean;
}

const nullLength = Buffer.from([0xff, 0xff, 0xff, 0xff]);

/** Replaces what is masked in a batch. Throws Refusal MASK_IMPOSSIBLE for rows that do not fit their description. */
export function maskFrames(frames: Frames, masks: Masks): Buffer {
  const { bytes, plan, large } = frames;
  if (plan === undefined || plan.masked === 0) {
    masks.scrub(bytes, large ? whole : (framed) => valuesIn(framed, plan?.fields));
    return bytes;
  }
  if (large) {
    throw new Refusal('MASK_IMPOSSIBLE', 'a row of more than 1 MiB holds a classified column', {
      advice: 'select the large column and the classified ones in separate statements',
    });
  }
  const shown = new Batch(bytes.length, plan).run(bytes, masks);
  masks.scrub(shown, (framed) => valuesIn(framed, plan.fields));
  return shown;
}

const whole = (bytes: Buffer) => [0, bytes.length];

/**
 * Where the values of a batch are that a content detector can read: columns in text form, and what looks the same in binary
 * (text, json); the lines of a COPY. Pairs of offsets.
 */
export function valuesIn(bytes: Buffer, fields: readonly Field[] | undefined): readonly number[] {
  const pairs: number[] = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 1 + bytes.readUInt32BE(at + 1);
    if (bytes[at] === Server.CopyData) pairs.push(at + 5, end);
    else if (bytes[at] === Server.DataRow) {
      let next = at + 7;
      for (let i = 0; next + 4 <= end; i++) {
        const length = bytes.readInt32BE(next);
        next += 4;
        if (length <= 0) continue;
        const field = fields?.[i];
        if (field === undefined || isText(field)) pairs.push(next, next + length);
        next += length;
      }
    }
    at = end;
  }
  return pairs;
}

/** A number with the digits of a card is a number: overwriting some of it would make it none. */
function isText({ format, typeOid }: Field): boolean {
  return format === 0 ? !numeric.has(typeOid) : readable.has(typeOid);
}

/** bool, int8, int2, int4, oid, float4, float8, numeric, date, time, timestamp, timestamptz, interval, timetz, uuid, money. */
const numeric = new Set([16, 20, 21, 23, 26, 700, 701, 1700, 1082, 1083, 1114, 1184, 1186, 1266, 2950, 790]);

/** Types whose binary form is text: text, varchar, bpchar, name, json, jsonb, xml. */
const readable = new Set([25, 1043, 1042, 19, 114, 3802, 142]);

/** Rewrites the rows of one batch: one copy, lengths patched in place, masks taken from a small cache where they are constant. */
class Batch {
  #out: Buffer;
  #length = 0;
  readonly #plan: Plan;
  readonly #originals: (Originals | undefined)[];

  constructor(size: number, plan: Plan) {
    this.#out = Buffer.allocUnsafe(size + 1024);
    this.#plan = plan;
    this.#originals = plan.columns.map((column) => (column === undefined ? undefined : new Originals()));
  }

  run(bytes: Buffer, masks: Masks): Buffer {
    let at = 0;
    while (at < bytes.length) {
      const end = at + 1 + bytes.readUInt32BE(at + 1);
      if (bytes[at] === Server.DataRow) this.#row(bytes, at, end, masks);
      else this.#copy(bytes, at, end);
      at = end;
    }
    this.#plan.columns.forEach((column, i) => {
      const originals = this.#originals[i];
      if (column !== undefined && originals !== undefined && originals.count > 0) {
        masks.masked(column.field, column.classification, originals.count, originals.bytes);
      }
    });
    return this.#out.subarray(0, this.#length);
  }

  #row(bytes: Buffer, start: number, end: number, masks: Masks): void {
    const { columns } = this.#plan;
    if (bytes.readUInt16BE(start + 5) !== columns.length) {
      throw new Refusal('MASK_IMPOSSIBLE', 'a row does not fit its description, so it cannot be masked');
    }
    const head = this.#length;
    let copied = start; // Everything before is written; runs of unmasked columns are copied at once.
    let at = start + 7;
    for (let i = 0; i < columns.length; i++) {
      if (at + 4 > end) throw torn();
      const length = bytes.readInt32BE(at);
      const next = length < 0 ? at + 4 : at + 4 + length;
      if (length < -1 || next > end) throw torn();
      const column = columns[i];
      if (column !== undefined && length >= 0) {
        this.#copy(bytes, copied, at);
        copied = next;
        this.#originals[i]!.add(bytes, at, next);
        this.#mask(column, bytes, at + 4, next, masks);
      }
      at = next;
    }
    if (at !== end) throw torn();
    this.#copy(bytes, copied, end);
    this.#out.writeUInt32BE(this.#length - head - 1, head + 1);
  }

  #mask(column: ColumnMask, bytes: Buffer, start: number, end: number, masks: Masks): void {
    const method = masks.method(column.classification);
    const value =
      column.form === 'null' || method === 'null'
        ? null
        : masks.text(column.classification, method === 'redact' ? '' : bytes.toString('utf8', start, end));
    if (value === null) {
      this.#copy(nullLength, 0, 4);
      return;
    }
    const text = column.form === 'text' ? value : JSON.stringify(value);
    const prefix = column.form === 'jsonb' ? 1 : 0; // jsonb's binary form starts with its version, 1
    const size = Buffer.byteLength(text) + prefix;
    this.#room(size + 4);
    this.#out.writeInt32BE(size, this.#length);
    if (prefix === 1) this.#out[this.#length + 4] = 1;
    this.#out.write(text, this.#length + 4 + prefix);
    this.#length += size + 4;
  }

  #copy(bytes: Buffer, start: number, end: number): void {
    const size = end - start;
    if (size <= 0) return;
    this.#room(size);
    bytes.copy(this.#out, this.#length, start, end);
    this.#length += size;
  }

  #room(size: number): void {
    if (this.#length + size <= this.#out.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#out.length * 2, this.#length + size));
    this.#out.copy(grown, 0, 0, this.#length);
    this.#out = grown;
  }
}

/** The original values of one column in one batch, each after its length, on their way into the keyed digest. */
class Originals {
  count = 0;
  #scratch = Buffer.allocUnsafe(512);
  #used = 0;

  add(bytes: Buffer, start: number, end: number): void {
    const size = end - start;
    if (this.#used + size > this.#scratch.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#scratch.length * 2, this.#used + size));
      this.#scratch.copy(grown, 0, 0, this.#used);
      this.#scratch = grown;
    }
    bytes.copy(this.#scratch, this.#used, start, end);
    this.#used += size;
    this.count += 1;
  }

  get bytes(): Buffer {
    return this.#scratch.subarray(0, this.#used);
  }
}

function torn(): Refusal {
  return new Refusal('MASK_IMPOSSIBLE', 'a row does not add up to its own length, so it cannot be masked');
}
