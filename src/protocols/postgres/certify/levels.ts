import { isNode, type Node, UnknownTree, type Value } from './tree.ts';
import { atom, items, nodeOf, number, numbers } from './values.ts';

/** One column that a query puts out. */
export interface Output {
  /** The hidden column that it is, unchanged. */
  readonly read: { readonly relation: number; readonly column: number } | undefined;
  /** Where a description of the result says that it comes from: relation and column. */
  readonly origin: readonly [number, number];
}

/** An entry of a range table. `computed`: functions, lists of values, groups. */
export interface Range {
  readonly kind: 'relation' | 'subquery' | 'join' | 'cte' | 'computed' | 'nothing';
  readonly node: Node;
  /** OID; 0 for what is no relation. */
  readonly relation: number;
  readonly relkind: string;
  /** Which of its columns the server says are read, as bits. */
  readonly selected: readonly number[];
  /** Columns that some Var of the tree reads. */
  readonly seen: Set<number>;
  outputs: readonly Output[] | 'busy' | undefined;
}

/** What names and numbers mean inside one query. */
export interface Level {
  readonly parent: Level | undefined;
  readonly ranges: readonly Range[];
  /** Undefined while it is not known. */
  readonly ctes: Map<string, readonly Output[] | undefined>;
  readonly excluded: Range | undefined;
}

/** RTEKind of parsenodes.h; 7 is a trigger's transition table. */
const kinds: readonly (Range['kind'] | undefined)[] = [
  'relation',
  'subquery',
  'join',
  'computed',
  'computed',
  'computed',
  'cte',
  undefined,
  'nothing',
  'computed',
];

export function rangesOf(query: Node): readonly Range[] {
  const permissions = query.fields.rteperminfos !== undefined ? items(query, 'rteperminfos') : undefined;
  return items(query, 'rtable').map((item) => {
    const node = nodeOf(item, 'RANGETBLENTRY');
    const kind = kinds[number(node, 'rtekind')];
    if (kind === undefined) throw new UnknownTree('an entry of the range table is of no known kind');
    const isRelation = kind === 'relation';
    return {
      kind,
      node,
      relation: isRelation ? number(node, 'relid') : 0,
      relkind: isRelation ? atom(node, 'relkind') : '',
      selected: isRelation ? selectedIn(node, permissions) : [],
      seen: new Set(),
      outputs: undefined,
    };
  });
}

/** Servers up to 15 keep it in the entry itself, newer ones in a list beside the range table. */
function selectedIn(node: Node, permissions: readonly Value[] | undefined): readonly number[] {
  if (permissions === undefined) return numbers(node.fields.selectedCols, 'b');
  const index = number(node, 'perminfoindex');
  if (index === 0) return [];
  const permission = permissions[index - 1];
  if (!isNode(permission) || number(permission, 'relid') !== number(node, 'relid'))
    throw new UnknownTree('a relation has no permissions');
  return numbers(permission.fields.selectedCols, 'b');
}
