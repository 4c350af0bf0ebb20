import type { HiddenColumn, Table } from './hidden.ts';

/** One name in a FROM list, or the target of a change. */
export interface Source {
  readonly alias: string;
  readonly table: Table;
  /** Its columns can only be named with the alias in front. */
  readonly qualifiedOnly?: boolean;
}

/** What names mean in one statement or sub-query. Inner ones see outer ones. */
export interface Scope {
  readonly sources: Source[];
  readonly parent: Scope | undefined;
  /** Names that are common table expressions here, rather than relations. */
  readonly ctes: ReadonlySet<string>;
}

export function scopeIn(parent: Scope | undefined, ctes: ReadonlySet<string>): Scope {
  return { sources: [], parent, ctes };
}

/** What a column reference may mean. More than the server would find: a reference counts for every level that has such a name. */
export type Meaning =
  | { readonly kind: 'hidden'; readonly column: HiddenColumn }
  | { readonly kind: 'row'; readonly source: Source }
  /** It may be a column that the catalog snapshot does not know, or a function called with the row. */
  | { readonly kind: 'unknown'; readonly source?: Source }
  | { readonly kind: 'clean' };

/**
 * Resolves `column` or `qualifier.column`. Deliberately ignores which level or sibling the server would choose: what it cannot see
 * here (LATERAL order, relations of the same name elsewhere) could otherwise turn a hidden column into a harmless one.
 */
export function meaningOf(path: readonly string[], scope: Scope): Meaning {
  return path.length === 1 ? unqualified(path[0] ?? '', scope) : qualified(path.at(-2) ?? '', path.at(-1) ?? '', scope);
}

function unqualified(name: string, scope: Scope): Meaning {
  let known = false;
  let sensitive = false;
  let best: HiddenColumn | undefined;
  for (const source of sourcesFrom(scope)) {
    if (source.qualifiedOnly === true) continue;
    const { table } = source;
    best = worse(best, table.hidden.get(name));
    known ||= table.columns === undefined || table.columns.has(name);
    sensitive ||= table.sensitive;
  }
  if (best !== undefined) return { kind: 'hidden', column: best };
  for (const source of sourcesFrom(scope))
    if (source.alias === name && source.table.sensitive) return { kind: 'row', source };
  return !known && sensitive ? { kind: 'unknown' } : { kind: 'clean' };
}

function qualified(qualifier: string, name: string, scope: Scope): Meaning {
  let found = false;
  let sensitive = false;
  let best: HiddenColumn | undefined;
  let unknown: Source | undefined;
  for (const source of sourcesFrom(scope)) {
    sensitive ||= source.table.sensitive;
    if (source.alias !== qualifier) continue;
    found = true;
    best = worse(best, source.table.hidden.get(name));
    if (source.table.sensitive && source.table.certain?.has(name) !== true) unknown = source;
  }
  if (best !== undefined) return { kind: 'hidden', column: best };
  if (unknown !== undefined) return { kind: 'unknown', source: unknown };
  return !found && sensitive ? { kind: 'unknown' } : { kind: 'clean' };
}

/** A column that cannot be masked outweighs one that can. */
function worse(one: HiddenColumn | undefined, other: HiddenColumn | undefined): HiddenColumn | undefined {
  return other === undefined || one?.maskable === false ? one : other;
}

/** The sources that `*` or `alias.*` stands for. */
export function starSources(path: readonly string[], scope: Scope): readonly Source[] {
  if (path.length === 1) return scope.sources.filter((source) => source.qualifiedOnly !== true);
  return [...sourcesFrom(scope)].filter(({ alias }) => alias === path.at(-2));
}

/** Innermost first. */
function* sourcesFrom(scope: Scope): Iterable<Source> {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) yield* at.sources;
}
