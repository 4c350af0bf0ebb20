import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ConfigError } from '../model/errors.ts';

/**
 * Keeps a second process away from the log. SQLite's lock on an empty database serves: the system drops it when the process dies,
 * however it dies. Call the result to let go.
 */
export function lockLog(dir: string): () => void {
  const path = join(dir, 'lock');
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    throw new ConfigError(`${path}: another process writes this audit log (${(error as Error).message})`);
  }
  return () => {
    if (database.isOpen) database.close();
  };
}
