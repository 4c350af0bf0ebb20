import { as, constantText, eachChild, type Fields, listOf, namesIn, unwrap } from './node.ts';

/**
 * Does this WHERE really leave rows out? Some conjunct must compare a plain column with something that does not depend on the
 * row. What is true for every row does not count: `1 = 1`, `id = id`, `id IS NOT NULL`, `id <> 0`, `… OR …`, `NOT …`, `LIKE '%'`.
 * `targets` are the names by which the changed table's columns can be qualified; undefined where any column will do. `knows` tells
 * a column of a sub-select's own from one of the changed row: what is not known to be its own is not believed to be.
 */
export function restricts(where: unknown, targets?: ReadonlySet<string>, knows: KnowsColumn = nothing): boolean {
  const node = unwrap(where);
  if (node === undefined) return false;
  const [kind, fields] = node;
  if (kind === 'CurrentOfExpr') return true;
  if (kind === 'BoolExpr')
    return fields.boolop === 'AND_EXPR' && listOf(fields.args).some((part) => restricts(part, targets));
  if (kind === 'SubLink') return isMembership(fields, targets);
  if (kind === 'A_Expr') return isComparison(fields, targets);
  return false;
}

const orderings = new Set(['=', '<', '<=', '>', '>=']);
const patterns = new Set(['~~', '~~*']);

function isComparison(expression: Fields, targets: ReadonlySet<string> | undefined): boolean {
  const { kind, lexpr, rexpr } = expression;
  const operator = namesIn(expression.name).at(-1) ?? '';
  switch (kind) {
    case 'AEXPR_OP':
      if (!orderings.has(operator)) return false;
      return (isColumn(lexpr, targets) && isFixed(rexpr)) || (isColumn(rexpr, targets) && isFixed(lexpr));
    case 'AEXPR_IN':
    case 'AEXPR_OP_ANY':
      return operator === '=' && isColumn(lexpr, targets) && isFixed(rexpr);
    case 'AEXPR_BETWEEN':
    case 'AEXPR_BETWEEN_SYM':
      return isColumn(lexpr, targets) && isFixed(rexpr);
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
      return patterns.has(operator) && isColumn(lexpr, targets) && isNarrowPattern(rexpr);
    case 'AEXPR_NOT_DISTINCT':
      return isColumn(lexpr, targets) && isFixed(rexpr);
    default:
      return false;
  }
}

/** `column IN (SELECT …)`, `column = ANY (SELECT …)`, where the sub-select is itself restricted. */
function isMembership(link: Fields, targets: ReadonlySet<string> | undefined): boolean {
  if (link.subLinkType !== 'ANY_SUBLINK' || !isColumn(link.testexpr, targets)) return false;
  const operator = namesIn(link.operName).at(-1);
  return (operator === undefined || operator === '=') && isRestrictedSelect(link.subselect);
}

/** A plain column, or one whose spelling does not matter: `lower(c)`, `c::text`. */
function isColumn(value: unknown, targets: ReadonlySet<string> | undefined): boolean {
  const column = as('ColumnRef', value);
  if (column !== undefined) {
    const names = namesIn(column.fields);
    return names.at(-1) !== '*' && (names.length === 1 || targets === undefined || targets.has(names.at(-2) ?? ''));
  }
  const cast = as('TypeCast', value);
  if (cast !== undefined)
    return !isBoolean(cast.typeName) && as('ColumnRef', cast.arg) !== undefined && isColumn(cast.arg, targets);
  const call = as('FuncCall', value);
  if (call === undefined) return false;
  const name = namesIn(call.funcname).at(-1);
  return (
    (name === 'lower' || name === 'upper') && listOf(call.args).length === 1 && isColumn(listOf(call.args)[0], targets)
  );
}

function isBoolean(typeName: unknown): boolean {
  return (
    namesIn((typeName as Fields | undefined)?.names)
      .at(-1)
      ?.startsWith('bool') === true
  );
}

/** The same for every row: no column in it, and sub-selects only if they are restricted themselves. */
function isFixed(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0 && value.every(isFixed);
  const node = unwrap(value);
  if (node === undefined) return false;
  const [kind, fields] = node;
  if (kind === 'ColumnRef' || kind === 'SetToDefault') return false;
  if (kind === 'SubLink') return fields.subLinkType === 'EXPR_SUBLINK' && isRestrictedSelect(fields.subselect);
  let fixed = true;
  eachChild(kind, fields, (child, childFields) => {
    fixed &&= isFixed({ [child]: childFields });
  });
  return fixed;
}

/** Reads from somewhere, chooses rows there, and returns something of its own rather than a column of the outer statement. */
function isRestrictedSelect(select: unknown): boolean {
  const fields = as('SelectStmt', select);
  if (fields === undefined || fields.op !== 'SETOP_NONE' || listOf(fields.fromClause).length === 0) return false;
  const inner = new Set<string>();
  for (const item of listOf(fields.fromClause)) collectAliases(item, inner);
  const outputs = listOf(fields.targetList).map((target) => as('ResTarget', target)?.val);
  return outputs.every((output) => isColumn(output, inner) || isFixed(output)) && restricts(fields.whereClause, inner);
}

function collectAliases(item: unknown, into: Set<string>): void {
  const node = unwrap(item);
  if (node === undefined) return;
  const [kind, fields] = node;
  const alias = (fields.alias as Fields | undefined)?.aliasname;
  if (kind === 'JoinExpr') {
    collectAliases(fields.larg, into);
    collectAliases(fields.rarg, into);
  }
  if (typeof alias === 'string') into.add(alias);
  else if (kind === 'RangeVar') into.add(String(fields.relname));
}

/** A constant pattern made of nothing but wildcards leaves nothing out; a computed one might not either. */
function isNarrowPattern(value: unknown): boolean {
  if (as('ParamRef', value) !== undefined) return true;
  const pattern = constantText(value);
  return pattern !== undefined && /[^%_\\\s]/.test(pattern);
}
