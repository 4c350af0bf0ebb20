// npm run bench: sets everything up, then measures. Arguments go to bench/run.ts; see --help.
import { join } from 'node:path';
import { ensure, packages } from './debian.mjs';
import { runToEnd } from './run.mjs';
import { root, setUp } from './setup.mjs';

setUp();
const missing = ensure(['pgbench', 'pgbouncer', 'wrk', 'nginx', 'curl', 'git']);
if (missing.length > 0) {
  process.stderr.write(
    `sallyport: the benchmark needs ${missing.join(' and ')}: apt-get install ${missing.map((command) => packages[command]).join(' ')}\n`,
  );
  process.exit(1);
}
runToEnd(join(root, 'bench/run.ts'), process.argv.slice(2));
