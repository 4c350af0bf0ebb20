import type { ChildProcess } from 'node:child_process';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { find } from '../scripts/debian.mjs';
import { serverUser } from '../src/demo/embedded-binaries.ts';
import type { Issued } from '../test/support/certificates.ts';
import type { Children } from './children.ts';
import { freePort } from './free-port.ts';

export interface PgBouncer {
  readonly port: number;
  readonly version: string;
  readonly process: ChildProcess;
}

export interface PgBouncerOptions {
  readonly folder: string;
  readonly database: { readonly port: number; readonly name: string; readonly user: string };
  readonly maxConnections: number;
  readonly certificate: Issued | undefined;
}

/** PgBouncer in session mode, one server connection for each client, as Sallyport has. Debian's; runs as `nobody` when we are root. */
export async function startPgBouncer(
  options: PgBouncerOptions,
  children: Children,
  signal: AbortSignal,
): Promise<PgBouncer> {
  const { folder, database, maxConnections, certificate } = options;
  const program = find('pgbouncer');
  if (program === undefined) throw new Error('pgbouncer is missing: apt-get install pgbouncer');
  const user = serverUser();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const place = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    if (user !== undefined) chownSync(join(folder, name), user.uid, user.gid);
    return join(folder, name);
  };
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  const port = await freePort();
  const tls =
    certificate === undefined
      ? ['client_tls_sslmode = disable', 'server_tls_sslmode = disable']
      : [
          'client_tls_sslmode = require',
          `client_tls_cert_file = ${place('server.crt', certificate.certificate)}`,
          `client_tls_key_file = ${place('server.key', certificate.key)}`,
          'server_tls_sslmode = require',
        ];
  const ini = [
    '[databases]',
    `${database.name} = host=127.0.0.1 port=${database.port} dbname=${database.name} user=${database.user}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    'pool_mode = session',
    `max_client_conn = ${maxConnections}`,
    `default_pool_size = ${maxConnections}`,
    'ignore_startup_parameters = extra_float_digits',
    'log_connections = 0',
    'log_disconnections = 0',
    ...tls,
  ];
  const file = place('pgbouncer.ini', `${ini.join('\n')}\n`);
  const child = children.start('PgBouncer', program, ['-q', file], {
    ...user,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-16_384);
  });
  for (const deadline = Date.now() + 10_000; ; await sleep(20, undefined, { signal })) {
    if (await answers(port)) break;
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`PgBouncer did not start:\n${log}`);
  }
  const version = await children.run('pgbouncer --version', program, ['--version'], { signal });
  return { port, version: version.split('\n')[0]!.trim(), process: child };
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
