import { field, isNode, nodesIn, readTree, type TreeNode, type TreeValue } from './node-tree.ts';

/** A column that a view reads; `column` 0 is the whole row. */
export interface ColumnRead {
  readonly relation: number;
  readonly column: number;
}

/** What a simple view is made of: rows of its relations, chosen by `chosenBy`, one for one. */
export interface ViewDefinition {
  readonly view: number;
  readonly outputs: readonly {
    readonly attnum: number;
    readonly reads: readonly ColumnRead[];
    /** It is that column, unchanged. */
    readonly plain: boolean;
  }[];
  /** What WHERE and join conditions look at. */
  readonly chosenBy: readonly ColumnRead[];
  readonly relations: readonly number[];
}

/** Parts of a query that may hold anything; every other part has to be empty. */
const filled: ReadonlySet<string> = new Set(
  'commandType querySource queryId canSetTag rtable rteperminfos jointree targetList stmt_location stmt_len'.split(' '),
);
const empty: ReadonlySet<unknown> = new Set(['<>', 'false', '0']);

/**
 * Reads a view's rule. Undefined for whatever is not plainly a SELECT of expressions from relations and joins of them: groups, sorting,
 * sub-queries, set operations, functions that make rows, sampling, limits.
 */
export function viewDefinition(view: number, action: string): ViewDefinition | undefined {
  const tree = readTree(action);
  if (!Array.isArray(tree) || tree.length !== 1) return undefined;
  const query = (tree as readonly TreeValue[])[0];
  if (!isNode(query) || query.kind !== 'QUERY' || field(query, 'commandType') !== '1') return undefined;
  for (const [name, values] of query.fields)
    if (!filled.has(name) && !(values.length === 1 && empty.has(values[0]))) return undefined;
  try {
    return followed(view, query);
  } catch (error) {
    if (error instanceof NotPlain) return undefined;
    throw error;
  }
}

class NotPlain extends Error {}

function followed(view: number, query: TreeNode): ViewDefinition {
  const ranges = list(field(query, 'rtable')).map(rangeOf);
  // Older servers list the view itself twice, as OLD and NEW; nothing reads those.
  const relations = ranges.filter((range) => range !== undefined && range !== view) as number[];
  const reads = (value: TreeValue | undefined): readonly ColumnRead[] => readsIn(value, ranges);
  return {
    view,
    outputs: list(field(query, 'targetList')).map((entry) => {
      if (!isNode(entry) || entry.kind !== 'TARGETENTRY' || field(entry, 'resjunk') !== 'false') throw new NotPlain();
      const expression = field(entry, 'expr');
      return {
        attnum: number(field(entry, 'resno')),
        reads: reads(expression),
        plain: isNode(expression) && expression.kind === 'VAR',
      };
    }),
    chosenBy: reads(field(query, 'jointree')),
    relations,
  };
}

/** OID of a relation in FROM; undefined for a join, whose own columns nothing may read. */
function rangeOf(entry: TreeValue): number | undefined {
  if (!isNode(entry) || (entry.kind !== 'RANGETBLENTRY' && entry.kind !== 'RTE')) throw new NotPlain();
  const kind = field(entry, 'rtekind');
  if (kind === '2') return undefined;
  if (kind !== '0' || field(entry, 'tablesample') !== '<>' || field(entry, 'securityQuals') !== '<>')
    throw new NotPlain();
  return number(field(entry, 'relid'));
}

function readsIn(value: TreeValue | undefined, ranges: readonly (number | undefined)[]): readonly ColumnRead[] {
  const found: ColumnRead[] = [];
  for (const node of nodesIn(value)) {
    if (node.kind === 'QUERY' || node.kind === 'SUBLINK') throw new NotPlain();
    if (node.kind !== 'VAR') continue;
    const relation = ranges[number(field(node, 'varno')) - 1];
    if (relation === undefined || field(node, 'varlevelsup') !== '0') throw new NotPlain();
    found.push({ relation, column: number(field(node, 'varattno')) });
  }
  return found;
}

function list(value: TreeValue | undefined): readonly TreeValue[] {
  if (!Array.isArray(value)) throw new NotPlain();
  return value as readonly TreeValue[];
}

function number(value: TreeValue | undefined): number {
  if (typeof value !== 'string' || !/^-?\d{1,10}$/.test(value)) throw new NotPlain();
  return Number(value);
}
