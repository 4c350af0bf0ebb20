// npm test: sets everything up, checks types and style, runs every test. Arguments go to vitest: npm test -- src/audit
import { spawnSync } from 'node:child_process';
import { ensure, packages } from './debian.mjs';
import { childEnvironment, root, setUp } from './setup.mjs';

setUp();

/** Real clients, and the tests that cannot do without them. */
const needs = [
  { commands: ['psql', 'pg_dump', 'pgbench'], tests: ['test/e2e/clients/**'] },
  { commands: ['git'], tests: ['src/protocols/git/**', 'test/e2e/git.test.ts', 'test/e2e/protocols.test.ts'] },
  { commands: ['git-lfs'], tests: ['src/protocols/git/lfs.test.ts'] },
  {
    commands: ['curl', 'wget'],
    tests: [
      'test/e2e/http-clients.test.ts',
      'test/e2e/http2.test.ts',
      'src/web/http1/proxy.test.ts',
      'src/web/http2/server.test.ts',
    ],
  },
  { commands: ['rsyslogd', 'lmnsd_gtls.so'], tests: ['test/e2e/shipping-rsyslog.test.ts'] },
];
const missing = new Set(ensure(needs.flatMap(({ commands }) => commands)));
const without = needs.filter(({ commands }) => commands.some((command) => missing.has(command)));
for (const { commands, tests } of without) {
  const names = [...new Set(commands.map((command) => packages[command]))].join(' ');
  process.stderr.write(
    `sallyport: NOT RUN HERE: ${tests.join(', ')}, because ${commands.join(', ')} could not be found or installed. Debian: apt-get install ${names}\n`,
  );
}
if (without.length > 0 && process.env.CI === 'true') process.exit(1);
const left = without.flatMap(({ tests }) => tests.flatMap((pattern) => ['--exclude', pattern]));
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
