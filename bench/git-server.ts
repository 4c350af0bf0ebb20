import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Ground } from './ground.ts';

export interface GitServer {
  readonly port: number;
  /** Bytes of the files in the one repository, `bench.git`. */
  readonly bytes: number;
  /** `2.39.5` */
  readonly version: string;
}

const program = fileURLToPath(new URL('git-http-backend.ts', import.meta.url));
const files = 400;
const fileBytes = 512 * 1024;

/** `git http-backend` with a repository of 200 MB that neither zlib nor deltas make smaller, packed as a server keeps it. */
export async function startGitServer(ground: Ground): Promise<GitServer> {
  const { children, signal } = ground;
  const root = ground.part('git');
  const repository = join(root, 'bench.git');
  const git = (...args: readonly string[]) =>
    children.run(`git ${args[0]}`, 'git', args, { cwd: root, env: { ...process.env, ...gitAlone }, signal });
  await git('init', '--quiet', '--bare', '--initial-branch=main', repository);
  await git('-C', repository, 'config', 'http.uploadpack', 'true');
  const stream = join(root, 'import');
  await writeImport(stream);
  const flags = '--quiet --depth=0 --force';
  const importing = `exec git -C "$0" -c core.compression=0 fast-import ${flags} < "$1"`;
  await children.run('git fast-import', 'sh', ['-c', importing, repository, stream], {
    env: { ...process.env, ...gitAlone },
    signal,
  });
  const server = children.start('git http-backend', process.execPath, [program, root], {
    env: { ...process.env, ...gitAlone },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  ground.defer(() => children.stop(server, 'SIGTERM', 5000));
  const [{ port }] = (await once(server, 'message')) as [{ readonly port: number }];
  const version = (await git('--version')).replace(/^git version /, '').trim();
  return { port, bytes: files * fileBytes, version };
}

/** No configuration of the machine or the user, and nobody is asked for a password. */
export const gitAlone = { GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_TERMINAL_PROMPT: '0' };

/** One commit with all files, as `git fast-import` reads it. */
async function writeImport(path: string): Promise<void> {
  const stream = createWriteStream(path);
  stream.write('commit refs/heads/main\ncommitter bench <bench@bench.example> 1767225600 +0000\ndata 5\nfirst\n');
  for (let n = 0; n < files; n++) {
    stream.write(`M 100644 inline folder-${n % 20}/file-${n}\ndata ${fileBytes}\n`);
    stream.write(randomBytes(fileBytes));
    if (!stream.write('\n')) await once(stream, 'drain');
  }
  stream.end('done\n');
  await once(stream, 'finish');
}
