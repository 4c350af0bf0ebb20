import { type Catalog, type CatalogRelation, commonColumns, type WrittenCode } from './catalog.ts';
import { isBuiltin } from './functions.ts';

/** The classifications that one caller may not see. Make it once and keep it: results are cached by it. */
export interface Hidden {
  readonly classifications: ReadonlySet<string>;
  /** Equal for equal sets. */
  readonly key: string;
}

export function hide(classifications: Iterable<string>): Hidden {
  const set = new Set(classifications);
  return {
    classifications: set,
    key: [...set]
      .sort()
      .map((name) => JSON.stringify(name))
      .join(','),
  };
}

/** A column that must not be read, and what to call it in a message. */
export interface HiddenColumn {
  readonly label: string;
  /** Its values can be masked in a reply, by table OID and attribute number. */
  readonly maskable: boolean;
}

/** What one name in a FROM list may stand for. */
export interface Table {
  /** For messages. */
  readonly name: string;
  /** Columns of any relation that it may stand for. Undefined: nobody knows, and none is hidden. */
  readonly columns: ReadonlySet<string> | undefined;
  /** Those of them for which `alias.name` is the column whichever relation it stands for, and not a function called with the row. */
  readonly certain: ReadonlySet<string> | undefined;
  readonly hidden: ReadonlyMap<string, HiddenColumn>;
  /** Reading all of it at once, as a row, reads something hidden. */
  readonly sensitive: boolean;
  /** Hidden values decide which rows it has, or writing to it reads them: why, for a message. */
  readonly shaped?: string;
  /** Code that nobody reviewed runs when it is written. */
  readonly runs?: WrittenCode;
}

const noColumns: ReadonlyMap<string, HiddenColumn> = new Map();
const systemColumns = ['ctid', 'tableoid', 'xmin', 'xmax', 'cmin', 'cmax'];

/** Something in a FROM list that holds nothing hidden: a sub-query, a function's result. */
export function clean(name: string, columns?: ReadonlySet<string>): Table {
  return { name, columns, certain: columns, hidden: noColumns, sensitive: false };
}

/** Does the catalog hold anything that this caller may not see? */
export function hidesAnything(catalog: Catalog, hidden: Hidden): boolean {
  for (const name of catalog.classifications) if (hidden.classifications.has(name)) return true;
  return false;
}

/** What a relation name may stand for; undefined when the catalog knows none of that name. search_path does not matter: any schema counts. */
export function tableNamed(
  catalog: Catalog,
  hidden: Hidden,
  schema: string | undefined,
  name: string,
): Table | undefined {
  const named = catalog.named(name);
  const temporary = schema === 'pg_temp';
  const candidates = schema === undefined || temporary ? named : named.filter((relation) => relation.schema === schema);
  if (candidates.length === 0) return undefined;
  const hiddenColumns = new Map<string, HiddenColumn>();
  for (const relation of candidates) addHidden(relation, hidden, hiddenColumns);
  const columns = new Set(systemColumns);
  for (const relation of candidates) for (const column of relation.columns) columns.add(column.name);
  const shaped = candidates.map((relation) => shapedBy(relation, hidden)).find((why) => why !== undefined);
  const runs = candidates.map(({ code }) => code).filter((code) => code !== undefined);
  return {
    name,
    columns,
    certain: certainColumns(catalog, columns, candidates),
    hidden: hiddenColumns,
    sensitive: hiddenColumns.size > 0 || shaped !== undefined,
    ...(shaped === undefined ? {} : { shaped }),
    ...(runs.length === 0
      ? {}
      : { runs: { functions: runs.flatMap((code) => code.functions), reads: runs.some((code) => code.reads) } }),
  };
}

function shapedBy({ name, derived }: CatalogRelation, hidden: Hidden): string | undefined {
  if (derived === undefined || derived.plain === true) return undefined;
  const from = derived.classifications.filter((one) => hidden.classifications.has(one));
  return from.length === 0 ? undefined : `${name} (comes from ${from.join(', ')})`;
}

function certainColumns(
  catalog: Catalog,
  columns: ReadonlySet<string>,
  candidates: readonly CatalogRelation[],
): ReadonlySet<string> {
  const certain = commonColumns(candidates);
  for (const name of systemColumns) certain.add(name);
  for (const name of columns) if (!isBuiltin(name) && !isFunctionOf(catalog, name)) certain.add(name);
  return certain;
}

function isFunctionOf({ opaqueFunctions, trustedFunctions, opaqueTypes }: Catalog, name: string): boolean {
  return opaqueFunctions.has(name) || trustedFunctions.has(name) || opaqueTypes.has(name);
}

function addHidden(relation: CatalogRelation, hidden: Hidden, into: Map<string, HiddenColumn>): void {
  for (const { name, classification } of relation.columns) {
    if (classification === undefined || !hidden.classifications.has(classification)) continue;
    if (!into.has(name)) into.set(name, { label: `${relation.name}.${name} (${classification})`, maskable: true });
  }
  const { derived } = relation;
  const from = derived?.classifications.filter((name) => hidden.classifications.has(name)) ?? [];
  if (derived === undefined || from.length === 0) return;
  const columns = derived.columns === 'all' ? relation.columns.map(({ name }) => name) : derived.columns;
  for (const name of columns) {
    // A classification of the column's own makes it maskable, whatever it comes from.
    const own = relation.columns.find((column) => column.name === name)?.classification;
    if (own !== undefined) continue;
    into.set(name, { label: `${relation.name}.${name} (comes from ${from.join(', ')})`, maskable: false });
  }
}
