// npm test: sets everything up, checks types and style, runs every test. Arguments go to vitest: npm test -- src/audit
import { spawnSync } from 'node:child_process';
import { ensure, packages } from './debian.mjs';
import { childEnvironment, root, setUp } from './setup.mjs';

setUp();
const missing = ensure(['psql', 'pg_dump', 'pgbench']);
const left = missing.length === 0 ? [] : ['--exclude', 'test/e2e/clients/**'];
if (missing.length > 0) {
  const names = [...new Set(missing.map((command) => packages[command]))].join(', ');
  process.stderr.write(
    `sallyport: NOT RUN HERE: the tests with PostgreSQL's own programs (test/e2e/clients), because ${missing.join(', ')} could not be found or installed. Debian: apt-get install ${names}\n`,
  );
  if (process.env.CI === 'true') process.exit(1);
}
const rest = process.argv.slice(2);
if (rest.length === 0) {
  run('tsc', ['-p', 'tsconfig.json']);
  run('biome', ['check', '--error-on-warnings', '.']);
}
run('vitest', ['run', ...left, ...rest]);

function run(command, args) {
  const done = spawnSync(command, args, { cwd: root, env: childEnvironment(), stdio: 'inherit' });
  if (done.error) throw done.error;
  if (done.status !== 0) process.exit(done.status ?? 1);
}
