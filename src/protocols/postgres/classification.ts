import { follow } from './derived.ts';
import { qualified, type Schema, type SchemaRelation } from './schema.ts';
import { parseColumnName } from './settings.ts';

/** What a schema holds that is classified, by the configuration and by what follows from it. */
export interface Classification {
  /**
   * relation → column → classification: listed columns, and columns that hold the same data (children, parents, generated ones,
   * columns of views that do no more than pick them).
   */
  readonly columns: ReadonlyMap<number, ReadonlyMap<number, string>>;
  /** relation → why: views, materialized views and rules that do something else with classified data. */
  readonly derived: ReadonlyMap<number, Derived>;
  /** Entries of `classify` for which there is no column. */
  readonly missing: readonly string[];
  /** Columns that were classified before and would not be any more, of relations that are still there. They stay so. */
  readonly kept: readonly string[];
}

export interface Derived {
  /** Which classifications its data may have, sorted; all of them when it calls a function that nobody vouched for. */
  readonly classifications: readonly string[];
  /** Columns that may carry it. */
  readonly columns: readonly string[] | 'all';
  /** Classified data does not decide which rows there are. */
  readonly plain: boolean;
  /** For the operator: `reads public.customers.ssn`, `calls public.f`. */
  readonly reasons: readonly string[];
}

export type Columns = Map<number, Map<number, string>>;

/**
 * Follows classified data through inheritance, generated columns, views and rules. What cannot be followed counts as classified.
 * `before`: the last classification of the same database. What was classified in it stays so under whatever name it goes now:
 * otherwise whoever may rename a table could show it to everybody.
 */
export function classify(
  schema: Schema,
  listed: Readonly<Record<string, string>>,
  allowFunctions: ReadonlySet<string>,
  before?: Classification,
): Classification {
  const byOid = new Map(schema.relations.map((relation) => [relation.oid, relation]));
  const { columns, missing } = resolve(schema, listed);
  while (spread(schema, byOid, columns));
  const kept = before === undefined ? [] : keep(schema, columns, before);
  if (kept.length > 0) while (spread(schema, byOid, columns));
  return {
    columns,
    derived: columns.size === 0 ? new Map() : follow(schema, columns, allowFunctions),
    missing,
    kept,
  };
}

function keep(schema: Schema, columns: Columns, before: Classification): readonly string[] {
  const kept: string[] = [];
  for (const relation of schema.relations) {
    // A view shows what its definition says now.
    if (relation.kind === 'v') continue;
    for (const { attnum, name } of relation.columns) {
      const was = before.columns.get(relation.oid)?.get(attnum);
      if (was !== undefined && set(columns, relation.oid, attnum, was)) kept.push(`${qualified(relation)}.${name}`);
    }
  }
  return kept;
}

function resolve(schema: Schema, listed: Readonly<Record<string, string>>): { columns: Columns; missing: string[] } {
  const columns: Columns = new Map();
  const missing: string[] = [];
  const relations = new Map(
    schema.relations.map((relation) => [JSON.stringify([relation.schema, relation.name]), relation]),
  );
  for (const [entry, classification] of Object.entries(listed)) {
    const name = parseColumnName(entry);
    const relation = name && relations.get(JSON.stringify([name.schema, name.table]));
    const column = relation?.columns.find((one) => one.name === name?.column);
    if (relation === undefined || column === undefined) missing.push(entry);
    else set(columns, relation.oid, column.attnum, classification);
  }
  return { columns, missing };
}

/** False when it is known already: a listed classification is kept. */
function set(columns: Columns, relation: number, attnum: number, classification: string): boolean {
  const known = columns.get(relation);
  if (known?.has(attnum)) return false;
  if (known === undefined) columns.set(relation, new Map([[attnum, classification]]));
  else known.set(attnum, classification);
  return true;
}

/**
 * One round of spreading; true while something new came up. Down to children, which hold rows of the parent, and up to
 * parents, which show the rows of the children; along to generated columns, and to views that show a column as it is.
 */
function spread(schema: Schema, byOid: ReadonlyMap<number, SchemaRelation>, columns: Columns): boolean {
  let grew = false;
  for (const { child, parent } of schema.parents) {
    for (const [from, to] of [
      [parent, child],
      [child, parent],
    ] as const) {
      for (const [attnum, classification] of columns.get(from) ?? []) {
        const name = byOid.get(from)?.columns.find((column) => column.attnum === attnum)?.name;
        const same = byOid.get(to)?.columns.find((column) => column.name === name);
        if (same !== undefined) grew = set(columns, to, same.attnum, classification) || grew;
      }
    }
  }
  for (const { relation, column, from } of schema.generated) {
    const classification = columns.get(relation)?.get(from);
    if (classification !== undefined) grew = set(columns, relation, column, classification) || grew;
  }
  for (const { view, outputs } of schema.definitions.values()) {
    for (const { attnum, reads, plain } of outputs) {
      const [read] = plain ? reads : [];
      const classification = read && columns.get(read.relation)?.get(read.column);
      if (classification !== undefined) grew = set(columns, view, attnum, classification) || grew;
    }
  }
  return grew;
}
