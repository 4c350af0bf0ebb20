import {
  type EmbeddedOptions,
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../src/demo/embedded-postgres.ts';

/** A real PostgreSQL server for one test file. Stop it in `afterAll`. */
export type TestPostgres = EmbeddedPostgres;

export function startPostgres(options: Omit<EmbeddedOptions, 'dataDir'> = {}): Promise<TestPostgres> {
  return startEmbeddedPostgres({ password: 'super secret', ...options });
}
