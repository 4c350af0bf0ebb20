import { effectOf } from '../../sql/functions.ts';
import { type CodeObject, qualified, type Schema, type TypeName } from './schema.ts';

/**
 * Extensions that come with PostgreSQL and only compute from their arguments. Not among them is whatever reads tables,
 * files or other servers, or runs SQL text: dblink, postgres_fdw, tablefunc (crosstab), xml2, file_fdw, pageinspect, …
 */
const computingExtensions: ReadonlySet<string> = new Set(
  `btree_gin btree_gist citext cube earthdistance fuzzystrmatch hstore intarray isn ltree pg_trgm pgcrypto seg unaccent uuid-ossp`.split(
    ' ',
  ),
);

/** Extensions whose operators and types only compute, though some of their functions do more. Their `=` is everybody's `=`. */
const computingTypes: ReadonlySet<string> = new Set([...computingExtensions, 'postgis', 'vector', 'hll', 'ip4r']);

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

/** A function that came with the server, whose result or effect may depend on data that its call does not name. */
export function isOpaqueBuiltin(name: string): boolean {
  return effectOf(['pg_catalog', name])?.opaque === true;
}

export function codeNames(schema: Schema, allowed: ReadonlySet<string>): CodeNames {
  const { functions, operators } = schema;
  const [trustedFunctions, opaqueFunctions] = split(functions, (code) => trusts(code, allowed));
  const [trustedOperators, opaqueOperators] = split(operators, computes);
  return {
    trustedFunctions,
    opaqueFunctions,
    trustedOperators,
    opaqueOperators,
    opaqueTypes: typeNames(opaqueTypes(schema, allowed)),
  };
}

/** Whether an operator or type belongs to an extension that only computes. */
export function computes({ extension }: CodeObject): boolean {
  return extension !== undefined && computingTypes.has(extension);
}

/** Types that run unreviewed code when a value is made: by themselves, or by a type inside them. */
export function opaqueTypes(
  { functions, codedTypes, domainCalls, casts, typeParts }: Schema,
  allowed: ReadonlySet<string>,
): ReadonlyMap<number, TypeName> {
  const code = new Map(functions.map((one) => [one.oid, one]));
  const opaque = (oid: number, builtin: string | undefined): boolean => {
    const own = code.get(oid);
    if (own !== undefined) return !trusts(own, allowed) && !computes(own);
    return builtin === undefined ? false : isOpaqueBuiltin(builtin);
  };
  const found = new Map<number, TypeName>();
  for (const type of codedTypes) if (!computes(type)) found.set(type.oid, type);
  for (const { type, function: oid, name } of domainCalls) if (opaque(oid, name)) found.set(type.oid, type);
  for (const { function: oid, makes } of casts) if (opaque(oid, undefined)) found.set(makes.oid, makes);
  for (let before = -1; before < found.size; ) {
    before = found.size;
    for (const { type, part } of typeParts) if (found.has(part)) found.set(type.oid, type);
  }
  return found;
}

function typeNames(types: ReadonlyMap<number, TypeName>): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { schema, name } of types.values()) {
    names.add(name);
    if (schema === 'pg_catalog') names.add(`pg_catalog.${name}`);
  }
  return names;
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
