import { maskAlone } from './body-mask.ts';
import type { BenchGateway } from './gateway.ts';
import type { TransferPath, TransferScenario } from './transfers.ts';
import type { WebWorld } from './web-world.ts';

/** A body that is too large to be kept anywhere. */
export function largeBody(gateway: BenchGateway, world: WebWorld): TransferScenario {
  const size = world.largeBytes;
  return {
    name: 'http-large',
    title: `one body of ${size / 1e6} MB, application/octet-stream`,
    size,
    paths: [
      ...withoutGateway(world, '/large', 1, size),
      throughGateway('Sallyport', gateway, world, '/files/large', 1, size),
    ],
  };
}

/** Taken several times over one connection: once is over too soon. */
const times = 5;

/** A JSON reply of which values are classified, and which detectors look through. */
export function maskedDocument(gateway: BenchGateway, world: WebWorld): TransferScenario {
  const size = world.document.length * times;
  return {
    name: 'http-mask',
    title: `a JSON document of ${(world.document.length / 1e6).toFixed(0)} MB, ${times} times`,
    size,
    paths: [
      ...withoutGateway(world, '/customers.json', times, size),
      // How long it becomes depends on the masks.
      throughGateway('Sallyport, two paths masked, detectors', gateway, world, '/api/customers.json', times, undefined),
      { label: 'the masker alone, in memory', proxy: undefined, run: async () => maskAlone(world.document, times) },
    ],
  };
}

function withoutGateway(world: WebWorld, path: string, count: number, size: number): readonly TransferPath[] {
  const { origin, proxy } = world;
  return [
    {
      label: 'direct',
      proxy: undefined,
      run: () => take(`http://127.0.0.1:${origin.port}${path}`, count, size, world),
    },
    {
      label: 'nginx',
      proxy: proxy.process.pid,
      run: () => take(`http://127.0.0.1:${proxy.port}${path}`, count, size, world),
    },
  ];
}

function throughGateway(
  label: string,
  gateway: BenchGateway,
  world: WebWorld,
  path: string,
  count: number,
  size: number | undefined,
): TransferPath {
  const url = `http://127.0.0.1:${gateway.ports.http}${path}`;
  return { label, proxy: gateway.process.pid, run: () => take(url, count, size, world) };
}

/** Gets it with curl, one after the other over one connection; seconds from the first request to the last byte. */
async function take(
  url: string,
  count: number,
  size: number | undefined,
  { children, signal, token }: WebWorld,
): Promise<number> {
  const each = Array.from({ length: count }, () => ['--output', '/dev/null', url]).flat();
  const args = ['--silent', '--show-error', '--fail', '--header', `Authorization: Bearer ${token}`];
  const report = ['--write-out', '%{size_download} %{time_total}\\n'];
  const output = await children.run('curl', 'curl', ['--disable', ...args, ...report, ...each], { signal });
  const lines = output.trim().split('\n');
  const taken = lines.map((line) => line.split(' ').map(Number) as [number, number]);
  const bytes = taken.reduce((sum, [one]) => sum + one, 0);
  if (taken.length !== count || !(bytes > 0) || (size !== undefined && bytes !== size))
    throw new Error(`curl got ${bytes} bytes from ${url}`);
  return taken.reduce((sum, [, seconds]) => sum + seconds, 0);
}
