import { structFields } from './node-kinds.ts';

/** The fields of one syntax tree node, as the parser's JSON has them. */
export type Fields = { readonly [name: string]: unknown };

/** Called with each node directly inside another one: its kind, its fields, and the field that holds it. */
export type Visit = (kind: string, fields: Fields, via: string) => void;

/** `{ ColumnRef: {…} }` → `['ColumnRef', {…}]`; undefined for what is not a wrapped node (`{}` stands for an absent list item). */
export function unwrap(value: unknown): readonly [kind: string, fields: Fields] | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  for (const kind in value) return [kind, (value as Record<string, Fields>)[kind] as Fields];
  return undefined;
}

/** The fields of a wrapped node of this kind; undefined for any other kind. */
export function as(kind: string, value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, Fields>)[kind] : undefined;
}

/** Visits every node directly inside this one, in whatever field: nothing a future grammar adds is passed over. */
export function eachChild(kind: string, fields: Fields, visit: Visit): undefined {
  for (const via in fields) {
    const value = fields[via];
    if (typeof value !== 'object' || value === null) continue;
    const struct = structFields[kind]?.[via];
    if (struct !== undefined) visit(struct, value as Fields, via);
    else eachNode(value, (child, childFields) => visit(child, childFields, via));
  }
}

/** Visits a wrapped node, or each of a list of them. */
export function eachNode(value: unknown, visit: (kind: string, fields: Fields) => void): undefined {
  if (Array.isArray(value)) {
    for (const item of value) eachNode(item, visit);
    return undefined;
  }
  const node = unwrap(value);
  if (node !== undefined) visit(node[0], node[1]);
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** A list of String nodes, such as a qualified name. Items that are not strings (`*`) come out as `*`. */
export function namesIn(value: unknown): readonly string[] {
  return listOf(value).map((item) => text(as('String', item)?.sval) ?? '*');
}

/** The value of a constant as the caller wrote it; undefined for anything but a constant. */
export function constantText(value: unknown): string | undefined {
  const constant = as('A_Const', value);
  if (constant === undefined) {
    const cast = as('TypeCast', value);
    return cast === undefined ? text(as('String', value)?.sval) : constantText(cast.arg);
  }
  if (constant.isnull === true) return undefined;
  const ival = fieldsOf(constant.ival);
  if (ival !== undefined) return String(ival.ival ?? 0);
  const boolval = fieldsOf(constant.boolval);
  if (boolval !== undefined) return String(boolval.boolval === true);
  return text(fieldsOf(constant.sval)?.sval) ?? text(fieldsOf(constant.fval)?.fval);
}
