import { type Kysely, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { ConfigError } from '../../model/errors.ts';

/** Every change of the tables there has ever been, by name, in order. Names sort; a released one never changes. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-approvals-and-tickets': {
    async up(db) {
      await sql`
        create table approvals (
          id text primary key,
          digest text not null check (length(digest) = 64),
          state text not null check (state in ('open', 'approved', 'denied', 'consumed', 'expired')),
          requester text not null,
          created_at integer not null,
          expires_at integer not null,
          request text not null,
          decisions text not null
        ) strict`.execute(db);
      await sql`create index approvals_live on approvals (digest) where state in ('open', 'approved', 'denied')`.execute(
        db,
      );
      await sql`create index approvals_due on approvals (state, expires_at)`.execute(db);
      await sql`create index approvals_pending on approvals (requester, expires_at) where state in ('open', 'denied')`.execute(
        db,
      );
      await sql`
        create table tickets (
          id text primary key,
          hash text not null unique,
          principal_id text not null,
          created_at integer not null,
          expires_at integer not null,
          revoked_at integer,
          ticket text not null
        ) strict`.execute(db);
      await sql`create index tickets_principal on tickets (principal_id, created_at)`.execute(db);
    },
  },
};

/**
 * Brings the tables up to date, all in one transaction: two processes that start together do it once.
 * Throws ConfigError when the store was written by a newer Sallyport.
 */
export async function migrate<T>(db: Kysely<T>, file: string): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const migrator = new Migrator({ db: transaction, provider: { getMigrations: async () => migrations } });
    const unknown = (await applied(transaction)).filter((name) => migrations[name] === undefined);
    if (unknown.length > 0) {
      throw new ConfigError(
        `${file}: this store was written by a newer Sallyport (${unknown.join(', ')}); run that version, or restore a copy made before the upgrade`,
      );
    }
    const { error } = await migrator.migrateToLatest();
    if (error !== undefined) throw error;
  });
}

async function applied<T>(db: Kysely<T>): Promise<readonly string[]> {
  const tables = await sql`select 1 from sqlite_schema where type = 'table' and name = 'kysely_migration'`.execute(db);
  if (tables.rows.length === 0) return [];
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db);
  return rows.map(({ name }) => name);
}
