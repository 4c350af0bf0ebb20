import { chmodSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestIssuer, type TestIssuer } from '../test/support/issuer.ts';
import { Children } from './children.ts';
import { type BenchGateway, type GatewayOptions, startGateway } from './gateway.ts';

/** What every world is built on: a folder on disk, processes that are stopped at the end, and who issues tokens. */
export interface Ground {
  readonly children: Children;
  readonly signal: AbortSignal;
  /** On the disk that the gateway's audit log is on. */
  readonly folder: string;
  /** For the gateways of this run. */
  readonly issuer: TestIssuer;
  readonly token: string;
  tell(line: string): void;
  /** A folder within `folder`, made. */
  part(name: string): string;
  /** Runs at the end, whatever happens; what is deferred last runs first. */
  defer(release: () => unknown): void;
  /** A fresh one, with an empty data folder. */
  startGateway(options: Omit<GatewayOptions, 'folder' | 'issuer'>): Promise<BenchGateway>;
}

const tmpfsMagic = 0x01021994;

/** Hands the ground to `work`; whatever happens, everything is stopped and removed afterwards. */
export async function withGround(
  signal: AbortSignal,
  tell: (line: string) => void,
  work: (ground: Ground) => Promise<void>,
): Promise<void> {
  const children = new Children();
  const stack = new AsyncDisposableStack();
  try {
    const folder = mkdtempSync(join(diskFolder(), 'sallyport-bench-'));
    const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    process.once('exit', remove);
    stack.defer(remove);
    chmodSync(folder, 0o755); // Servers that run as another user have to get to their part.
    stack.defer(() => children.stopAll());
    const issuer = await startTestIssuer();
    stack.defer(() => issuer.close());
    const token = await issuer.token({ sub: 'bench', name: 'bench', groups: ['agents'] }, '8h');
    const part = (name: string) => {
      const path = join(folder, name);
      mkdirSync(path, { recursive: true });
      return path;
    };
    let gateways = 0;
    await work({
      children,
      signal,
      folder,
      issuer,
      token,
      tell,
      part,
      defer: (release) =>
        stack.defer(async () => {
          await release();
        }),
      async startGateway(options) {
        const started = await startGateway({ ...options, issuer, folder: part(`gateway-${++gateways}`) }, children);
        stack.defer(() => started.stop());
        return started;
      },
    });
  } finally {
    await stack.disposeAsync();
  }
}

/** The temporary folder, unless that is memory: what a durable write costs is part of what is measured. */
function diskFolder(): string {
  return statfsSync(tmpdir()).type === tmpfsMagic ? '/var/tmp' : tmpdir();
}
