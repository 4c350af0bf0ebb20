// Makes a fresh clone ready: dependencies and the pinned Node. Runs under any Node from 20 on, uses nothing but Node and npm.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const stamp = join(root, 'node_modules', '.sallyport-setup');
const bin = join(root, 'node_modules', '.bin');

/** Installs what package-lock.json names unless that very lockfile is installed already. Exits with a message when it cannot. */
export function setUp() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 20) fail(`Node ${process.versions.node} is too old to set Sallyport up; install Node 20 or newer.`);
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const current = existsSync(stamp) && readFileSync(stamp, 'utf8') === lock && existsSync(pinnedNode());
  if (current) return;
  process.stderr.write('sallyport: installing dependencies (once; about a minute) …\n');
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--engine-strict=false'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (npm.error) fail(`npm could not be started: ${npm.error.message}`);
  if (npm.status !== 0) fail(`npm ci failed with status ${npm.status}; its message is above.`);
  if (!existsSync(pinnedNode()))
    fail('the pinned Node was not installed: npm skipped the install script of the package "node".');
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, lock);
}

/** Path of the Node that package.json pins; falls back to the running one where that is new enough. */
export function pinnedNode() {
  const pinned = join(root, 'node_modules', 'node', 'bin', 'node');
  if (existsSync(pinned) && statSync(pinned).size > 1000) return pinned;
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 18) ? process.execPath : pinned;
}

/** Environment for a child: the pinned Node and the project's tools come first on PATH. */
export function childEnvironment() {
  return { ...process.env, PATH: `${dirname(pinnedNode())}:${bin}:${process.env.PATH}` };
}

function fail(message) {
  process.stderr.write(`sallyport: ${message}\n`);
  process.exit(1);
}
