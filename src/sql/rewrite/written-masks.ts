import { eachChild, type Fields, fieldsOf, text } from '../node.ts';
import type { Statement } from '../parse.ts';

/**
 * A mask that a statement would store as if it were a value, as its text: somebody read it and writes it back. `isMask` knows masks by
 * their form. Looked for among the constants of whatever changes rows, wherever they stand in it; bind values are the caller's.
 */
export function writtenMask(statements: readonly Statement[], isMask: (value: string) => boolean): string | undefined {
  let found: string | undefined;
  const look = (kind: string, fields: Fields, writes: boolean): undefined => {
    if (found !== undefined) return undefined;
    const inside = writes || changes.has(kind) || isExecute(kind);
    if (inside && kind === 'A_Const') {
      for (const value of valuesOf(text(fieldsOf(fields.sval)?.sval))) if (isMask(value)) found ??= value;
    }
    return eachChild(kind, fields, (child, inner) => look(child, inner, inside));
  };
  for (const { kind, fields } of statements) look(kind, fields, false);
  return found;
}

const changes: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'MergeStmt']);

/** What a prepared statement does with its arguments is not seen here. */
function isExecute(kind: string): boolean {
  return kind === 'ExecuteStmt';
}

/** A constant, and what stands in quotes in it, as in JSON and arrays. */
function valuesOf(constant: string | undefined): readonly string[] {
  if (constant === undefined) return [];
  const quoted =
    constant.length <= longest ? [...constant.matchAll(/"([^"\\]{1,200})"/g)].map(([, one]) => one ?? '') : [];
  return [constant, ...quoted];
}

const longest = 1 << 16;

/** The kinds of statements whose bind values may be stored: for callers that look at these themselves. */
export function storesValues(statements: readonly Statement[]): boolean {
  let stores = false;
  const look = (kind: string, fields: Fields): undefined => {
    stores ||= changes.has(kind) || isExecute(kind);
    return stores ? undefined : eachChild(kind, fields, look);
  };
  for (const { kind, fields } of statements) look(kind, fields);
  return stores;
}
