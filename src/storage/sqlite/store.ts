import { chmod, mkdir, open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Kysely } from 'kysely';
import { ConfigError } from '../../model/errors.ts';
import type { Store } from '../store.ts';
import { sqliteApprovals } from './approvals.ts';
import { threadDialect } from './dialect.ts';
import { migrate } from './migrations.ts';
import type { Tables } from './schema.ts';
import { DatabaseThread } from './thread.ts';
import { sqliteTickets } from './tickets.ts';

export interface SqliteStore extends Store {
  /** Fires when the store can serve no more, though nobody closed it; every call rejects from then on. The reason says why. */
  readonly failed: AbortSignal;
}

/**
 * Opens the store in one SQLite file (mode 0600), made with its folder (0700) when missing. Several processes may share it on one
 * machine. Throws ConfigError when the file cannot be opened, is not ours, or was written by a newer version.
 */
export async function openSqliteStore({
  file,
  busyMs = 5_000,
}: {
  file: string;
  busyMs?: number;
}): Promise<SqliteStore> {
  const path = resolve(file);
  await prepareFile(path);
  const thread = new DatabaseThread({ file: path, busyMs });
  const db = new Kysely<Tables>({ dialect: threadDialect(thread) });
  try {
    await migrate(db, file);
  } catch (error) {
    await db.destroy();
    throw error instanceof ConfigError
      ? error
      : new ConfigError(`${file}: cannot be opened: ${messageOf(error)}`, { cause: error });
  }
  return {
    approvals: sqliteApprovals(db),
    tickets: sqliteTickets(db),
    failed: thread.failed,
    close: () => db.destroy(),
  };
}

/** The file exists with mode 0600 before SQLite sees it: SQLite gives its -wal and -shm files the mode of the database. */
async function prepareFile(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await (await open(path, 'a', 0o600)).close();
    await chmod(path, 0o600);
  } catch (error) {
    throw new ConfigError(`${path}: cannot be opened: ${messageOf(error)}`, { cause: error });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
