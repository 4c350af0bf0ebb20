import type { ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { serverUser } from '../src/demo/embedded-binaries.ts';
import type { Issued } from '../test/support/certificates.ts';
import type { Children } from './children.ts';
import { freePort } from './free-port.ts';
import type { PostgresPrograms } from './postgres-programs.ts';

export interface PostgresServer {
  readonly port: number;
  readonly superuser: string;
  /** As it says itself: `15.18 (Debian 15.18-0+deb12u1)`. */
  readonly version: string;
  readonly process: ChildProcess;
}

export interface PostgresOptions {
  readonly programs: PostgresPrograms;
  readonly folder: string;
  readonly maxConnections: number;
  readonly certificate: Issued | undefined;
}

/**
 * A server with trust authentication on loopback, nothing synced to the disk and a cache that holds all of the data: it is
 * to be as fast as it can, so that the proxies before it show. The Debian package's one, which pgbench comes from;
 * the embedded one where there is none. Runs as `nobody` when we are root.
 */
export async function startPostgres(
  { programs, folder, maxConnections, certificate }: PostgresOptions,
  children: Children,
  signal: AbortSignal,
): Promise<PostgresServer> {
  const user = serverUser();
  const { initdb, postgres } = programs;
  const data = join(folder, 'data');
  const own = (path: string) => (user === undefined ? undefined : chownSync(path, user.uid, user.gid));
  const place = (name: string, text: string) => {
    writeFileSync(join(data, name), text, { mode: 0o600 });
    own(join(data, name));
    return join(data, name);
  };
  mkdirSync(data, { recursive: true, mode: 0o700 });
  own(folder);
  own(data);
  const flags = ['--encoding=UTF8', '--locale=C', '--auth=trust', '--no-sync', '--no-instructions'];
  await children.run('initdb', initdb, ['-D', data, '-U', 'postgres', ...flags], { ...user, cwd: folder, signal });
  const settings: Record<string, string | number> = {
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    autovacuum: 'off',
    jit: 'off',
    shared_buffers: totalmem() > 8 * 2 ** 30 ? '1GB' : '256MB',
    max_wal_size: '4GB',
    checkpoint_timeout: '1h',
    max_connections: maxConnections,
    unix_socket_directories: '',
    ...(certificate === undefined
      ? {}
      : {
          ssl: 'on',
          ssl_cert_file: place('server.crt', certificate.certificate),
          ssl_key_file: place('server.key', certificate.key),
        }),
  };
  const port = await freePort();
  const child = children.start(
    'PostgreSQL',
    postgres,
    [
      '-D',
      data,
      '-h',
      '127.0.0.1',
      '-p',
      String(port),
      ...Object.entries(settings).flatMap(([k, v]) => ['-c', `${k}=${v}`]),
    ],
    { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-16_384);
  });
  await accepts(child, join(data, 'postmaster.pid'), () => log, signal);
  const version = await children.run('postgres --version', postgres, ['--version'], { signal });
  return { port, superuser: 'postgres', version: version.replace(/^.*\)\s+(?=\d)|^\D+/, '').trim(), process: child };
}

/** The last line of postmaster.pid says `ready` once connections are accepted. */
async function accepts(child: ChildProcess, pidFile: string, log: () => string, signal: AbortSignal): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(20, undefined, { signal })) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    const lines = existsSync(pidFile) ? readFileSync(pidFile, 'utf8').split('\n') : [];
    if (lines[0] === String(child.pid) && lines[7]?.trim() === 'ready') return;
  }
  throw new Error(`PostgreSQL did not start:\n${log()}`);
}
