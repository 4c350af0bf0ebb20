import type { Names } from './names.ts';

export interface CatalogColumn {
  /** As stored: lower case unless it was quoted. */
  readonly name: string;
  readonly attnum: number;
  readonly typeOid: number;
  /** The label of what it holds, such as `pii.ssn`. The gateway can mask it by the relation's oid and this attnum. */
  readonly classification?: string;
  /** Where the catalog was read with it (see rewrite/column-types.ts): what a mask of the column has to be. */
  readonly type?: ColumnType;
  /** Computed from other columns: COPY leaves it out. */
  readonly generated?: boolean;
}

/** A column's type as SQL in which every name is qualified, such as `pg_catalog.varchar(20)`, so that search_path does not matter. */
export interface ColumnType {
  readonly sql: string;
  /** The type below any domains. */
  readonly base: {
    readonly sql: string;
    /** Name of a plain type of pg_catalog, such as `int4`; undefined for arrays, enums, composite and other people's types. */
    readonly name?: string;
    /** Of `varchar(n)` and `char(n)`. */
    readonly length?: number;
  };
  /** Set for domains. `notNull`: it does not take null. */
  readonly domain?: { readonly schema: string; readonly name: string; readonly notNull: boolean };
  /** Where it is not the type's own; as SQL. */
  readonly collation?: string;
}

export interface CatalogRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** pg_class.relkind: r, p, v, m, f, S, … */
  readonly kind: string;
  /** Live columns, in order of attnum. */
  readonly columns: readonly CatalogColumn[];
  /**
   * What comes from classified columns of other relations without a classification of its own, so that it cannot be masked: in views,
   * materialized views, children, foreign tables. `classifications` are those it comes from. `plain`: they do not decide which rows
   * there are, so that the other columns, and their number, tell nothing.
   */
  readonly derived?: {
    readonly columns: readonly string[] | 'all';
    readonly classifications: readonly string[];
    readonly plain?: boolean;
  };
  /** Code that writing to it runs and nobody reviewed: triggers, defaults, policies, checks. */
  readonly code?: WrittenCode;
  /** Names of the columns of a primary key that is not deferrable; where the catalog was read with it. */
  readonly primaryKey?: readonly string[];
  /** The query of a view with every name outside pg_catalog qualified; where the catalog was read with it. */
  readonly definition?: string;
}

export interface WrittenCode {
  /** `schema.name`, for messages. */
  readonly functions: readonly string[];
  /** It may read what is classified in other relations, and so tell or copy it whatever the statement is. */
  readonly reads: boolean;
}

/** What a target's catalog looked like at one time. System schemas (pg_catalog, information_schema, pg_toast) are left out. */
export interface CatalogSnapshot {
  /** Changes whenever anything in the snapshot does. */
  readonly version: string;
  readonly relations: readonly CatalogRelation[];
  /**
   * Names of functions, operators and types outside pg_catalog that run code nobody has looked at: all that are not trusted.
   * Types: domains with checks, base types, what a cast makes, and whatever holds one of those. As stored, unqualified; a type of
   * pg_catalog that a cast of somebody's makes is there a second time, as `pg_catalog.name`.
   */
  readonly opaqueFunctions: ReadonlySet<string>;
  readonly opaqueOperators: ReadonlySet<string>;
  readonly opaqueTypes: ReadonlySet<string>;
  /** Names of functions and operators outside pg_catalog that only compute from their arguments (trusted extensions, reviewed ones). */
  readonly trustedFunctions: ReadonlySet<string>;
  readonly trustedOperators: ReadonlySet<string>;
}

/** A snapshot that can be asked by name. */
export interface Catalog extends CatalogSnapshot {
  /** Every relation of this name, in whatever schema. */
  named(name: string): readonly CatalogRelation[];
  /** Every classification that occurs. */
  readonly classifications: ReadonlySet<string>;
}

export function catalogOf(snapshot: CatalogSnapshot): Catalog {
  const byName = new Map<string, CatalogRelation[]>();
  const classifications = new Set<string>();
  for (const relation of snapshot.relations) {
    const same = byName.get(relation.name);
    if (same === undefined) byName.set(relation.name, [relation]);
    else same.push(relation);
    for (const column of relation.columns)
      if (column.classification !== undefined) classifications.add(column.classification);
    for (const name of relation.derived?.classifications ?? []) classifications.add(name);
  }
  return { ...snapshot, classifications, named: (name) => byName.get(name) ?? [] };
}

/** Nothing is known and nothing is classified. */
export const emptyCatalog: Catalog = catalogOf({
  version: '',
  relations: [],
  opaqueFunctions: new Set(),
  opaqueOperators: new Set(),
  opaqueTypes: new Set(),
  trustedFunctions: new Set(),
  trustedOperators: new Set(),
});

/** Names as this catalog has them: an unqualified relation may be any of that name, in whatever schema. */
export function namesFrom(catalog: Catalog): Names {
  // No more than the catalog has relations.
  const columns = new Map<string, ReadonlySet<string>>();
  return {
    schemasOf: (relation) => [...new Set(catalog.named(relation).map(({ schema }) => schema))],
    opaqueFunctions: catalog.opaqueFunctions,
    opaqueOperators: catalog.opaqueOperators,
    opaqueTypes: catalog.opaqueTypes,
    trustedFunctions: catalog.trustedFunctions,
    columnsOf(schema, relation) {
      const named = catalog.named(relation);
      const candidates = schema === undefined ? named : named.filter((one) => one.schema === schema);
      if (candidates.length === 0) return undefined;
      const key = JSON.stringify([schema, relation]);
      let common = columns.get(key);
      if (common === undefined) {
        common = commonColumns(candidates);
        columns.set(key, common);
      }
      return common;
    },
  };
}

/** The columns that each of these relations has. */
export function commonColumns(relations: readonly CatalogRelation[]): Set<string> {
  const [first, ...others] = relations.map(({ columns }) => new Set(columns.map(({ name }) => name)));
  const common = new Set<string>();
  for (const name of first ?? []) if (others.every((columns) => columns.has(name))) common.add(name);
  return common;
}
