import { takesNames } from './functions.ts';
import { as, eachChild, eachNode, type Fields, listOf, namesIn, unwrap } from './node.ts';
import type { Statement } from './parse.ts';

const plain = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt']);
const patternKinds = new Set(['AEXPR_LIKE', 'AEXPR_ILIKE', 'AEXPR_SIMILAR']);

/**
 * Is it certain that no literal in these statements can change what they do, what they touch, or whether that is safe? Then every
 * text of the same shape is classified alike. One plain SELECT, INSERT, UPDATE or DELETE, in which no literal is a position, a name,
 * a pattern that decides whether a WHERE restricts anything, or text to be run.
 */
export function shapeSafe(statements: readonly Statement[]): boolean {
  const [statement] = statements;
  return (
    statements.length === 1 &&
    statement !== undefined &&
    plain.has(statement.kind) &&
    isSafe(statement.kind, statement.fields)
  );
}

function isSafe(kind: string, fields: Fields): boolean {
  switch (kind) {
    case 'SelectStmt':
      if (fields.intoClause !== undefined || hasPositions(fields)) return false;
      break;
    case 'UpdateStmt':
    case 'DeleteStmt':
      // Whether the WHERE of a change restricts anything depends on the patterns in it.
      if (holdsPattern(fields.whereClause)) return false;
      break;
    case 'FuncCall': {
      const name = namesIn(fields.funcname).at(-1) ?? '';
      if (takesNames(name)) return false;
      break;
    }
    case 'TypeName':
      if (namesIn(fields.names).at(-1)?.startsWith('reg') === true) return false;
      break;
    case 'ColumnDef':
    case 'MergeStmt':
    case 'JsonTable':
    case 'RangeTableFunc':
      return false;
    default:
      if (kind.endsWith('Stmt') && !plain.has(kind)) return false;
  }
  let safe = true;
  eachChild(kind, fields, (child, inner) => {
    safe = safe && isSafe(child, inner);
  });
  return safe;
}

/** `ORDER BY 2`, `GROUP BY 1`, `DISTINCT ON (1)`: the literal says which column. */
function hasPositions(select: Fields): boolean {
  const items = [
    select.groupClause,
    select.distinctClause,
    listOf(select.sortClause).map((item) => as('SortBy', item)?.node),
  ];
  return items.some((list) => listOf(list).some(isPosition));
}

function isPosition(item: unknown): boolean {
  const node = unwrap(item);
  if (node === undefined) return false;
  const [kind, fields] = node;
  if (kind === 'A_Const') return true;
  return (kind === 'GroupingSet' || kind === 'RowExpr') && listOf(fields.content ?? fields.args).some(isPosition);
}

function holdsPattern(value: unknown): boolean {
  let found = false;
  eachNode(value, (kind, fields) => {
    found ||= kind === 'A_Expr' && patternKinds.has(String(fields.kind));
    if (!found) eachChild(kind, fields, (child, inner) => (found ||= holdsPattern({ [child]: inner })));
  });
  return found;
}
