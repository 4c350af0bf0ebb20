// npm run demo: sets everything up, then starts the demonstration. Arguments: --tour, --reset; see --help.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { childEnvironment, pinnedNode, root, setUp } from './setup.mjs';

setUp();
const child = spawn(pinnedNode(), [join(root, 'bin/sallyport.mjs'), 'demo', ...process.argv.slice(2)], {
  cwd: root,
  env: childEnvironment(),
  stdio: 'inherit',
});
// The terminal sends Ctrl-C to the whole group; the demonstration stops what it started, and this waits for it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => (signal === 'SIGINT' ? undefined : child.kill(signal)));
child.on('error', (error) => {
  process.stderr.write(`sallyport: ${error.message}\n`);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
