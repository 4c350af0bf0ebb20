import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestGateway } from '../../support/gateway.ts';
import { PostgresPrograms, startGatewayForPrograms } from '../../support/postgres-programs.ts';

let gateway: TestGateway;
let programs: PostgresPrograms;

beforeAll(async () => {
  gateway = await startGatewayForPrograms({
    schema: 'create table secrets (id int, ssn text)',
    classify: { 'public.secrets.ssn': 'pii.ssn' },
    policies: `
      @id("connects") permit (principal, action == Action::"connect", resource);
      @id("agents-work") permit (principal, action in Action::"command", resource);
    `,
  });
  programs = new PostgresPrograms(gateway);
});
afterAll(() => gateway?.stop());

describe('pgbench through the gateway', () => {
  it('makes its tables', async () => {
    const done = await programs.run('pgbench', 'agent', ['-i', '-q', '-s', '1']);
    expect(done.stderr).toMatch(/done in/);
    expect(done.code).toBe(0);
    expect(await counts()).toEqual({ accounts: 100_000, branches: 1, tellers: 10, history: 0 });
  });

  it('makes its tables with rows made by the server, in a transaction, with keys', async () => {
    const done = await programs.run('pgbench', 'agent', ['-i', '-q', '-I', 'dtGvpf', '-s', '1']);
    expect(done.code, done.stderr).toBe(0);
    expect(await counts()).toEqual({ accounts: 100_000, branches: 1, tellers: 10, history: 0 });
  });

  it.each(['simple', 'extended', 'prepared'])(
    'runs select-only and TPC-B without a failed transaction: %s',
    async (mode) => {
      for (const kind of [['-S'], [], ['-N']]) {
        const before = (await counts()).history;
        const args = ['-n', '-M', mode, ...kind, '-c', '8', '-j', '2', '-t', '50'];
        const { code, stdout, stderr } = await programs.run('pgbench', 'agent', args);
        expect(stderr.replaceAll(/^pgbench \(.*\n/gm, '')).toBe('');
        expect(stdout).toMatch(/number of transactions actually processed: 400\/400/);
        expect(stdout).toMatch(/number of failed transactions: 0 /);
        expect(code).toBe(0);
        expect((await counts()).history - before).toBe(kind[0] === '-S' ? 0 : 400);
      }
      expect(await balanced()).toBe(true);
    },
  );

  it('runs a pipeline and batches of its own scripts', async () => {
    const script = String.raw`
\set aid random(1, 100000)
\startpipeline
begin;
select abalance from pgbench_accounts where aid = :aid;
update pgbench_accounts set abalance = abalance + 1 where aid = :aid;
update pgbench_accounts set abalance = abalance - 1 where aid = :aid;
commit;
\endpipeline
`;
    const { code, stdout, stderr } = await programs.run(
      'pgbench',
      'agent',
      ['-n', '-M', 'extended', '-f', '-', '-c', '4', '-t', '25'],
      { input: script },
    );
    expect(stderr.replaceAll(/^pgbench \(.*\n/gm, '')).toBe('');
    expect(stdout).toMatch(/actually processed: 100\/100/);
    expect(code).toBe(0);
    expect(await balanced()).toBe(true);
  });
});

interface Counts {
  readonly accounts: number;
  readonly branches: number;
  readonly tellers: number;
  readonly history: number;
}

async function counts(): Promise<Counts> {
  const client = await gateway.direct();
  const { rows } = await client.query(`
    select (select count(*)::int from pgbench_accounts) as accounts, (select count(*)::int from pgbench_branches) as branches,
      (select count(*)::int from pgbench_tellers) as tellers, (select count(*)::int from pgbench_history) as history`);
  await client.end();
  return rows[0] as Counts;
}

/** What accounts, tellers and branches hold is what the history says: nothing was lost, nothing done twice. */
async function balanced(): Promise<boolean> {
  const client = await gateway.direct();
  const { rows } = await client.query(`
    select (select sum(abalance) from pgbench_accounts) = (select coalesce(sum(delta), 0) from pgbench_history) as accounts`);
  await client.end();
  return (rows[0] as { accounts: boolean }).accounts;
}
