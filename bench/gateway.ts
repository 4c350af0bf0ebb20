import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { TestIssuer } from '../test/support/issuer.ts';
import type { Children } from './children.ts';

export interface BenchGateway {
  readonly port: number;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

export interface GatewayOptions {
  readonly folder: string;
  readonly issuer: TestIssuer;
  readonly database: { readonly port: number; readonly name: string; readonly user: string };
  /** PEM file of the database's authority; without it the database is reached in the clear. */
  readonly databaseCa: string | undefined;
  readonly maxConnections: number;
  readonly recording: boolean;
  /** Folder for a CPU profile. */
  readonly profile: string | undefined;
}

/**
 * Targets of one database, by the controls that they have on. `full` has them all; identity, policy and the durable intent
 * are always on, and recording is as the gateway was started.
 */
export const targets = {
  plain: { detectors: false },
  masked: { detectors: false, classify: { 'public.wide.c4': 'pii.contact' } },
  full: { detectors: true, classify: { 'public.wide.c4': 'pii.contact' } },
} as const;

const program = fileURLToPath(new URL('gateway-process.ts', import.meta.url));
const policy = fileURLToPath(new URL('bench.cedar', import.meta.url));

/** A gateway in a process of its own, started as main.ts composes it, with an empty data folder. */
export async function startGateway(options: GatewayOptions, children: Children): Promise<BenchGateway> {
  const { folder } = options;
  mkdirSync(join(folder, 'policies'), { recursive: true, mode: 0o700 });
  cpSync(policy, join(folder, 'policies', 'bench.cedar'));
  const file = join(folder, 'sallyport.yaml');
  writeFileSync(file, stringify(configuration(options)));
  const profiling = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`];
  const recording = options.recording ? [] : ['--without-recording'];
  const child = children.start('the gateway', process.execPath, [...profiling, program, ...recording, file], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit').then(([code]) => {
    throw new Error(`the gateway ended while starting (status ${code})`);
  });
  const [message] = (await Promise.race([once(child, 'message'), exited])) as [{ readonly port: number }];
  exited.catch(() => undefined); // Its end is noticed by whoever talks to it from now on.
  return { port: message.port, process: child, stop: () => children.stop(child, 'SIGTERM', 20_000) };
}

function configuration({ issuer, database, databaseCa, maxConnections }: GatewayOptions) {
  const upstream = {
    protocol: 'postgres',
    address: `127.0.0.1:${database.port}`,
    database: database.name,
    tls:
      databaseCa === undefined ? { mode: 'disable' } : { mode: 'verify-full', ca: databaseCa, serverName: 'localhost' },
    credential: { user: database.user },
    labels: { env: 'prod' },
    maxConnections,
  };
  return {
    listen: { api: '127.0.0.1:0', postgres: '127.0.0.1:0' },
    data: './data',
    origin: 'bench.example/audit',
    issuers: [
      {
        name: 'bench',
        issuer: issuer.url,
        audience: 'sallyport',
        principal: { kind: 'ci' },
        groups: { claims: 'groups' },
      },
    ],
    targets: Object.fromEntries(
      Object.entries(targets).map(([name, controls]) => [name, { ...upstream, ...controls }]),
    ),
    policies: './policies',
    limits: { login: '60s' },
    plaintext: { loopback: true },
  };
}
