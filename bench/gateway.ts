import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { TestIssuer } from '../test/support/issuer.ts';
import type { Children } from './children.ts';

export interface BenchGateway {
  /** By the key of `listen`. */
  readonly ports: Readonly<Record<string, number>>;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

export interface GatewayOptions {
  readonly folder: string;
  readonly issuer: TestIssuer;
  /** What it listens for besides the API. */
  readonly listen: 'postgres' | 'http';
  /** The configuration's section of that name. */
  readonly targets: Readonly<Record<string, object>>;
  readonly recording: boolean;
  /** Folder for a CPU profile. */
  readonly profile: string | undefined;
}

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
  const [message] = (await Promise.race([once(child, 'message'), exited])) as [
    { readonly ports: BenchGateway['ports'] },
  ];
  exited.catch(() => undefined); // Its end is noticed by whoever talks to it from now on.
  return { ports: message.ports, process: child, stop: () => children.stop(child, 'SIGTERM', 20_000) };
}

function configuration({ issuer, listen, targets }: GatewayOptions) {
  return {
    listen: { api: '127.0.0.1:0', [listen]: '127.0.0.1:0' },
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
    targets,
    policies: './policies',
    limits: { login: '60s' },
    plaintext: { loopback: true },
  };
}
