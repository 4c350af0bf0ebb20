import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type DemoServer, startWebServer } from './web-server.ts';

const run = promisify(execFile);

/** git without anybody's configuration. */
export function plainGit(home: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: join(home, 'gitconfig'),
    GIT_TERMINAL_PROMPT: '0',
    LC_ALL: 'C',
  };
}

/** A real git server (`git http-backend`) that takes nobody without its token, with the repository `shop/backend.git`. */
export async function startCodeServer(folder: string, token: string): Promise<DemoServer> {
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, 'shop/backend.git'))) await makeRepository(folder);
  const expected = `Basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
  return startWebServer((request, response) => {
    if (request.headers.authorization === expected) serve(folder, request, response);
    else response.writeHead(401, { 'www-authenticate': 'Basic realm="code"' }).end('a token is needed\n');
  });
}

async function makeRepository(folder: string): Promise<void> {
  const bare = join(folder, 'shop/backend.git');
  const work = join(folder, 'first-commit');
  const as = ['-c', 'user.name=Sam', '-c', 'user.email=sam@shop.example'];
  const git = (...args: string[]) => run('git', [...as, ...args], { cwd: folder, env: plainGit(folder) });
  await git('init', '--quiet', '--bare', '--initial-branch=main', bare);
  await git('-C', bare, 'config', 'http.receivepack', 'true');
  await git('init', '--quiet', '--initial-branch=main', work);
  writeFileSync(join(work, 'README.md'), '# The shop’s backend\n');
  writeFileSync(
    join(work, 'orders.js'),
    'export const total = (items) => items.reduce((sum, item) => sum + item.price, 0);\n',
  );
  await git('-C', work, 'add', '.');
  await git('-C', work, 'commit', '--quiet', '-m', 'Count what an order costs');
  await git('-C', work, 'push', '--quiet', bare, 'main');
}

/** CGI (RFC 3875) to git's own server program. */
function serve(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://code');
  const child = spawn('git', ['http-backend'], {
    env: {
      ...plainGit(folder),
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: decodeURIComponent(pathname),
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      CONTENT_LENGTH: request.headers['content-length'],
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
      GIT_PROTOCOL: request.headers['git-protocol'] as string | undefined,
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.on('error', () => response.writeHead(500).end('git could not be started\n'));
  child.stdin.on('error', () => undefined); // it had enough
  request.pipe(child.stdin);
  response.on('close', () => child.kill());
  let head = Buffer.alloc(0);
  const readHead = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    child.stdout.off('data', readHead);
    const fields = head
      .toString('latin1', 0, end)
      .split('\r\n')
      .map((line) => line.split(/: */, 2) as [string, string]);
    const status = fields.find(([name]) => name === 'Status')?.[1];
    response.writeHead(Number.parseInt(status ?? '200', 10), fields.filter(([name]) => name !== 'Status').flat());
    response.write(head.subarray(end + 4));
    child.stdout.pipe(response);
  };
  child.stdout.on('data', readHead);
}
