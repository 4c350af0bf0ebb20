import { as, type Fields, fieldsOf, listOf, namesIn, unwrap } from '../node.ts';
import { quotedPath } from './quote.ts';
import type { Rewriting } from './rewriting.ts';
import { findColumn, type Level, type Source } from './scope.ts';

/** Types without equality cannot be grouped by. */
const ungroupable: ReadonlySet<string> = new Set([
  'json',
  'xml',
  'point',
  'polygon',
  'line',
  'path',
  'box',
  'lseg',
  'circle',
]);

/**
 * `GROUP BY c.id` lets a query show every column of a table whose primary key `id` is. A sub-select has no primary key, so the other
 * columns that the query shows are written into its GROUP BY, which changes nothing.
 */
export function keepGrouping(select: Fields, level: Level, rewriting: Rewriting): undefined {
  const items = listOf(select.groupClause);
  const [first] = items;
  if (first === undefined || !level.sources.some(({ replacement }) => replacement !== undefined)) return undefined;
  const grouped = new Map<Source, Set<string>>();
  for (const item of items) {
    const kind = unwrap(item)?.[0];
    if (kind !== 'ColumnRef' && kind !== 'A_Const') return undefined;
    const column = groupedColumn(item, select, level);
    if (column === undefined) continue;
    const known = grouped.get(column.source);
    if (known === undefined) grouped.set(column.source, new Set([column.name]));
    else known.add(column.name);
  }
  const added: string[] = [];
  for (const source of level.sources) {
    const relation = source.replacement?.protection.relation;
    const names = grouped.get(source);
    const key = relation?.primaryKey ?? [];
    if (relation === undefined || names === undefined || key.length === 0 || !key.every((name) => names.has(name)))
      continue;
    // Columns under other names than their own: the server says what to write.
    if (!relation.columns.every(({ name }, index) => source.columns?.[index] === name)) continue;
    for (const { name, type } of relation.columns) {
      if (names.has(name) || !source.used.has(name) || ungroupable.has(type?.base.name ?? '')) continue;
      added.push(quotedPath(source.alias, name));
    }
  }
  if (added.length > 0) rewriting.insertBefore(unwrap(first)?.[1] ?? {}, `${added.join(', ')}, `);
}

/** Which column of which source an item of GROUP BY is, also by its position in the SELECT list. */
function groupedColumn(
  item: unknown,
  select: Fields,
  level: Level,
): { readonly source: Source; readonly name: string } | undefined {
  const constant = as('A_Const', item);
  const value = constant === undefined ? item : shownAt(fieldsOf(constant.ival)?.ival, select);
  const path = namesIn(as('ColumnRef', value)?.fields);
  const name = path.at(-1);
  if (name === undefined || name === '*') return undefined;
  const { sources, certain } = findColumn(path.length > 1 ? path.at(-2) : undefined, name, level);
  const [source] = sources;
  return certain && sources.length === 1 && source !== undefined ? { source, name } : undefined;
}

/** What a SELECT list has at this position; undefined behind a star, which stands for many. */
function shownAt(position: unknown, select: Fields): unknown {
  if (typeof position !== 'number') return undefined;
  const targets = listOf(select.targetList).slice(0, position);
  if (targets.length < position) return undefined;
  const values = targets.map((target) => as('ResTarget', target)?.val);
  if (values.some((value) => namesIn(as('ColumnRef', value)?.fields).at(-1) === '*')) return undefined;
  return values.at(-1);
}
