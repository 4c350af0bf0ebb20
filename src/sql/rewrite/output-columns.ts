import { as, type Fields, listOf, namesIn, text, unwrap } from '../node.ts';
import { findSource, type Level } from './scope.ts';

/** The names of a SELECT list's columns; undefined where they are not plain to see. */
export function outputColumns(fields: Fields, level: Level): readonly string[] | undefined {
  const [values] = listOf(fields.valuesLists);
  if (values !== undefined) return listOf(as('List', values)?.items).map((_, index) => `column${index + 1}`);
  const names: string[] = [];
  for (const item of listOf(fields.targetList)) {
    const target = as('ResTarget', item) ?? {};
    const found = text(target.name) ?? nameOf(target.val, level);
    if (found === undefined) return undefined;
    if (typeof found === 'string') names.push(found);
    else names.push(...found);
  }
  return names;
}

/** As FigureColname does for the plain cases. */
function nameOf(value: unknown, level: Level): string | readonly string[] | undefined {
  const [kind, fields] = unwrap(value) ?? ['', {}];
  if (kind === 'FuncCall') return namesIn(fields.funcname).at(-1);
  if (kind === 'A_Expr' && fields.kind === 'AEXPR_NULLIF') return 'nullif';
  if (kind === 'A_Const' || kind === 'A_Expr' || kind === 'BoolExpr' || kind === 'ParamRef' || kind === 'NullTest')
    return '?column?';
  if (kind !== 'ColumnRef') return undefined;
  const path = namesIn(fields.fields);
  if (path.at(-1) !== '*') return path.at(-1);
  if (path.length > 1) return findSource(path.at(-2) ?? '', level)?.columns;
  const [only] = level.sources;
  return level.sources.length === 1 ? only?.columns : undefined;
}
