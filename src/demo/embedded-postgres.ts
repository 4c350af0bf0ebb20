import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  type EmbeddedBinaries,
  embeddedBinaries,
  passableByOthers,
  type ServerUser,
  serverUser,
} from './embedded-binaries.ts';
import { type ServerProcess, startServerProcess } from './server-process.ts';

export interface EmbeddedOptions {
  /** A folder to keep between runs; without it the data is temporary and goes at `stop`. */
  readonly dataDir?: string;
  /** Without it a free one is chosen. */
  readonly port?: number;
  /** The superuser's password; a random one otherwise. Takes effect when the data folder is made, so keep it with the folder. */
  readonly password?: string;
  /** Server settings, such as `{ log_min_duration_statement: '0' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Lines of pg_hba.conf; by default everybody needs a SCRAM password, on loopback and the socket only. */
  readonly hba?: readonly string[];
  /** PEM texts; switches TLS on. `ca` is whom client certificates must come from. */
  readonly ssl?: { readonly certificate: string; readonly key: string; readonly ca?: string };
  /** A folder with `initdb` and `postgres` to run in place of the embedded ones; the server's user must be able to reach it. */
  readonly binDir?: string;
}

export interface EmbeddedPostgres {
  readonly port: number;
  readonly superuser: { readonly user: string; readonly password: string };
  /** For the superuser, on 127.0.0.1, database `postgres`. */
  readonly url: string;
  /** Folder of the Unix socket. */
  readonly socketDir: string;
  /** Where the data really is: see `placeFor`. */
  readonly dataDir: string;
  /** True when the data folder was made by this start. */
  readonly fresh: boolean;
  /** What the server wrote to its log so far (the last 64 kB). */
  log(): string;
  /** Stops the server and removes what is temporary. */
  stop(): Promise<void>;
}

const execute = promisify(execFile);
const superuser = 'postgres';
const startTimeoutMs = 60_000;

