import { as, constantText, eachChild, type Fields, listOf, namesIn, unwrap } from './node.ts';

/**
 * Does this WHERE really leave rows out? Some conjunct must compare a plain column with something that does not depend on the
 * row. What is true for every row does not count: `1 = 1`, `id = id`, `id IS NOT NULL`, `id <> 0`, `… OR …`, `NOT …`, `LIKE '%'`.
 * `targets` are the names by which the changed table's columns can be qualified; undefined where any column will do. `knows` tells
 * a column of a sub-select's own from one of the changed row: what is not known to be its own is not believed to be.
 */
export function restricts(where: unknown, targets?: ReadonlySet<string>, knows: KnowsColumn = nothing): boolean {
  return chooses(where, { targets, knows });
}

/** Is it certain that this relation node is a relation with such a column? */
export type KnowsColumn = (relation: Fields, column: string) => boolean;
const nothing: KnowsColumn = () => false;

interface Context {
  readonly targets: ReadonlySet<string> | undefined;
  readonly knows: KnowsColumn;
  /** Where a column without a qualifier could be that of an outer statement: those that are certainly not. */
  readonly own?: (column: string) => boolean;
}

function chooses(where: unknown, context: Context): boolean {
  const node = unwrap(where);
  if (node === undefined) return false;
  const [kind, fields] = node;
  if (kind === 'CurrentOfExpr') return true;
  if (kind === 'BoolExpr')
    return fields.boolop === 'AND_EXPR' && listOf(fields.args).some((part) => chooses(part, context));
  if (kind === 'SubLink') return isMembership(fields, context);
  if (kind === 'A_Expr') return isComparison(fields, context);
  return false;
}

const orderings = new Set(['=', '<', '<=', '>', '>=']);
const patterns = new Set(['~~', '~~*']);

function isComparison(expression: Fields, context: Context): boolean {
  const { kind, lexpr, rexpr } = expression;
  const operator = namesIn(expression.name).at(-1) ?? '';
  switch (kind) {
    case 'AEXPR_OP':
      if (!orderings.has(operator)) return false;
      return (
        (isColumn(lexpr, context) && isFixed(rexpr, context)) || (isColumn(rexpr, context) && isFixed(lexpr, context))
      );
    case 'AEXPR_IN':
    case 'AEXPR_OP_ANY':
      return operator === '=' && isColumn(lexpr, context) && isFixed(rexpr, context);
    case 'AEXPR_BETWEEN':
    case 'AEXPR_BETWEEN_SYM':
      return isColumn(lexpr, context) && isFixed(rexpr, context);
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
      return patterns.has(operator) && isColumn(lexpr, context) && isNarrowPattern(rexpr);
    case 'AEXPR_NOT_DISTINCT':
      return isColumn(lexpr, context) && isFixed(rexpr, context);
    default:
      return false;
  }
}

/** `column IN (SELECT …)`, `column = ANY (SELECT …)`, where the sub-select is itself restricted. */
function isMembership(link: Fields, context: Context): boolean {
  if (link.subLinkType !== 'ANY_SUBLINK' || !isColumn(link.testexpr, context)) return false;
  const operator = namesIn(link.operName).at(-1);
  return (operator === undefined || operator === '=') && isRestrictedSelect(link.subselect, context);
}

/** A plain column, or one whose spelling does not matter: `lower(c)`, `c::text`. */
function isColumn(value: unknown, context: Context): boolean {
  const column = as('ColumnRef', value);
  if (column !== undefined) {
    const names = namesIn(column.fields);
    const last = names.at(-1) ?? '*';
    if (last === '*') return false;
    if (names.length === 1) return context.own === undefined || context.own(last);
    return context.targets === undefined || context.targets.has(names.at(-2) ?? '');
  }
  const cast = as('TypeCast', value);
  if (cast !== undefined)
    return !isBoolean(cast.typeName) && as('ColumnRef', cast.arg) !== undefined && isColumn(cast.arg, context);
  const call = as('FuncCall', value);
  if (call === undefined) return false;
  const name = namesIn(call.funcname).at(-1);
  return (
    (name === 'lower' || name === 'upper') && listOf(call.args).length === 1 && isColumn(listOf(call.args)[0], context)
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
function isFixed(value: unknown, context: Context): boolean {
  if (Array.isArray(value)) return value.length > 0 && value.every((item) => isFixed(item, context));
  const node = unwrap(value);
  if (node === undefined) return false;
  const [kind, fields] = node;
  if (kind === 'ColumnRef' || kind === 'SetToDefault') return false;
  if (kind === 'SubLink') return fields.subLinkType === 'EXPR_SUBLINK' && isRestrictedSelect(fields.subselect, context);
  let fixed = true;
  eachChild(kind, fields, (child, childFields) => {
    fixed &&= isFixed({ [child]: childFields }, context);
  });
  return fixed;
}

/** Reads from somewhere, chooses rows there, and returns something of its own rather than a column of the outer statement. */
function isRestrictedSelect(select: unknown, outer: Context): boolean {
  const fields = as('SelectStmt', select);
  if (fields === undefined || fields.op !== 'SETOP_NONE' || listOf(fields.fromClause).length === 0) return false;
  const inner = new Set<string>();
  const relations: Fields[] = [];
  for (const item of listOf(fields.fromClause)) collectSources(item, inner, relations);
  // Names of its own WITH are no relations.
  const knows = fields.withClause === undefined ? outer.knows : nothing;
  const context: Context = { targets: inner, knows };
  const outputs: Context = { ...context, own: (column) => relations.some((relation) => knows(relation, column)) };
  return (
    listOf(fields.targetList).every((target) => {
      const output = as('ResTarget', target)?.val;
      return isColumn(output, outputs) || isFixed(output, context);
    }) && chooses(fields.whereClause, context)
  );
}

function collectSources(item: unknown, aliases: Set<string>, relations: Fields[]): void {
  const node = unwrap(item);
  if (node === undefined) return;
  const [kind, fields] = node;
  const alias = (fields.alias as Fields | undefined)?.aliasname;
  // The alias of a join hides the names inside it.
  if (kind === 'JoinExpr' && alias === undefined) {
    collectSources(fields.larg, aliases, relations);
    collectSources(fields.rarg, aliases, relations);
  }
  if (typeof alias === 'string') aliases.add(alias);
  else if (kind === 'RangeVar') aliases.add(String(fields.relname));
  // A list of other names for its columns hides their own.
  if (kind === 'RangeVar' && (fields.alias as Fields | undefined)?.colnames === undefined) relations.push(fields);
}

/** A constant pattern made of nothing but wildcards leaves nothing out; a computed one might not either. */
function isNarrowPattern(value: unknown): boolean {
  if (as('ParamRef', value) !== undefined) return true;
  const pattern = constantText(value);
  return pattern !== undefined && /[^%_\\\s]/.test(pattern);
}
