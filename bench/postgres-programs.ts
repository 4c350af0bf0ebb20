import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { find } from '../scripts/debian.mjs';
import { embeddedBinaries, serverUser } from '../src/demo/embedded-binaries.ts';

export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
  readonly pgbench: string;
}

/** Server and pgbench of one version, from one folder of Debian's, where there is such a folder; otherwise pgbench and the embedded server. */
export function postgresPrograms(): PostgresPrograms {
  // A link on PATH, or Debian's wrapper, is not where the program's neighbours are.
  const initdb = find('initdb');
  const folder = initdb === undefined ? undefined : dirname(realpathSync(initdb));
  const [server, bench] = ['postgres', 'pgbench'].map((name) =>
    folder === undefined ? undefined : join(folder, name),
  );
  const pgbench = bench !== undefined && existsSync(bench) ? bench : find('pgbench');
  if (pgbench === undefined) throw new Error('pgbench is missing: apt-get install postgresql');
  if (initdb !== undefined && server !== undefined && existsSync(server))
    return { initdb: realpathSync(initdb), postgres: server, pgbench };
  return { ...embeddedBinaries(serverUser()), pgbench };
}
