import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { find } from '../../scripts/debian.mjs';
import { startGateway, type TestGateway, type TestGatewayOptions } from './gateway.ts';
import { type Finished, Program, type ProgramOptions, run } from './program.ts';

/** PostgreSQL's own programs of one version, with the server that belongs to them. */
export const binDir = dirname(found('initdb'));

function found(name: string): string {
  const path = find(name);
  if (path === undefined) throw new Error(`${name} was not found; npm test installs it where it can`);
  return path;
}

/** The program of the server's own version where there is one, because psql and pg_dump may be older than a server. */
export function programPath(name: string): string {
  const beside = join(binDir, name);
  return existsSync(beside) ? beside : found(name);
}

/** A gateway in front of a server of the same version as the programs. */
export function startGatewayForPrograms(options: TestGatewayOptions): Promise<TestGateway> {
  return startGateway({ ...options, postgres: { binDir, ...options.postgres } });
}

type Who = Parameters<TestGateway['tokenOf']>[0];

/** PostgreSQL's programs as people run them: where to and how by libpq's environment, and nothing else. */
export class PostgresPrograms {
  readonly #gateway: TestGateway;

  constructor(gateway: TestGateway) {
    this.#gateway = gateway;
  }

  /** Through the gateway, with a token as password and the certificate checked. */
  async environment(who: Who): Promise<Readonly<Record<string, string>>> {
    const { port, caFile } = this.#gateway;
    return {
      PGHOST: 'localhost',
      PGPORT: String(port),
      PGDATABASE: 'shop',
      PGUSER: 'anyone',
      PGPASSWORD: await this.#gateway.tokenOf(who),
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: caFile,
      PGCONNECT_TIMEOUT: '20',
      PSQL_PAGER: '',
      PSQL_HISTORY: '/dev/null',
    };
  }

  /** Past the gateway, as superuser. */
  directEnvironment(database = 'shop'): Readonly<Record<string, string>> {
    const { postgres } = this.#gateway;
    return {
      PGHOST: '127.0.0.1',
      PGPORT: String(postgres.port),
      PGDATABASE: database,
      PGUSER: postgres.superuser.user,
      PGPASSWORD: postgres.superuser.password,
      PSQL_PAGER: '',
      PSQL_HISTORY: '/dev/null',
    };
  }

  async start(name: string, who: Who, args: readonly string[], options: ProgramOptions = {}): Promise<Program> {
    const env = { ...(await this.environment(who)), ...options.env };
    return new Program(programPath(name), args, { ...options, env });
  }

  async run(name: string, who: Who, args: readonly string[], options: ProgramOptions = {}): Promise<Finished> {
    return (await this.start(name, who, args, { input: '', ...options })).ended;
  }

  direct(
    name: string,
    args: readonly string[],
    options: ProgramOptions & { database?: string } = {},
  ): Promise<Finished> {
    return run(programPath(name), args, {
      ...options,
      env: { ...this.directEnvironment(options.database), ...options.env },
    });
  }

  /** On a terminal, where psql completes names and takes Ctrl-C. Keys are typed with `type`. */
  async onTerminal(name: string, who: Who, args: readonly string[]): Promise<Program> {
    const env = { ...(await this.environment(who)), TERM: 'xterm' };
    // `exec`, or the shell in between would take Ctrl-C too.
    const command = ['exec', programPath(name), ...args].join(' ');
    return new Program('script', ['-qec', command, '/dev/null'], { env });
  }
}
