import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchGateway } from './gateway.ts';
import { type GitServer, gitAlone } from './git-server.ts';
import type { TransferScenario } from './transfers.ts';
import type { WebWorld } from './web-world.ts';

/** `git clone` of the whole repository: what arrives is checked and stored by git, and not checked out. */
export function gitClone(git: GitServer, gateway: BenchGateway, world: WebWorld): TransferScenario {
  const through = `http://127.0.0.1:${gateway.ports.http}/git/code/bench.git`;
  return {
    name: 'git-clone',
    title: `clone of a repository of ${(git.bytes / 1e6).toFixed(0)} MB from git http-backend`,
    size: git.bytes,
    paths: [
      { label: 'direct', proxy: undefined, run: () => clone(`http://127.0.0.1:${git.port}/bench.git`, world) },
      { label: 'Sallyport', proxy: gateway.process.pid, run: () => clone(through, world) },
    ],
  };
}

async function clone(url: string, { children, signal, folder, token }: WebWorld): Promise<number> {
  const into = join(folder, 'clone.git');
  const options = ['-c', `http.extraHeader=Authorization: Bearer ${token}`];
  const start = performance.now();
  await children.run('git clone', 'git', [...options, 'clone', '--quiet', '--bare', url, into], {
    env: { ...process.env, ...gitAlone },
    signal,
  });
  const seconds = (performance.now() - start) / 1000;
  rmSync(into, { recursive: true });
  return seconds;
}
