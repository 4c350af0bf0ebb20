import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testAuthority } from '../test/support/certificates.ts';
import type { Children } from './children.ts';
import { fillDatabase } from './database.ts';
import type { Endpoint } from './endpoint.ts';
import type { BenchGateway } from './gateway.ts';
import type { Ground } from './ground.ts';
import type { PgbenchTools } from './pgbench.ts';
import { type PgBouncer, startPgBouncer } from './pgbouncer.ts';
import { postgresPrograms } from './postgres-programs.ts';
import { type PostgresServer, startPostgres } from './postgres-server.ts';

/** Everything that is measured of PostgreSQL, running. */
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
  /** So that what is measured next has the machine for itself. */
  stop(): Promise<void>;
}

/**
 * Targets of one database, by the controls that they have on. `full` has them all; identity, policy and the durable intent
 * are always on, and recording is as the gateway was started.
 */
const targets = {
  plain: { detectors: false },
  masked: { detectors: false, classify: { 'public.wide.c4': 'pii.contact' } },
  full: { detectors: true, classify: { 'public.wide.c4': 'pii.contact' } },
} as const;

const database = 'bench';
const user = 'bench';
/** Clients of the largest scenario, and some to spare. */
export const maxConnections = 1100;

/** Starts PostgreSQL and PgBouncer and fills the database. */
export async function buildWorld(ground: Ground, tls: boolean): Promise<World> {
  const { children, signal, folder, part, tell } = ground;
  const authority = tls ? await testAuthority('benchmark authority') : undefined;
  const certificate = await authority?.server('localhost', '127.0.0.1');
  const databaseCa = authority === undefined ? undefined : join(folder, 'ca.crt');
  if (authority !== undefined && databaseCa !== undefined) writeFileSync(databaseCa, authority.certificate);

  const programs = postgresPrograms();
  tell('starting PostgreSQL');
  const postgres = await startPostgres(
    { programs, folder: part('postgres'), maxConnections: maxConnections + 50, certificate },
    children,
    signal,
  );
  ground.defer(() => children.stop(postgres.process, 'SIGQUIT', 10_000));
  const known = { port: postgres.port, name: database, user };
  const superuser: Endpoint = {
    port: postgres.port,
    database: 'postgres',
    user: postgres.superuser,
    password: '',
    tls,
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
  ground.defer(() => children.stop(pgbouncer.process, 'SIGTERM', 5000));
  const upstream = {
    protocol: 'postgres',
    address: `127.0.0.1:${postgres.port}`,
    database,
    tls:
      databaseCa === undefined ? { mode: 'disable' } : { mode: 'verify-full', ca: databaseCa, serverName: 'localhost' },
    credential: { user },
    labels: { env: 'prod' },
    maxConnections,
  };
  const configured = Object.fromEntries(
    Object.entries(targets).map(([name, controls]) => [name, { ...upstream, ...controls }]),
  );
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
    through: ({ ports }, target) => ({
      port: ports.postgres!,
      database: target,
      user: 'anyone',
      password: ground.token,
      tls,
    }),
    startGateway: ({ recording = true, profile } = {}) =>
      ground.startGateway({ listen: 'postgres', targets: configured, recording, profile }),
    async stop() {
      await children.stop(pgbouncer.process, 'SIGTERM', 5000);
      await children.stop(postgres.process, 'SIGQUIT', 10_000);
    },
  };
}
