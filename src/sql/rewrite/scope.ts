import type { MaskedColumn, Protection } from './protection.ts';
import type { Replacement } from './replacement.ts';

/** One name in a FROM list, or the target of a change. */
export interface Source {
  readonly alias: string;
  /** Names of its columns, in order; undefined: nobody knows. */
  readonly columns: readonly string[] | undefined;
  /** Columns that hold masks (or, in a target, what must be masked), by the names they have here. */
  readonly masked: ReadonlyMap<string, MaskedColumn>;
  /** Masked columns may be in it under any name. */
  readonly anywhere?: boolean;
  /** A table without an alias can be called by schema and name. */
  readonly path?: readonly [schema: string, name: string];
  /** A relation, with ctid and the like. */
  readonly table?: boolean;
  readonly replacement?: Replacement;
  /** It is what a statement changes, and stays the table itself: only expressions can be masked. */
  readonly target?: Protection;
  /** Its columns can only be named with the alias in front. */
  readonly qualifiedOnly?: boolean;
  /** USING or NATURAL makes one of its columns and others: `*` shows them once. */
  merged?: boolean;
  /** Columns that the outputs of the query look at, for GROUP BY. */
  readonly used: Set<string>;
}

/** What names mean in one query. Inner ones see outer ones. */
export interface Level {
  readonly sources: Source[];
  readonly parent: Level | undefined;
  readonly ctes: Ctes;
}

/** Common table expressions by name, with their columns where these are known. */
export type Ctes = ReadonlyMap<string, readonly string[] | undefined>;

export const noCtes: Ctes = new Map();

export function levelIn(parent: Level | undefined, ctes: Ctes, sources: Source[] = []): Level {
  return { sources, parent, ctes };
}

export const systemColumns: ReadonlySet<string> = new Set(['ctid', 'tableoid', 'xmin', 'xmax', 'cmin', 'cmax']);

/** What a column's name may mean: in the order in which the server looks, up to where it surely ends. */
export interface Found {
  readonly sources: readonly Source[];
  /** The last of them has such a column. */
  readonly certain: boolean;
}

export function findColumn(qualifier: string | undefined, name: string, from: Level): Found {
  const found: Source[] = [];
  for (let level: Level | undefined = from; level !== undefined; level = level.parent) {
    let certain = false;
    for (const source of level.sources) {
      if (qualifier === undefined ? source.qualifiedOnly === true : source.alias !== qualifier) continue;
      const has = hasColumn(source, name);
      if (has !== false || qualifier !== undefined) found.push(source);
      certain ||= has === true || qualifier !== undefined;
    }
    if (certain) return { sources: found, certain };
  }
  return { sources: found, certain: false };
}

function hasColumn(source: Source, name: string): boolean | undefined {
  if (source.columns?.includes(name) === true) return true;
  if (systemColumns.has(name) && (source.table === true || source.target !== undefined)) return true;
  return source.columns === undefined ? undefined : false;
}

/** The innermost source of this name. */
export function findSource(alias: string, from: Level): Source | undefined {
  for (let level: Level | undefined = from; level !== undefined; level = level.parent) {
    const found = level.sources.find((source) => source.alias === alias);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The innermost table without an alias that is called so. */
export function findTable(schema: string, name: string, from: Level): Source | undefined {
  for (let level: Level | undefined = from; level !== undefined; level = level.parent) {
    const found = level.sources.find(({ path }) => path?.[0] === schema && path[1] === name);
    if (found !== undefined) return found;
  }
  return undefined;
}
