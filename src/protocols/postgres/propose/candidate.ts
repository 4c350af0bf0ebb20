import { qualified, type Schema, type SchemaRelation } from '../schema.ts';
import type { ValueType } from './value-type.ts';

/** A column that could be classified. */
export interface Candidate {
  readonly relation: SchemaRelation;
  readonly attnum: number;
  readonly column: string;
  readonly type: ValueType;
  /** Its values are arrays of such. */
  readonly array: boolean;
  /** To show a value as text runs no code but the server's own. */
  readonly safe: boolean;
}

/** What is found about a candidate, so far. */
export interface Finding {
  readonly candidate: Candidate;
  readonly classification: string;
  readonly confidence: number;
  readonly reasons: readonly string[];
}

/** One for each relation and column: the key of maps. */
export function keyOf(relation: number, attnum: number): string {
  return `${relation}.${attnum}`;
}

/** `schema.table.column` as `classify` takes it: a part that holds a dot or a quote, or looks blank, stands in quotes. */
export function fieldName(
  { schema, name }: { readonly schema: string; readonly name: string },
  column: string,
): string {
  return [schema, name, column].map((part) => (/[".]/.test(part) ? `"${part.replaceAll('"', '""')}"` : part)).join('.');
}

/** Names of relations for sentences: a few, and how many more. */
export function named(relations: readonly { readonly schema: string; readonly name: string }[], most = 5): string {
  return listed(relations.map(qualified), most);
}

export function listed(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

/** Columns that a parent has too stand for the same data: what is said of the parent's is said of them. */
export function inheritedColumns({
  relations,
  parents,
}: Pick<Schema, 'relations' | 'parents'>): (relation: number, column: string) => boolean {
  const columns = new Map(relations.map(({ oid, columns: of }) => [oid, new Set(of.map(({ name }) => name))]));
  const parentsOf = Map.groupBy(parents, ({ child }) => child);
  return (relation, column) =>
    parentsOf.get(relation)?.some(({ parent }) => columns.get(parent)?.has(column) === true) === true;
}
