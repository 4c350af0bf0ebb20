import type { Target } from '../../model/target.ts';
import { type Catalog, type CatalogRelation, catalogOf, type WrittenCode } from '../../sql/catalog.ts';
import { type Classification, classify } from './classification.ts';
import type { QueryConnection } from './query-connection.ts';
import { qualified, readable, readSchema, type Schema, type SchemaDetails, type SchemaRelation } from './schema.ts';
import type { PostgresSettings } from './settings.ts';
import { type RoleFindings, roleFindings, targetWarnings } from './target-warnings.ts';
import { codeNames } from './trusted-code.ts';
import { writtenCode } from './written-code.ts';

/** What is known of a target's schema, at one moment. Never changes; `version` does whenever the schema does (see catalog-queries.ts). */
export interface TargetCatalog extends Catalog {
  readonly schema: Schema;
  readonly classification: Classification;
  readonly role: RoleFindings;
  /** For the operator, one sentence each. */
  readonly warnings: readonly string[];
}

/**
 * Reads a target's schema and works out what in it is classified; what was so in `before` stays classified. Rejects as
 * QueryConnection.run does.
 */
export async function loadCatalog(
  connection: QueryConnection,
  target: Target<PostgresSettings>,
  timeoutMs: number,
  before?: TargetCatalog,
): Promise<TargetCatalog> {
  const { settings } = target;
  const allowed = new Set(settings.allowFunctions);
  const classified = (of: Schema) =>
    classify(
      of,
      settings.classify,
      allowed,
      before?.schema.database === of.database ? before.classification : undefined,
    );
  const schema = await readSchema(
    connection,
    timeoutMs,
    (known) => classified(known).derived.keys(),
    settings.masking === 'rewrite' ? (known) => near(classified(known)) : undefined,
  );
  const classification = classified(schema);
  const code = writtenCode(schema, classification, allowed);
  const columns = [...classification.columns].flatMap(([oid, held]) =>
    [...held.keys()].map((attnum) => ({ oid, attnum })),
  );
  const role = roleFindings(schema, classification, await readable(connection, columns, timeoutMs));
  const catalog = catalogOf({
    version: schema.version,
    relations: schema.relations.map((relation) =>
      detailedRelation(catalogRelation(relation, classification, code), schema.details),
    ),
    ...codeNames(schema, allowed),
  });
  return { ...catalog, schema, classification, role, warnings: targetWarnings(schema, classification, role) };
}

/** Relations with something classified in them, or made of it. */
function near({ columns, derived }: Classification): ReadonlySet<number> {
  return new Set([...columns.keys(), ...derived.keys()]);
}

function detailedRelation(relation: CatalogRelation, details: SchemaDetails | undefined): CatalogRelation {
  const read = details?.columns.get(relation.oid);
  if (details === undefined || read === undefined) return relation;
  const byAttnum = new Map(read.map((column) => [column.attnum, column]));
  const primaryKey = details.primaryKeys.get(relation.oid);
  const definition = details.viewQueries.get(relation.oid);
  return {
    ...relation,
    columns: relation.columns.map((column) => {
      const found = byAttnum.get(column.attnum);
      return found === undefined ? column : { ...column, type: found.type, generated: found.generated };
    }),
    ...(primaryKey === undefined ? {} : { primaryKey }),
    ...(definition === undefined ? {} : { definition }),
  };
}

function catalogRelation(
  { oid, schema, name, kind, columns }: SchemaRelation,
  classification: Classification,
  code: ReadonlyMap<number, WrittenCode>,
): CatalogRelation {
  const held = classification.columns.get(oid);
  const derived = classification.derived.get(oid);
  const runs = code.get(oid);
  return {
    oid,
    schema,
    name,
    kind,
    columns: columns.map((column) => {
      const own = held?.get(column.attnum);
      return own === undefined ? column : { ...column, classification: own };
    }),
    ...(derived === undefined
      ? {}
      : {
          derived: {
            columns: derived.columns,
            classifications: derived.classifications,
            ...(derived.plain ? { plain: true } : {}),
          },
        }),
    ...(runs === undefined ? {} : { code: runs }),
  };
}

/** Where a reply's columns come from, by the origin that RowDescription gives. */
export interface ColumnOrigins {
  /** Name and classification of a classified column. */
  classification(
    tableOid: number,
    attnum: number,
  ): { readonly field: string; readonly classification: string } | undefined;
  /** Whether a relation holds classified columns, or is derived from some. */
  sensitive(tableOid: number): boolean;
}

export function originsOf({ schema, classification: { columns, derived } }: TargetCatalog): ColumnOrigins {
  const names = new Map(
    schema.relations
      .filter(({ oid }) => columns.has(oid))
      .map((relation) => [
        relation.oid,
        new Map(relation.columns.map(({ attnum, name }) => [attnum, `${qualified(relation)}.${name}`])),
      ]),
  );
  return {
    classification(tableOid, attnum) {
      const found = columns.get(tableOid)?.get(attnum);
      return found === undefined
        ? undefined
        : { field: names.get(tableOid)?.get(attnum) ?? `${tableOid}.${attnum}`, classification: found };
    },
    sensitive: (tableOid) => columns.has(tableOid) || derived.has(tableOid),
  };
}
