import type pg from 'pg';
import type { Target } from '../../../model/target.ts';
import { loadCatalog } from '../../../protocols/postgres/catalog.ts';
import type { QueryConnection } from '../../../protocols/postgres/query-connection.ts';
import { type PostgresSettings, postgresSettings } from '../../../protocols/postgres/settings.ts';
import { type Catalog, catalogOf } from '../../catalog.ts';
import { columnTypes, describeRelations, primaryKeys, viewQueries } from '../column-types.ts';

type Row = readonly (string | null)[];

/** The catalog of a real database, as the gateway reads it, with what the rewriting needs. */
export async function readCatalog(client: pg.Client, classify: Readonly<Record<string, string>>): Promise<Catalog> {
  const run = async (text: string): Promise<readonly Row[]> => {
    await client.query('set search_path = pg_catalog');
    const { rows } = await client.query({ text, rowMode: 'array', types: { getTypeParser: () => String } });
    return rows as Row[];
  };
  const settings = postgresSettings.parse({
    address: '127.0.0.1:1',
    database: 'x',
    credential: { user: 'x', env: 'X' },
    tls: { mode: 'disable' },
    classify,
  });
  const target = { settings } as unknown as Target<PostgresSettings>;
  const catalog = await loadCatalog({ run } as unknown as QueryConnection, target, 10_000);
  const all = catalog.relations.map(({ oid }) => oid);
  const answers = {
    types: await run(columnTypes(all)),
    keys: await run(primaryKeys(all)),
    views: await run(viewQueries(all)),
  };
  await client.query('reset search_path');
  return catalogOf({ ...catalog, relations: describeRelations(catalog.relations, answers) });
}
