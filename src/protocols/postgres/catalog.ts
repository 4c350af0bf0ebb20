import type { Target } from '../../model/target.ts';
import { type Classification, classify, qualified } from './classification.ts';
import type { QueryConnection } from './query-connection.ts';
import { readable, readSchema, type Schema } from './schema.ts';
import type { PostgresSettings } from './settings.ts';
import { type RoleFindings, roleFindings, targetWarnings } from './target-warnings.ts';

/** What is known of a target's schema, at one moment. Never changes. */
export interface TargetCatalog {
  /** Changes whenever the schema does; see catalog-queries.ts. */
  readonly version: string;
  readonly schema: Schema;
  readonly classification: Classification;
  readonly role: RoleFindings;
  /** For the operator, one sentence each. */
  readonly warnings: readonly string[];
}

/** Reads a target's schema and works out what in it is classified. Rejects as QueryConnection.run does. */
export async function loadCatalog(
  connection: QueryConnection,
  target: Target<PostgresSettings>,
  timeoutMs: number,
): Promise<TargetCatalog> {
  const { settings } = target;
  const schema = await readSchema(connection, timeoutMs);
  const classification = classify(schema, settings.classify, settings.allowFunctions);
  const columns = [...classification.columns].flatMap(([oid, held]) =>
    [...held.keys()].map((attnum) => ({ oid, attnum })),
  );
  const role = roleFindings(schema, classification, await readable(connection, columns, timeoutMs));
  return {
    version: schema.version,
    schema,
    classification,
    role,
    warnings: targetWarnings(schema, classification, role),
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
