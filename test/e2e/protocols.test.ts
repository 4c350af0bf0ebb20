import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { git, gitResult, startGitBackend } from '../../src/protocols/git/testing/git-backend.fixture.ts';
import { type ProtocolUnderTest, protocolContract } from '../protocol.contract.ts';
import { startBareGateway, startGateway } from '../support/gateway.ts';
import { callGateway } from '../support/http-client.ts';
import { customers, startHttpUpstream } from '../support/http-upstream.ts';

protocolContract('postgres', startPostgresUnderTest);
protocolContract('http', startHttpUnderTest);
protocolContract('git', startGitUnderTest, { values: false });

async function startPostgresUnderTest(): Promise<ProtocolUnderTest> {
  const gateway = await startGateway({
    postgres: { settings: { log_statement: 'all' } },
    schema: `
      create table customers (id int primary key, name text, ssn text);
      insert into customers values (1, 'Ada Lovelace', '912-34-5678');
      create table orders (id int primary key, status text);
      insert into orders select n, 'paid' from generate_series(1, 50) n;
    `,
    classify: { 'public.customers.ssn': 'pii.ssn' },
  });
  const connect = (who: 'agent' | 'dana' | 'other-agent') => gateway.client(who);
  return {
    gateway,
    credential: gateway.postgres.superuser.password,
    commands: {
      allowed: 'select status from orders where id = 3',
      allowedShows: 'paid',
      denied: 'drop table orders',
      deniedBy: 'agents-no-schema-change',
      notUnderstood: 'selec status from orders',
      held: (number) => `delete from orders where id = ${10 + number}`,
      classified: { command: 'select id, name, ssn from customers', secret: '912-34-5678', shows: 'Ada Lovelace' },
    },
    async open(who) {
      const client = await connect(who);
      return {
        run: (command) =>
          client.query(command).then(
            ({ rows }) => ({ ok: true, shown: JSON.stringify(rows) }),
            (error: pg.DatabaseError) => ({ ok: false, shown: [error.message, error.detail, error.hint].join('\n') }),
          ),
        close: () => client.end(),
      };
    },
    async refusedLogin(credential) {
      const client = new pg.Client({
        host: '127.0.0.1',
        port: gateway.port,
        database: 'shop',
        user: 'anyone',
        password: credential,
        ssl: { ca: gateway.ca, servername: 'localhost' },
      });
      client.on('error', () => undefined);
      return client.connect().then(
        () => 'it was let in',
        (error: Error) => error.message,
      );
    },
    targetLog: async () => gateway.postgres.log(),
    stopTarget: () => gateway.postgres.stop(),
    stop: () => gateway.stop(),
  };
}

async function startHttpUnderTest(): Promise<ProtocolUnderTest> {
  const upstream = await startHttpUpstream();
  const credential = 'key-of-the-target-4711';
  const gateway = await startBareGateway({
    files: { 'api.key': credential },
    limits: { rest: '250ms' },
    targets: {
      api: {
        protocol: 'http',
        address: `http://127.0.0.1:${upstream.port}`,
        internal: true,
        credential: { file: './api.key', as: 'bearer' },
        labels: { env: 'prod' },
        hold: '300ms',
        classify: { '$.customers[*].ssn': 'pii.ssn' },
      },
    },
  });
  const run = async (token: string, command: string) => {
    const [method = '', path = ''] = command.split(' ');
    const { status, body } = await callGateway(gateway, token, method, `/api${path}`);
    return { ok: status < 400, shown: body };
  };
  return {
    gateway,
    credential,
    commands: {
      allowed: 'GET /orders/3',
      allowedShows: 'paid',
      denied: 'DELETE /orders/3',
      deniedBy: 'agents-no-deletes',
      notUnderstood: 'GET /orders/%2e%2e/customers',
      held: (number) => `POST /orders/${10 + number}/refund`,
      classified: { command: 'GET /customers', secret: customers[0]!.ssn, shows: 'Ada Lovelace' },
    },
    async open(who) {
      const token = await gateway.tokenOf(who);
      return {
        run: (command) => run(token, command),
        close: () => sleep(350), // the session rests, and ends
      };
    },
    refusedLogin: async (token) => (await run(token, 'GET /orders/3')).shown,
    targetLog: async () => upstream.log(),
    stopTarget: () => upstream.stop(),
    async stop() {
      await gateway.stop();
      await upstream.stop().catch(() => undefined);
    },
  };
}

