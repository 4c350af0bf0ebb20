import { setImmediate } from 'node:timers/promises';
import { PeerError } from '../../model/errors.ts';
import {
  columnTypes,
  primaryKeys,
  type ReadColumn,
  readColumnType,
  viewQueries,
} from '../../sql/rewrite/column-types.ts';
import * as queries from './catalog-queries.ts';
import type { Builtins } from './certify/surroundings.ts';
import type { QueryConnection, Row } from './query-connection.ts';
import { type ViewDefinition, viewDefinition } from './view-definition.ts';

/** What the server's catalogs say, as far as it matters here; nothing is concluded yet. Without the server's own schemas. */
export interface Schema {
  readonly version: string;
  /** OID of the database: another one has other relations under the same OIDs. */
  readonly database: number;
  readonly relations: readonly SchemaRelation[];
  /** Inheritance and partitions. */
  readonly parents: readonly { readonly child: number; readonly parent: number }[];
  readonly ruleReads: readonly RuleRead[];
  /** Rules (views too) that call functions which did not come with the server. */
  readonly ruleCalls: readonly { readonly relation: number; readonly function: number }[];
  /** The same of functions and relations that came with the server, by name. */
  readonly ruleBuiltins: readonly { readonly relation: number; readonly name: string }[];
  readonly ruleSystemReads: readonly { readonly relation: number; readonly name: string }[];
  /** Views that were asked for, as far as they are simple. */
  readonly definitions: ReadonlyMap<number, ViewDefinition>;
  /** What statements are rewritten with, of those relations that hold or are made of something classified; absent where none are. */
  readonly details?: SchemaDetails;
  /** What runs when a relation is written. */
  readonly writtenCode: readonly RelationCode[];
  /** Functions in `writtenCode`; without a text where there is none, or too long a one. */
  readonly sources: ReadonlyMap<number, { readonly language: string; readonly text: string | undefined }>;
  readonly generated: readonly { readonly relation: number; readonly column: number; readonly from: number }[];
  /** What did not come with the server and runs code. */
  readonly functions: readonly CodeObject[];
  readonly operators: readonly CodeObject[];
  readonly codedTypes: readonly CodeObject[];
  /** Checks of domains, by the functions they call. */
  readonly domainCalls: readonly { readonly type: TypeName; readonly function: number; readonly name: string }[];
  /** Casts with functions, by what they make. */
  readonly casts: readonly { readonly function: number; readonly makes: TypeName }[];
  /** Types that hold values of other types that did not come with the server. */
  readonly typeParts: readonly { readonly type: TypeName; readonly part: number }[];
  readonly role: {
    readonly name: string;
    readonly superuser: boolean;
    readonly bypassesRowSecurity: boolean;
    readonly readsAll: boolean;
  };
}

export interface SchemaDetails {
  /** By relation. */
  readonly columns: ReadonlyMap<number, readonly ReadColumn[]>;
  readonly primaryKeys: ReadonlyMap<number, readonly string[]>;
  readonly viewQueries: ReadonlyMap<number, string>;
  readonly builtins: Builtins;
}

export interface TypeName {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

export interface RelationCode {
  readonly relation: number;
  readonly function: number;
  readonly name: string;
  readonly by: string;
  /** Of a default or generated column; 0 otherwise. */
  readonly attnum: number;
}

export interface CodeObject {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly extension: string | undefined;
}

/** pg_class.relkind: table, partitioned table, view, materialized view, foreign table, sequence. */
export type RelationKind = 'r' | 'p' | 'v' | 'm' | 'f' | 'S';

export interface SchemaRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationKind;
  readonly owner: string;
  /** Our role owns it or is a member of the owner: grants do not bind us. */
  readonly owned: boolean;
  readonly rowSecurity: boolean;
  readonly triggers: boolean;
  /** Rules other than a view's own: writing to it does something else, or more. */
  readonly rules: boolean;
  readonly columns: readonly SchemaColumn[];
}

export interface SchemaColumn {
  readonly attnum: number;
  readonly name: string;
  readonly typeOid: number;
}

/** A rule (a view's own is `_RETURN`) reads a column; `column` 0 stands for the relation, with none in particular. */
export interface RuleRead {
  readonly relation: number;
  readonly rule: string;
  readonly reads: number;
  readonly column: number;
  /** Somewhere in the rule a whole row is read, of this relation or of another. */
  readonly wholeRow: boolean;
}

