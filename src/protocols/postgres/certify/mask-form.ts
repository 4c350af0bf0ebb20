import type { Range } from './levels.ts';
import { isList, isNode, type Node, type Value } from './tree.ts';
import { number } from './values.ts';

/** Where in its query something stands does not matter; see also what `readTree` leaves out. */
const elsewhere: ReadonlySet<string> = new Set([
  'location',
  'list_start',
  'list_end',
  'varno',
  'varnosyn',
  'varattnosyn',
]);
/** Longer ones are nobody's mask. */
const maxForm = 8000;

/** One text for equal expressions over one column, whatever query they stand in. */
export function formOf(value: Value): string {
  if (typeof value === 'string') return value;
  if (isList(value)) return `(${value.map(formOf).join(' ')})`;
  if (!isNode(value)) return `[${value.datum}]`;
  const fields = Object.entries(value.fields).filter(([name]) => !elsewhere.has(name));
  return `{${value.kind} ${fields.map(([name, inner]) => `:${name} ${inner === undefined ? '' : formOf(inner)}`).join(' ')}}`;
}

/** By what masks are kept: a relation and a column. */
export function maskKey(relation: number, column: number): string {
  return `${relation}.${column}`;
}

/** Whether an expression is one of the masks of the one column that it reads. `rangeOf`: what a Var reads, if a relation of its own query. */
export function sameForm(
  node: Node,
  masks: ReadonlyMap<string, ReadonlySet<string>>,
  rangeOf: (variable: Node) => Range | undefined,
): { readonly range: Range; readonly column: number } | undefined {
  let found: { readonly range: Range; readonly column: number } | undefined;
  let one = true;
  let size = 0;
  const look = (value: Value): undefined => {
    if (!one) return undefined;
    size += 1;
    if (isList(value)) for (const item of value) look(item);
    else if (isNode(value) && value.kind === 'VAR') {
      const range = rangeOf(value);
      const column = number(value, 'varattno');
      if (range === undefined || (found !== undefined && (found.range !== range || found.column !== column)))
        one = false;
      else found ??= { range, column };
    } else if (isNode(value)) {
      if (value.kind === 'QUERY' || value.kind === 'SUBLINK' || size > 200) one = false;
      else for (const name in value.fields) look(value.fields[name]!);
    }
  };
  look(node);
  if (!one || found === undefined) return undefined;
  const forms = masks.get(maskKey(found.range.relation, found.column));
  if (forms === undefined) return undefined;
  const form = formOf(node);
  return form.length <= maxForm && forms.has(form) ? found : undefined;
}
