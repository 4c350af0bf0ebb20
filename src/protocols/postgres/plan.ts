import type { MaskMethod } from '../../model/decision.ts';
import { Refusal } from '../../model/errors.ts';
import { type Field, type Format, formatOf } from './codec.ts';
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
}

/** Types whose text form any string is (pg_type.oid): text, varchar, bpchar, name, "char" is not: it holds one byte. */
const textTypes = new Set([25, 1043, 1042, 19]);
const json = 114;
const jsonb = 3802;

/**
 * What to mask in rows of this description, for a caller to whom classifications look as `method` says. Throws Refusal
 * MASK_IMPOSSIBLE for a whole row of a classified table, which has no columns to mask.
 */
export function planFor(
  fields: readonly Field[],
  origins: Origins,
  method: (classification: string) => MaskMethod,
): Plan {
  let masked = 0;
  const columns = fields.map((field): ColumnMask | undefined => {
    if (field.tableOid === 0) return undefined;
    if (field.attnum === 0 && origins.sensitive(field.tableOid)) {
      throw new Refusal(
        'MASK_IMPOSSIBLE',
        `column ${JSON.stringify(field.name)} is a whole row of a table with classified columns`,
        {
          advice: 'name the columns you need, or use *',
        },
      );
    }
    const found = origins.classification(field.tableOid, field.attnum);
    if (found === undefined || method(found.classification) === 'reveal') return undefined;
    masked += 1;
    return { ...found, form: formOf(field) };
  });
  return { fields, columns, masked };
}

/** The same plan for a portal's result formats (Bind may ask for binary where Describe of a statement says text). */
export function withFormats(plan: Plan, formats: readonly Format[]): Plan {
  const fields = plan.fields.map((field, i) => ({ ...field, format: formatOf(formats, i) }));
  const columns = plan.columns.map((column, i) =>
    column === undefined ? undefined : { ...column, form: formOf(fields[i]!) },
  );
  return { ...plan, fields, columns };
}

function formOf(field: Field): ColumnMask['form'] {
  if (textTypes.has(field.typeOid)) return 'text';
  if (field.typeOid === json) return 'json';
  if (field.typeOid === jsonb) return field.format === 1 ? 'jsonb' : 'json';
  // A number, a date or an array has no text that says “masked”: null is valid in every type.
  return 'null';
}