/** `schema.name`, for messages and for lists that the operator writes. */
export function qualified({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${schema}.${name}`;
}

/** Views whose definitions are looked at, at most. */
const maxDefinitions = 1000;

/**
 * Reads everything in one snapshot; the definitions of those views that `wanted` names and the details of those relations that
 * `detailed` names, when it has seen the rest. Rejects as
 * QueryConnection.run does, or with PeerError when an answer has the wrong form.
 */
export async function readSchema(
  connection: QueryConnection,
  timeoutMs: number,
  wanted: (schema: Schema) => Iterable<number> = () => [],
  detailed?: (schema: Schema) => Iterable<number>,
): Promise<Schema> {
  const ask = (sql: string) => connection.run(sql, timeoutMs);
  await ask('begin isolation level repeatable read read only');
  const version = await readVersion(connection, timeoutMs);
  const relations = await ask(queries.relations);
  const writtenCode = (await ask(queries.writtenCode)).map(([relation, called, name, by, attnum]) => ({
    relation: number(relation),
    function: number(called),
    name: text(name),
    by: text(by),
    attnum: number(attnum),
  }));
  const [role] = await ask(queries.role);
  const columns = Map.groupBy((await ask(queries.columns)).map(readColumn), ({ relation }) => relation);
  const schema: Schema = {
    version,
    relations: relations.map((row) => {
      const [oid, schemaName, name, kind, owner, owned, rowSecurity, triggers, rules] = row;
      return {
        oid: number(oid),
        schema: text(schemaName),
        name: text(name),
        kind: relationKind(text(kind)),
        owner: text(owner),
        owned: bool(owned),
        rowSecurity: bool(rowSecurity),
        triggers: bool(triggers),
        rules: bool(rules),
        columns: columns.get(number(oid)) ?? [],
      };
    }),
    parents: (await ask(queries.inheritance)).map(([child, parent]) => ({
      child: number(child),
      parent: number(parent),
    })),
    ruleReads: (await ask(queries.ruleReads)).map(([relation, rule, reads, column, wholeRow]) => ({
      relation: number(relation),
      rule: text(rule),
      reads: number(reads),
      column: number(column),
      wholeRow: bool(wholeRow),
    })),
    ruleCalls: (await ask(queries.ruleCalls)).map(([relation, called]) => ({
      relation: number(relation),
      function: number(called),
    })),
    ruleBuiltins: (await ask(queries.ruleBuiltins)).map(readNamed),
    ruleSystemReads: (await ask(queries.ruleSystemReads)).map(readNamed),
    definitions: new Map(),
    writtenCode,
    sources: await readSources([...new Set(writtenCode.map((code) => code.function))], ask),
    generated: (await ask(queries.generated)).map(([relation, column, from]) => ({
      relation: number(relation),
      column: number(column),
      from: number(from),
    })),
    functions: (await ask(queries.functions)).map(readCode),
    operators: (await ask(queries.operators)).map(readCode),
    codedTypes: (await ask(queries.codedTypes)).map(readCode),
    domainCalls: (await ask(queries.domainCalls)).map(([oid, inSchema, name, called, calledName]) => ({
      type: readType(oid, inSchema, name),
      function: number(called),
      name: text(calledName),
    })),
    casts: (await ask(queries.casts)).map(([called, oid, inSchema, name]) => ({
      function: number(called),
      makes: readType(oid, inSchema, name),
    })),
    typeParts: (await ask(queries.typeParts)).map(([oid, inSchema, name, part]) => ({
      type: readType(oid, inSchema, name),
      part: number(part),
    })),
    database: number(role?.at(-1)),
    role: readRole(role),
  };
  const views = [...wanted(schema)].slice(0, maxDefinitions);
  const rules = views.length === 0 ? [] : await ask(queries.definitions(views));
  const details = detailed === undefined ? undefined : await readDetails([...detailed(schema)], ask);
  await ask('commit');
  const definitions = new Map<number, ViewDefinition>();
  for (const [index, [view, action]] of rules.entries()) {
    // Reading one takes a fraction of a millisecond; nobody has to wait for all of them.
    if (index % 20 === 19) await setImmediate();
    const definition = viewDefinition(number(view), text(action));
    if (definition !== undefined) definitions.set(definition.view, definition);
  }
  return { ...schema, definitions, ...(details === undefined ? {} : { details }) };
}

async function readDetails(
  relations: readonly number[],
  ask: (sql: string) => Promise<readonly Row[]>,
): Promise<SchemaDetails> {
  const about = async (query: (relations: readonly number[]) => string) =>
    relations.length === 0 ? [] : await ask(query(relations));
  const columns = (await about(columnTypes)).map(readColumnType).filter((one) => one !== undefined);
  const keys = (await about(primaryKeys)).map(readNamed);
  const views = await about(viewQueries);
  return {
    columns: Map.groupBy(columns, ({ relation }) => relation),
    primaryKeys: new Map(
      [...Map.groupBy(keys, ({ relation }) => relation)].map(([oid, named]) => [oid, named.map(({ name }) => name)]),
    ),
    viewQueries: new Map(views.map(([view, query]) => [number(view), text(query)])),
    builtins: {
      functions: (await ask(queries.builtinFunctions)).map(readOid),
      applied: (await ask(queries.appliedBuiltins)).map(([oid]) => number(oid)),
      relations: (await ask(queries.builtinRelations)).map(readOid),
    },
  };
}

function readOid([oid, name]: Row): { readonly oid: number; readonly name: string } {
  return { oid: number(oid), name: text(name) };
}

async function readSources(
  functions: readonly number[],
  ask: (sql: string) => Promise<readonly Row[]>,
): Promise<Schema['sources']> {
  const own = functions.filter((oid) => oid >= firstOwnOid);
  const rows = own.length === 0 ? [] : await ask(queries.sources(own));
  return new Map(
    rows.map(([oid, language, source]) => [number(oid), { language: text(language), text: source ?? undefined }]),
  );
}

/** FirstNormalObjectId: what has a smaller OID came with the server. */
export const firstOwnOid = 16_384;

function readNamed([relation, name]: Row): { readonly relation: number; readonly name: string } {
  return { relation: number(relation), name: text(name) };
}

function readType(oid: string | null | undefined, schema: string | null | undefined, name: string | null | undefined) {
  return { oid: number(oid), schema: text(schema), name: text(name) };
}

/** Changes whenever readSchema would answer differently; see the query. */
export async function readVersion(connection: QueryConnection, timeoutMs: number): Promise<string> {
  const [row] = await connection.run(queries.version, timeoutMs);
  return text(row?.[0]);
}

/** Which of these columns our role may read, as `oid.attnum`. */
export async function readable(
  connection: QueryConnection,
  columns: readonly { readonly oid: number; readonly attnum: number }[],
  timeoutMs: number,
): Promise<ReadonlySet<string>> {
  if (columns.length === 0) return new Set();
  const rows = await connection.run(queries.mayRead(columns), timeoutMs);
  // Null: the column went away meanwhile.
  return new Set(rows.filter(([, , may]) => may === 't').map(([oid, attnum]) => `${number(oid)}.${number(attnum)}`));
}

function readColumn([relation, attnum, name, typeOid]: Row): SchemaColumn & { readonly relation: number } {
  return { relation: number(relation), attnum: number(attnum), name: text(name), typeOid: number(typeOid) };
}

function readCode([oid, schema, name, extension]: Row): CodeObject {
  return { oid: number(oid), schema: text(schema), name: text(name), extension: extension ?? undefined };
}

function relationKind(kind: string): RelationKind {
  switch (kind) {
    case 'r':
    case 'p':
    case 'v':
    case 'm':
    case 'f':
    case 'S':
      return kind;
    default:
      throw wrong();
  }
}

function readRole(row: Row | undefined): Schema['role'] {
  const [name, superuser, bypasses, readsAll] = row ?? [];
  return {
    name: text(name),
    superuser: bool(superuser),
    bypassesRowSecurity: bool(bypasses),
    readsAll: bool(readsAll),
  };
}

function text(value: string | null | undefined): string {
  if (value === null || value === undefined) throw wrong();
  return value;
}

function number(value: string | null | undefined): number {
  if (value === null || value === undefined || !/^-?\d{1,10}$/.test(value)) throw wrong();
  return Number(value);
}

function bool(value: string | null | undefined): boolean {
  if (value !== 't' && value !== 'f') throw wrong();
  return value === 't';
}

function wrong(): PeerError {
  return new PeerError('UPSTREAM_PROTOCOL', 'the server describes its schema in a form that is not understood');
}