/** Starts a real PostgreSQL server on loopback. It also runs where this process is root, as `nobody`. */
export async function startEmbeddedPostgres(options: EmbeddedOptions = {}): Promise<EmbeddedPostgres> {
  const user = serverUser();
  const binaries = options.binDir === undefined ? embeddedBinaries(user) : binariesIn(options.binDir);
  const password = options.password ?? randomBytes(18).toString('base64url');
  const scratch = scratchFolder(user);
  const dataDir = options.dataDir === undefined ? join(scratch, 'data') : placeFor(options.dataDir);
  const temporary = [scratch, ...(binaries.copy === undefined ? [] : [binaries.copy])];
  try {
    const fresh = await initialise(binaries, user, dataDir, password, scratch);
    writeOwned(join(dataDir, 'pg_hba.conf'), `${(options.hba ?? defaultHba).join('\n')}\n`, user);
    const server = await start(binaries, user, dataDir, scratch, options);
    const stop = async () => {
      await server.stop(options.dataDir === undefined ? 'SIGQUIT' : 'SIGINT');
      for (const folder of temporary) rmSync(folder, { recursive: true, force: true });
    };
    const url = `postgres://${superuser}:${encodeURIComponent(password)}@127.0.0.1:${server.port}/postgres`;
    const known = { superuser: { user: superuser, password }, url, socketDir: scratch, dataDir, fresh };
    return { ...known, port: server.port, log: server.log, stop };
  } catch (error) {
    for (const folder of temporary) rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function binariesIn(folder: string): EmbeddedBinaries {
  return { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') };
}

const defaultHba = ['local all all scram-sha-256', 'host all all 127.0.0.1/32 scram-sha-256'];

/**
 * Where a kept data folder is put: at `wanted`, or, when the server runs as another user that could not get there (a
 * project under root's home), in a folder of /var/tmp that is named after `wanted`.
 */
export function placeFor(wanted: string): string {
  const path = resolve(wanted);
  if (serverUser() === undefined) return path;
  let parent = dirname(path);
  while (!existsSync(parent)) parent = dirname(parent);
  if (passableByOthers(parent)) return path;
  return join('/var/tmp', `sallyport-${createHash('sha256').update(path).digest('hex').slice(0, 16)}`);
}

/** Holds the socket (whose path must be short: 107 bytes) and, if temporary, the data. */
function scratchFolder(user: ServerUser | undefined): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-pg-'));
  chmodSync(folder, 0o755);
  own(folder, user);
  return folder;
}

async function initialise(
  { initdb }: EmbeddedBinaries,
  user: ServerUser | undefined,
  dataDir: string,
  password: string,
  scratch: string,
): Promise<boolean> {
  if (existsSync(join(dataDir, 'PG_VERSION'))) {
    // A folder of somebody else, planted under a name that can be guessed, must not be run from.
    const { uid } = lstatSync(dataDir);
    if (process.getuid !== undefined && uid !== (user?.uid ?? process.getuid()))
      throw new Error(`${dataDir} belongs to user ${uid}`);
    return false;
  }
  makeFolder(dataDir, user);
  const pwfile = join(scratch, 'pw');
  writeOwned(pwfile, password, user);
  const flags = ['--encoding=UTF8', '--locale=C', '--auth=scram-sha-256', '--no-sync', '--no-instructions'];
  await execute(initdb, ['-D', dataDir, '-U', superuser, `--pwfile=${pwfile}`, ...flags], { ...user, cwd: scratch });
  rmSync(pwfile);
  return true;
}

async function start(
  { postgres }: EmbeddedBinaries,
  user: ServerUser | undefined,
  dataDir: string,
  scratch: string,
  options: EmbeddedOptions,
): Promise<ServerProcess & { readonly port: number }> {
  const settings = {
    ...serverSettings(dataDir, user, options),
    unix_socket_directories: process.platform === 'win32' ? '' : scratch,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  // A free port can be taken between looking and binding, hence the second look.
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const args = ['-D', dataDir, '-h', '127.0.0.1', '-p', String(port), ...flags];
    const server = startServerProcess({ program: postgres, args, user, scratch });
    if (await accepts(server, dataDir)) return { ...server, port };
    await server.stop('SIGQUIT');
    if (options.port !== undefined || attempt === 3) throw new Error(`PostgreSQL did not start:\n${server.log()}`);
  }
}

function serverSettings(
  dataDir: string,
  user: ServerUser | undefined,
  { dataDir: kept, settings, ssl }: EmbeddedOptions,
): Record<string, string> {
  // Temporary data need not survive a power cut.
  const durability = kept === undefined ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } : {};
  if (ssl === undefined) return { ...durability, ...settings };
  const file = (name: string, text: string) => {
    writeOwned(join(dataDir, name), text, user);
    return join(dataDir, name);
  };
  const files = { ssl_cert_file: file('server.crt', ssl.certificate), ssl_key_file: file('server.key', ssl.key) };
  const ca = ssl.ca === undefined ? {} : { ssl_ca_file: file('ca.crt', ssl.ca) };
  return { ...durability, ssl: 'on', ...files, ...ca, ...settings };
}

/** The last line of postmaster.pid says `ready` once connections are accepted; false when the server gave up. */
async function accepts(server: ServerProcess, dataDir: string): Promise<boolean> {
  const pid = String(await server.pid);
  const pidFile = join(dataDir, 'postmaster.pid');
  for (const deadline = Date.now() + startTimeoutMs; Date.now() < deadline && !server.over; await sleep(10)) {
    const lines = existsSync(pidFile) ? readFileSync(pidFile, 'utf8').split('\n') : [];
    if (lines[0] === pid && lines[7]?.trim() === 'ready') return true;
  }
  return false;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Folders made on the way can be passed through, but not looked into; the last is the server's alone. */
function makeFolder(path: string, user: ServerUser | undefined): void {
  if (existsSync(path)) {
    if (lstatSync(path).isSymbolicLink()) throw new Error(`${path} is a symbolic link`);
    if (readdirSync(path).length > 0) throw new Error(`${path} holds something else than a database`);
  } else {
    const parent = dirname(path);
    for (let made = mkdirSync(parent, { recursive: true }); made !== undefined; ) {
      chmodSync(made, 0o711);
      const next: string = join(made, relative(made, parent).split(sep)[0] ?? '');
      made = next === made ? undefined : next;
    }
    mkdirSync(path, { mode: 0o700 });
  }
  own(path, user);
}

function own(path: string, user: ServerUser | undefined): void {
  if (user !== undefined) chownSync(path, user.uid, user.gid);
}

function writeOwned(path: string, text: string, user: ServerUser | undefined): void {
  rmSync(path, { force: true });
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
  own(path, user);
}
