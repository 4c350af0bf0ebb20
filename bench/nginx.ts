import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { find } from '../scripts/debian.mjs';
import { freePort } from './free-port.ts';
import type { Ground } from './ground.ts';

export interface Nginx {
  readonly port: number;
  /** `nginx/1.22.1` */
  readonly version: string;
  readonly process: ChildProcess;
}

/** As small as answers of an API get. */
export const smallAnswer = '{"id":4711,"state":"shipped","total":"129.90","currency":"EUR","note":"left at the door"}';

/** The server of HTTP: files, and a small answer made of nothing. */
export function startOrigin(files: string, ground: Ground): Promise<Nginx> {
  return start('origin', ground, [
    `root ${files};`,
    'default_type application/octet-stream;',
    'types { application/json json; }',
    'sendfile on;',
    `location = /small { default_type application/json; return 200 '${smallAnswer}'; }`,
  ]);
}

/** What Sallyport is held against: nginx's `proxy_pass`, with connections to the origin that are kept, as Sallyport keeps them. */
export function startProxy(origin: number, ground: Ground): Promise<Nginx> {
  const server = [
    'location / {',
    'proxy_pass http://origin;',
    'proxy_http_version 1.1;',
    'proxy_set_header Connection "";',
    'proxy_max_temp_file_size 0;', // A client that is slower is waited for, and the disk left alone.
    '}',
  ];
  const upstream = `upstream origin { server 127.0.0.1:${origin}; keepalive 64; keepalive_requests 1000000000; }`;
  return start('proxy', ground, server, upstream);
}

async function start(name: string, ground: Ground, server: readonly string[], upstream = ''): Promise<Nginx> {
  const { children, signal } = ground;
  const program = find('nginx');
  if (program === undefined) throw new Error('nginx is missing: apt-get install nginx-light');
  const folder = ground.part(`nginx-${name}`);
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const configuration = [
    'worker_processes 1;',
    'daemon off;',
    `pid ${join(folder, 'nginx.pid')};`,
    'error_log stderr warn;',
    process.getuid?.() === 0 ? 'user nobody nogroup;' : '',
    'events { worker_connections 4096; }',
    'http {',
    'access_log off;',
    'keepalive_requests 1000000000;',
    'tcp_nopush on;',
    ...temporary.map((what) => `${what}_temp_path ${join(folder, what)};`),
    upstream,
    'server {',
    `listen 127.0.0.1:${port};`,
    ...server,
    '}',
    '}',
  ];
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, `${configuration.join('\n')}\n`);
  const child = children.start(`nginx (${name})`, program, ['-e', 'stderr', '-p', folder, '-c', file], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  ground.defer(() => children.stop(child, 'SIGTERM', 5000));
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-16_384);
  });
  for (const deadline = Date.now() + 10_000; !(await answers(port)); await sleep(20, undefined, { signal })) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`nginx did not start:\n${log}`);
  }
  // Says it on stderr.
  const version = await children.run('nginx -v', 'sh', ['-c', '"$0" -v 2>&1', program], { signal });
  return { port, version: /nginx\/\S+/.exec(version)?.[0] ?? 'nginx', process: child };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
