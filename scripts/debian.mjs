// Debian packages that tests and benchmarks drive real clients from, installed by name where that is possible.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Command → the Debian package that brings it. */
export const packages = {
  psql: 'postgresql-client',
  pg_dump: 'postgresql-client',
  pgbench: 'postgresql',
  pgbouncer: 'pgbouncer',
  'git-lfs': 'git-lfs',
  wget: 'wget',
  wrk: 'wrk',
  nginx: 'nginx-light',
  curl: 'curl',
  git: 'git',
  rsyslogd: 'rsyslog',
  'lmnsd_gtls.so': 'rsyslog-gnutls',
};

/** Where a command is, looking beside PATH into Debian's folders for PostgreSQL's programs and rsyslog's modules. */
export function find(command) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', ...postgresFolders(), rsyslogFolder()];
  return folders.map((folder) => join(folder, command)).find((path) => existsSync(path));
}

function rsyslogFolder() {
  const machine = { x64: 'x86_64', arm64: 'aarch64' }[process.arch] ?? process.arch;
  return `/usr/lib/${machine}-linux-gnu/rsyslog`;
}

function postgresFolders() {
  const base = '/usr/lib/postgresql';
  if (!existsSync(base)) return [];
  return readdirSync(base)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(base, version, 'bin'));
}

/** Installs what is missing when this is Debian and we are root; returns the commands that are missing all the same. */
export function ensure(commands) {
  const missing = commands.filter((command) => find(command) === undefined);
  if (missing.length === 0) return [];
  const names = [...new Set(missing.map((command) => packages[command]))];
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    process.stderr.write(`sallyport: installing ${names.join(', ')} for the tests …\n`);
    // A package's own server must not start: the tests bring their own.
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
    const apt = (args) => spawnSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;
    if (!apt(['install', '-y', '-qq', '--no-install-recommends', ...names])) {
      apt(['update', '-qq']);
      apt(['install', '-y', '-qq', '--no-install-recommends', ...names]);
    }
  }
  return commands.filter((command) => find(command) === undefined);
}
