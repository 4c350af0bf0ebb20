import { type Fields, listOf, namesIn } from './node.ts';

/** The operators that an expression node uses, written or implied, as (qualified) names. */
export function operatorsOf(kind: string, fields: Fields): readonly (readonly string[])[] {
  switch (kind) {
    case 'A_Expr': {
      const name = namesIn(fields.name);
      return String(fields.kind).includes('BETWEEN') ? [['<='], ['>=']] : [name];
    }
    case 'SubLink': {
      if (fields.testexpr === undefined) return [];
      return [fields.operName === undefined ? ['='] : namesIn(fields.operName)];
    }
    case 'SortBy':
      return listOf(fields.useOp).length > 0 ? [namesIn(fields.useOp)] : [];
    case 'CaseExpr':
      return fields.arg === undefined ? [] : [['=']];
    case 'JoinExpr':
      return fields.isNatural === true || listOf(fields.usingClause).length > 0 ? [['=']] : [];
    default:
      return [];
  }
}

/** `opaque` as in `CatalogSnapshot.opaqueTypes`. */
export function isOpaqueType(name: readonly string[], opaque: ReadonlySet<string>): boolean {
  const last = name.at(-1) ?? '';
  if (name.at(-2) === 'pg_catalog') return opaque.has(`pg_catalog.${last}`);
  return opaque.has(last) || (last.startsWith('_') && opaque.has(last.slice(1)));
}
