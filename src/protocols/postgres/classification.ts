import { qualified, type Schema, type SchemaRelation } from './schema.ts';
import { parseColumnName } from './settings.ts';
import { trusts } from './trusted-code.ts';

/** What a schema holds that is classified, by the configuration and by what follows from it. */
export interface Classification {
  /** relation → column → classification: listed columns, and columns that hold the same data (children, parents, generated). */
  readonly columns: ReadonlyMap<number, ReadonlyMap<number, string>>;
  /** relation → why: views, materialized views and rules that read classified data. Any of their columns may carry it. */
  readonly derived: ReadonlyMap<number, Derived>;
  /** Entries of `classify` for which there is no column. */
  readonly missing: readonly string[];
}

export interface Derived {
  /** Which classifications its data may have, sorted; all of them when it calls a function that nobody vouched for. */
  readonly classifications: readonly string[];
  /** For the operator: `reads public.customers.ssn`, `calls public.f`. */
  readonly reasons: readonly string[];
}

type Columns = Map<number, Map<number, string>>;

/** Follows classified data through inheritance, generated columns, views and rules. What cannot be followed counts as classified. */
export function classify(
  schema: Schema,
  listed: Readonly<Record<string, string>>,
  allowFunctions: ReadonlySet<string>,
): Classification {
  const byOid = new Map(schema.relations.map((relation) => [relation.oid, relation]));
  const { columns, missing } = resolve(schema, listed);
  while (spread(schema, byOid, columns));
  return {
    columns,
    derived: columns.size === 0 ? new Map() : follow(schema, byOid, columns, allowFunctions),
    missing,
  };
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
 * parents, which show the rows of the children; along to generated columns.
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
  return grew;
}

function follow(
  schema: Schema,
  byOid: ReadonlyMap<number, SchemaRelation>,
  columns: Columns,
  allowFunctions: ReadonlySet<string>,
): ReadonlyMap<number, Derived> {
  const found = new Map<number, { classifications: Set<string>; reasons: Set<string> }>();
  const note = (relation: number, reason: string, classifications: Iterable<string>): boolean => {
    const entry = found.get(relation) ?? { classifications: new Set<string>(), reasons: new Set<string>() };
    found.set(relation, entry);
    const before = entry.classifications.size + entry.reasons.size;
    entry.reasons.add(reason);
    for (const one of classifications) entry.classifications.add(one);
    return entry.classifications.size + entry.reasons.size > before;
  };
  const nameOf = (oid: number) => qualified(byOid.get(oid) ?? { schema: 'oid', name: String(oid) });

  const code = new Map(schema.functions.map((one) => [one.oid, one]));
  const everything = new Set([...columns.values()].flatMap((held) => [...held.values()]));
  for (const { relation, function: oid } of schema.ruleCalls) {
    const called = code.get(oid);
    // What a function reads is not in the catalog: what calls one may read anything.
    if (called === undefined || !trusts(called, allowFunctions))
      note(relation, `calls ${called ? qualified(called) : oid}`, everything);
  }
  for (let grew = true; grew; ) {
    grew = false;
    for (const { relation, reads, column, wholeRow } of schema.ruleReads) {
      if (relation === reads) continue;
      const classified = columns.get(reads);
      const one = classified?.get(column);
      const name = byOid.get(reads)?.columns.find((candidate) => candidate.attnum === column)?.name;
      if (one !== undefined) grew = note(relation, `reads ${nameOf(reads)}.${name ?? column}`, [one]) || grew;
      else if (wholeRow && classified !== undefined)
        grew = note(relation, `reads rows of ${nameOf(reads)}`, classified.values()) || grew;
      const through = found.get(reads);
      if (through !== undefined) grew = note(relation, `reads ${nameOf(reads)}`, through.classifications) || grew;
    }
  }
  return new Map(
    [...found].map(([oid, { classifications, reasons }]) => [
      oid,
      { classifications: [...classifications].sort(), reasons: [...reasons].sort() },
    ]),
  );
}
