#!/usr/bin/env node
// Older Nodes cannot read what follows, so this file is for all of them: it hands over to the Node that a clone brings along, says
// that it is too old, or loads the real thing.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
const pinned = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));
if (major > 22 || (major === 22 && minor >= 18)) {
  const built = new URL('../dist/cli/main.js', import.meta.url);
  const { main } = await import(existsSync(built) ? built.href : new URL('../src/cli/main.ts', import.meta.url).href);
  await main();
} else if (existsSync(pinned)) {
  process.on('SIGINT', () => undefined); // The terminal tells the child as well; its status is ours.
  const self = fileURLToPath(import.meta.url);
  process.exitCode = spawnSync(pinned, [self, ...process.argv.slice(2)], { stdio: 'inherit' }).status ?? 1;
} else {
  process.stderr.write(
    `sallyport: Node ${process.versions.node} is too old; it needs 22.18 or newer (node --version)\n`,
  );
  process.exitCode = 2;
}
