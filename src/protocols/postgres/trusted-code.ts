import { type CodeObject, qualified, type Schema } from './schema.ts';

/**
 * Extensions that come with PostgreSQL and only compute from their arguments. Not among them is whatever reads tables,
 * files or other servers, or runs SQL text: dblink, postgres_fdw, tablefunc (crosstab), xml2, file_fdw, pageinspect, …
 */
const computingExtensions: ReadonlySet<string> = new Set(
  `btree_gin btree_gist citext cube earthdistance fuzzystrmatch hstore intarray isn ltree pg_trgm pgcrypto seg unaccent uuid-ossp`.split(
    ' ',
  ),
);

/** Code of the database's own, told apart: what only computes, and what could do anything. Names are unqualified, as stored. */
export interface CodeNames {
  readonly opaqueFunctions: ReadonlySet<string>;
  readonly opaqueOperators: ReadonlySet<string>;
  readonly opaqueTypes: ReadonlySet<string>;
  readonly trustedFunctions: ReadonlySet<string>;
  readonly trustedOperators: ReadonlySet<string>;
}

/** Whether somebody vouches for a function: `allowed` holds `schema.name`s that the operator reviewed. */
export function trusts(code: CodeObject, allowed: ReadonlySet<string>): boolean {
  return (code.extension !== undefined && computingExtensions.has(code.extension)) || allowed.has(qualified(code));
}

export function codeNames({ functions, operators, codedTypes }: Schema, allowed: ReadonlySet<string>): CodeNames {
  const nobody: ReadonlySet<string> = new Set();
  const [trustedFunctions, opaqueFunctions] = split(functions, (code) => trusts(code, allowed));
  const [trustedOperators, opaqueOperators] = split(operators, (code) => trusts(code, nobody));
  const [, opaqueTypes] = split(codedTypes, (code) => trusts(code, nobody));
  return { trustedFunctions, opaqueFunctions, trustedOperators, opaqueOperators, opaqueTypes };
}

/** A name that also means something opaque, in another schema or with other arguments, is opaque: a statement says only the name. */
function split(
  objects: readonly CodeObject[],
  trusted: (code: CodeObject) => boolean,
): readonly [trusted: ReadonlySet<string>, opaque: ReadonlySet<string>] {
  const opaque = new Set(objects.filter((code) => !trusted(code)).map(({ name }) => name));
  const others = objects.map(({ name }) => name).filter((name) => !opaque.has(name));
  return [new Set(others), opaque];
}
