import { chmodSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testAuthority } from '../test/support/certificates.ts';
import { startTestIssuer, type TestIssuer } from '../test/support/issuer.ts';
import { Children } from './children.ts';
import { fillDatabase } from './database.ts';
import type { Endpoint } from './endpoint.ts';
import { type BenchGateway, startGateway, type targets } from './gateway.ts';
import type { Options } from './options.ts';
import type { PgbenchTools } from './pgbench.ts';
import { type PgBouncer, startPgBouncer } from './pgbouncer.ts';
import { postgresPrograms } from './postgres-programs.ts';
import { type PostgresServer, startPostgres } from './postgres-server.ts';

/** Everything that is measured, running. */
export interface World {
  readonly postgres: PostgresServer;
  readonly pgbouncer: PgBouncer;
  readonly tools: PgbenchTools;
  readonly children: Children;
  readonly signal: AbortSignal;
  /** On the disk that the gateway's audit log is on. */
  readonly folder: string;
  readonly wideRows: number;
  readonly direct: Endpoint;
  readonly throughPgBouncer: Endpoint;
  through(gateway: BenchGateway, target: keyof typeof targets): Endpoint;
  /** A fresh one, with an empty data folder. */
  startGateway(options?: { readonly recording?: boolean; readonly profile?: string }): Promise<BenchGateway>;
}

const database = 'bench';
const user = 'bench';
/** Clients of the largest scenario, and some to spare. */
export const maxConnections = 1100;
const tmpfsMagic = 0x01021994;

/** Builds the world and hands it to `work`; whatever happens, everything is stopped and removed afterwards. */
export async function withWorld(
  options: Options,
  signal: AbortSignal,
  tell: (line: string) => void,
  work: (world: World) => Promise<void>,
): Promise<void> {
  const children = new Children();
  const stack = new AsyncDisposableStack();
  try {
    const folder = mkdtempSync(join(diskFolder(), 'sallyport-bench-'));
    const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    process.once('exit', remove);
    stack.defer(remove);
    chmodSync(folder, 0o755); // The database's user has to get to its part.
    stack.defer(() => children.stopAll());
    await work(await build(folder, options, signal, tell, children, stack));
  } finally {
    await stack.disposeAsync();
  }
}

async function build(
  folder: string,
  options: Options,
  signal: AbortSignal,
  tell: (line: string) => void,
  children: Children,
  stack: AsyncDisposableStack,
): Promise<World> {
  const authority = options.tls ? await testAuthority('benchmark authority') : undefined;
  const certificate = await authority?.server('localhost', '127.0.0.1');
  const databaseCa = authority === undefined ? undefined : join(folder, 'ca.crt');
  if (authority !== undefined && databaseCa !== undefined) writeFileSync(databaseCa, authority.certificate);
  const part = (name: string) => {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  };

  const programs = postgresPrograms();
  tell('starting PostgreSQL');
  const postgres = await startPostgres(
    { programs, folder: part('postgres'), maxConnections: maxConnections + 50, certificate },
    children,
    signal,
  );
  stack.defer(() => children.stop(postgres.process, 'SIGQUIT', 10_000));
  const known = { port: postgres.port, name: database, user };
  const superuser: Endpoint = {
    port: postgres.port,
    database: 'postgres',
    user: postgres.superuser,
    password: '',
    tls: options.tls,
  };
  const direct: Endpoint = { ...superuser, database, user };
  const tools: PgbenchTools = { program: programs.pgbench, folder: part('pgbench'), children, signal };
  const wideRows = 1_000_000;
  tell(`filling the database (pgbench scale 10, and a table of ${wideRows.toLocaleString('en')} rows)`);
  await fillDatabase(superuser, direct, wideRows, tools);

  const pgbouncer = await startPgBouncer(
    { folder: part('pgbouncer'), database: known, maxConnections, certificate },
    children,
    signal,
  );
  stack.defer(() => children.stop(pgbouncer.process, 'SIGTERM', 5000));
  const issuer = await startTestIssuer();
  stack.defer(() => issuer.close());
  const token = await tokenOf(issuer);
  let gateways = 0;
  return {
    postgres,
    pgbouncer,
    tools,
    children,
    signal,
    folder,
    wideRows,
    direct,
    throughPgBouncer: { ...direct, port: pgbouncer.port },
    through: (gateway, target) => ({
      port: gateway.port,
      database: target,
      user: 'anyone',
      password: token,
      tls: options.tls,
    }),
    async startGateway({ recording = true, profile } = {}) {
      const started = await startGateway(
        {
          folder: part(`gateway-${++gateways}`),
          issuer,
          database: known,
          databaseCa,
          maxConnections,
          recording,
          profile,
        },
        children,
      );
      stack.defer(() => started.stop());
      return started;
    },
  };
}

function tokenOf(issuer: TestIssuer): Promise<string> {
  return issuer.token({ sub: 'bench', name: 'bench', groups: ['agents'] }, '8h');
}

/** The temporary folder, unless that is memory: what a durable write costs is part of what is measured. */
function diskFolder(): string {
  return statfsSync(tmpdir()).type === tmpfsMagic ? '/var/tmp' : tmpdir();
}
