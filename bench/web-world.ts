import { randomFillSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { classified, customers } from './customers.ts';
import type { BenchGateway } from './gateway.ts';
import { type GitServer, startGitServer } from './git-server.ts';
import type { Ground } from './ground.ts';
import { type Nginx, startOrigin, startProxy } from './nginx.ts';

/** What HTTP and git are measured on, running; what a scenario does not need is not started. */
export interface WebWorld extends Ground {
  /** Serves files and a small answer. */
  readonly origin: Nginx;
  /** Passes all to the origin, over connections that it keeps. */
  readonly proxy: Nginx;
  /** Bytes of the large body. */
  readonly largeBytes: number;
  /** The JSON document whose reply is masked. */
  readonly document: Buffer;
  readonly git: GitServer | undefined;
  startWebGateway(profile?: string): Promise<BenchGateway>;
}

const largeBytes = 100_000_000;
const documentBytes = 10_000_000;
export async function buildWebWorld(ground: Ground, withGit: boolean): Promise<WebWorld> {
  const { part, tell } = ground;
  tell(withGit ? 'starting nginx and making a git repository' : 'starting nginx');
  const files = part('files');
  // Nothing that compresses: neither the disk nor the recording gets it cheaper than what images and archives cost.
  writeFileSync(join(files, 'large'), randomFillSync(Buffer.allocUnsafe(largeBytes)));
  const document = customers(documentBytes);
  writeFileSync(join(files, 'customers.json'), document);
  const origin = await startOrigin(files, ground);
  const proxy = await startProxy(origin.port, ground);
  const git = withGit ? await startGitServer(ground) : undefined;
  const key = join(ground.folder, 'target.key');
  writeFileSync(key, 'the-key-of-the-target-4711', { mode: 0o600 });
  const http = {
    protocol: 'http',
    address: `http://127.0.0.1:${origin.port}`,
    internal: true,
    credential: { file: key, as: 'bearer' },
    labels: { env: 'prod' },
  };
  const targets = {
    api: { ...http, classify: classified },
    // Where something is classified, a body that cannot be searched for it is withheld.
    files: http,
    ...(git === undefined
      ? {}
      : {
          code: { protocol: 'git', address: `http://127.0.0.1:${git.port}`, internal: true, labels: { env: 'prod' } },
        }),
  };
  return {
    ...ground,
    origin,
    proxy,
    largeBytes,
    document,
    git,
    startWebGateway: (profile) => ground.startGateway({ listen: 'http', targets, recording: true, profile }),
  };
}