/** Real git on both sides. Commands: `ls-remote`, `push N` (a commit for main), `delete` (of a branch), `garbage`. */
async function startGitUnderTest(): Promise<ProtocolUnderTest> {
  const credential = 'token-of-the-target-4711';
  const backend = await startGitBackend({
    authorization: `Basic ${Buffer.from(`x-access-token:${credential}`).toString('base64')}`,
  });
  const bare = await backend.create('shop/backend.git');
  const work = mkdtempSync(join(tmpdir(), 'sallyport-work-'));
  await git(work, ['init', '-q', '-b', 'main']);
  await git(work, ['commit', '-q', '--allow-empty', '-m', 'first']);
  await git(work, ['push', '-q', bare, 'main', 'main:old']);
  const gateway = await startBareGateway({
    files: { token: credential },
    limits: { rest: '800ms' },
    targets: {
      code: {
        protocol: 'git',
        address: `http://127.0.0.1:${backend.port}`,
        internal: true,
        credential: { file: './token' },
        labels: { env: 'prod' },
        hold: '300ms',
      },
    },
  });
  const url = `${gateway.http}/git/code/shop/backend.git`;
  const commits = new Map<string, string>();
  const commitOf = async (command: string): Promise<string> => {
    let id = commits.get(command);
    if (id === undefined) {
      const base = (await git(bare, ['rev-parse', 'main'])).trim();
      id = (await git(work, ['commit-tree', 'main^{tree}', '-p', base, '-m', command])).trim();
      commits.set(command, id);
    }
    return id;
  };
  const run = async (token: string, command: string) => {
    const as = ['-c', `http.extraHeader=Authorization: Bearer ${token}`, '-c', `http.sslCAInfo=${gateway.caFile}`];
    const ask = async (...args: string[]) => {
      const { status, output } = await gitResult(work, [...as, ...args]);
      return { ok: status === 0, shown: output };
    };
    if (command === 'garbage') {
      const headers = { 'content-type': 'application/x-git-upload-pack-request', 'git-protocol': 'version=2' };
      const { status, body } = await callGateway(gateway, token, 'POST', '/git/code/shop/backend.git/git-upload-pack', {
        headers,
        body: '0016command=steal-all\n0000',
      });
      return { ok: status < 400 && !body.includes('SP'), shown: body };
    }
    if (command === 'delete') return ask('push', url, ':refs/heads/old');
    if (command.startsWith('push')) {
      const id = await commitOf(command);
      // Set back behind everybody's back, the push could be made once more: with the yes of the first time?
      if ((await git(bare, ['rev-parse', 'main'])).trim() === id)
        await git(bare, ['update-ref', 'refs/heads/main', `${id}^`]);
      return ask('push', url, `${id}:refs/heads/main`);
    }
    return ask('ls-remote', url);
  };
  return {
    gateway,
    credential,
    commands: {
      allowed: 'ls-remote',
      allowedTexts: ['list refs of shop/backend (git-upload-pack version 2)', 'list refs of shop/backend (ls-refs)'],
      allowedShows: 'refs/heads/main',
      denied: 'delete',
      deniedAfter: ['list refs of shop/backend (git-receive-pack)'],
      deniedBy: 'agents-no-history-rewrite',
      notUnderstood: 'garbage',
      held: (number) => `push ${number}`,
      heldText: (command) => new RegExp(commits.get(command) ?? 'never pushed'),
    },
    // Before the first push nobody knows a commit's name; then the log has it or has not.
    traceOf: (command) => (command === 'delete' ? 'deleted' : (commits.get(command) ?? command)),
    async open(who) {
      const token = await gateway.tokenOf(who);
      return { run: (command) => run(token, command), close: () => sleep(1000) };
    },
    refusedLogin: async (token) =>
      (await callGateway(gateway, token, 'GET', '/git/code/shop/backend.git/info/refs?service=git-upload-pack')).body,
    async targetLog() {
      const refs = await git(bare, ['for-each-ref', '--format=%(refname) %(objectname)']);
      return refs.includes('refs/heads/old') ? refs : `${refs}deleted`;
    },
    stopTarget: () => backend.close(),
    async stop() {
      await gateway.stop();
      await backend.close().catch(() => undefined);
      rmSync(work, { recursive: true, force: true });
    },
  };
}
