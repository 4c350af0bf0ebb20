#!/usr/bin/env node
// Older Nodes cannot read what follows, so this file is for all of them: it says so, or loads the real thing.
import { existsSync } from 'node:fs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `sallyport: Node ${process.versions.node} is too old; it needs 22.18 or newer (node --version)\n`,
  );
  process.exit(2);
}
const built = new URL('../dist/cli/main.js', import.meta.url);
const { main } = await import(existsSync(built) ? built.href : new URL('../src/cli/main.ts', import.meta.url).href);
await main();
