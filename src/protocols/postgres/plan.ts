import type { Obligations } from '../../model/decision.ts';
import { Refusal } from '../../model/errors.ts';
import { type Field, parseRowDescription } from './codec.ts';
import type { ColumnMask, Plan } from './rows.ts';

/** What the plan must know of the target's schema. */
export interface Origins {
  /** The classification of a column, by table OID and attribute number. */
  classification(
    tableOid: number,
    attnum: number,
  ): { readonly field: string; readonly classification: string } | undefined;
  /** Whether a relation holds, or is derived from, classified columns. */
  sensitive(tableOid: number): boolean;
  /** Whether the relation is one that was there when the schema was read. */
  known(tableOid: number): boolean;
}

/** Types whose text form any string is (pg_type.oid): text, varchar, bpchar, name, "char" is not: it holds one byte. */
const textTypes = new Set([25, 1043, 1042, 19]);
const json = 114;
const jsonb = 3802;

/**
 * What to mask in rows of this description, for a caller to whom classifications look as decided. Throws Refusal
 * MASK_IMPOSSIBLE for a whole row of a classified table, which has no columns to mask, and for tables
 * that are not known, unless `strangers` are let in: tables that only this session sees.
 */
export function planFor(
  fields: readonly Field[],
  origins: Origins | undefined,
  { masks }: Obligations,
  strangers: boolean,
): Plan {
  let masked = 0;
  const columns = fields.map((field): ColumnMask | undefined => {
    if (field.tableOid === 0 || origins === undefined) return undefined;
    if (!strangers && !origins.known(field.tableOid)) throw new Stranger();
    if (field.attnum === 0 && origins.sensitive(field.tableOid)) {
      const name = JSON.stringify(field.name);
      throw new Refusal('MASK_IMPOSSIBLE', `column ${name} is a whole row of a table with classified columns`, {
        advice: 'name the columns you need, or use *',
      });
    }
    const found = origins.classification(field.tableOid, field.attnum);
    if (found === undefined || (masks[found.classification] ?? 'redact') === 'reveal') return undefined;
    masked += 1;
    return { ...found, form: formOf(field) };
  });
  return { fields, columns, masked };
}

/** A column of a table that was not there when the schema was read: nobody knows what it holds. */
export class Stranger extends Refusal {
  constructor() {
    super('MASK_IMPOSSIBLE', 'a column comes from a table that the gateway does not know yet', {
      advice: 'the schema has just changed and is being read again: run the statement again',
    });
  }
}

/** Clients ask the same again and again, so the last plan is kept with what it was made from. */
export class Plans {
  #last:
    | {
        readonly description: Buffer;
        readonly origins: Origins | undefined;
        readonly obligations: Obligations;
        readonly plan: Plan;
      }
    | undefined;

  /** `description`: a whole RowDescription message. Throws as `planFor`, and PeerError for one that is malformed. */
  of(description: Buffer, origins: Origins | undefined, obligations: Obligations, strangers: boolean): Plan {
    const last = this.#last;
    if (
      last !== undefined &&
      last.origins === origins &&
      last.obligations === obligations &&
      last.description.equals(description)
    ) {
      return last.plan;
    }
    const plan = planFor(parseRowDescription(description, 0, description.length), origins, obligations, strangers);
    this.#last = { description: Buffer.from(description), origins, obligations, plan };
    return plan;
  }
}

function formOf(field: Field): ColumnMask['form'] {
  if (textTypes.has(field.typeOid)) return 'text';
  if (field.typeOid === json) return 'json';
  if (field.typeOid === jsonb) return field.format === 1 ? 'jsonb' : 'json';
  // A number, a date or an array has no text that says “masked”: null is valid in every type.
  return 'null';
}
