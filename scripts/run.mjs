// Runs a child under the pinned Node and ends with it. The terminal sends Ctrl-C to the whole group; the child stops what it
// started, and this waits for that.
import { spawn } from 'node:child_process';
import { childEnvironment, pinnedNode, root } from './setup.mjs';

export function runToEnd(file, args) {
  const child = spawn(pinnedNode(), [file, ...args], { cwd: root, env: childEnvironment(), stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => (signal === 'SIGINT' ? undefined : child.kill(signal)));
  }
  child.on('error', (error) => {
    process.stderr.write(`sallyport: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
}
