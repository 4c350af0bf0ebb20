import type { Masks } from '../../gateway/protocol.ts';
import { Refusal } from '../../model/errors.ts';
import { type Field, Server } from './codec.ts';
import { RowMasker } from './row-masker.ts';

/** What becomes of each column of a row. */
export interface Plan {
  readonly fields: readonly Field[];
  readonly columns: readonly (ColumnMask | undefined)[];
  /** How many columns are masked. */
  readonly masked: number;
  /** Rewrites rows of this description; made with the first of them. */
  masker?: RowMasker;
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

/** Replaces what is masked in a batch. Throws Refusal MASK_IMPOSSIBLE for rows that do not fit their description. */
export function maskFrames(frames: Frames, masks: Masks, lease: (size: number) => Buffer): Buffer {
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
  plan.masker ??= new RowMasker(plan.columns);
  const shown = plan.masker.mask(bytes, masks, lease);
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
