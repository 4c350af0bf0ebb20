// Runs a tool of this project (or a .ts file) under the pinned Node: node scripts/with-node.mjs tsc -p tsconfig.json
import { spawn } from 'node:child_process';
import { childEnvironment, pinnedNode, root, setUp } from './setup.mjs';

setUp();
const [command, ...rest] = process.argv.slice(2);
if (!command) {
  process.stderr.write('usage: with-node.mjs COMMAND|FILE.ts [ARG …]\n');
  process.exit(2);
}
const isScript = /\.(ts|mjs|js)$/.test(command);
const child = spawn(isScript ? pinnedNode() : command, isScript ? [command, ...rest] : rest, {
  cwd: isScript ? process.cwd() : root,
  env: childEnvironment(),
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  process.stderr.write(`${command}: ${error.message}\n`);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(signal ? 1 : code));
