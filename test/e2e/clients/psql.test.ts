import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApprovalRequest } from '../../../src/model/approval.ts';
import type { TestGateway } from '../../support/gateway.ts';
import { PostgresPrograms, startGatewayForPrograms } from '../../support/postgres-programs.ts';

let gateway: TestGateway;
let programs: PostgresPrograms;
let scratch: string;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'sallyport-psql-'));
  gateway = await startGatewayForPrograms({
    holdMs: 20_000,
    schema: `
      create table customers (id int primary key, name text not null, email text, ssn char(11));
      insert into customers select n, 'customer ' || n, 'c' || n || '@secret.example', '912-34-' || lpad(n::text, 4, '0') from generate_series(1, 200) n;
      create table orders (id int primary key, customer_id int references customers, status text default 'open', total numeric(10, 2));
      create index orders_by_status on orders (status);
      insert into orders select n, 1 + n % 200, 'paid', n / 3.0 from generate_series(1, 5000) n;
      create table archive (like orders);
      create view paid as select id, total from orders where status = 'paid';
      create sequence tickets;
      create type mood as enum ('sad', 'happy');
      create function twice(n int) returns int language sql immutable as 'select n * 2';
      comment on table orders is 'what was bought';
    `,
    classify: { 'public.customers.email': 'pii.email', 'public.customers.ssn': 'pii.ssn' },
  });
  programs = new PostgresPrograms(gateway);
});
afterAll(async () => {
  rmSync(scratch, { recursive: true, force: true });
  await gateway?.stop();
});

type Who = Parameters<TestGateway['tokenOf']>[0];
const plain = ['-X', '-q', '-v', 'ON_ERROR_STOP=1'];
const psql = (who: Who, input: string, args: readonly string[] = []) =>
  programs.run('psql', who, [...plain, ...args], { input });
const direct = (input: string, args: readonly string[] = []) => programs.direct('psql', [...plain, ...args], { input });

async function openRequest(): Promise<ApprovalRequest> {
  const { body } = await gateway.call('dana', 'GET', '/v1/approvals?state=open&limit=10');
  const [request] = (body as { items: ApprovalRequest[] }).items;
  if (request === undefined) throw new Error('nothing waits for approval');
  return request;
}

describe('psql gets in', () => {
  it('with a token as password, over TLS that it verifies', async () => {
    const { code, stdout, stderr } = await psql('agent', '\\conninfo\nselect 1 as one;\n', ['-At']);
    expect(stderr).toBe('');
    expect(stdout).toMatch(
      /^You are connected to database "shop" as user "anyone" on host "localhost".*\nSSL connection \(protocol: TLSv1\.3/,
    );
    expect(stdout).toMatch(/\n1\n$/);
    expect(code).toBe(0);
  });

  it('only with the right certificate authority', async () => {
    const other = join(scratch, 'other.pem');
    writeFileSync(other, 'not a certificate');
    const done = await programs.run('psql', 'agent', [...plain, '-c', 'select 1'], { env: { PGSSLROOTCERT: other } });
    expect(done.code).toBe(2);
    expect(done.stdout).toBe('');
  });

  it('not with a wrong password, and is told why', async () => {
    const done = await programs.run('psql', 'agent', [...plain, '-w', '-c', 'select 1'], {
      env: { PGPASSWORD: 'wrong' },
    });
    expect(done.code).toBe(2);
    expect(done.stderr).toMatch(/FATAL: {2}SP1001/);
  });
});

describe('psql describes the database as if there were no gateway', () => {
  it.each([
    '\\d',
    '\\d customers',
    '\\d+ orders',
    '\\d paid',
    '\\d+ paid',
    '\\d orders_by_status',
    '\\d tickets',
    '\\dt',
    '\\dt+',
    '\\dt public.*',
    '\\di+',
    '\\dv',
    '\\ds',
    '\\dm',
    '\\df',
    '\\df+ twice',
    '\\sf twice',
    '\\sv paid',
    '\\dn+',
    '\\dp',
    '\\l',
    '\\du',
    '\\dT+',
    '\\dd',
    '\\db',
    '\\dx',
    '\\dD',
    '\\ddp',
    '\\dA',
    '\\dO',
    '\\dRp',
    '\\des',
    '\\drds',
    '\\d nothing_of_this_name',
  ])('%s', async (command) => {
    const [through, past] = await Promise.all([psql('agent', `${command}\n`), direct(`${command}\n`)]);
    expect(through).toEqual(past);
  });
});

describe('psql moves data', () => {
  it('out with \\copy for whom policy lets export, and not for an agent', async () => {
    const [through, past] = [join(scratch, 'through.csv'), join(scratch, 'past.csv')];
    const copy = (file: string) => `\\copy (select * from orders order by id) to '${file}' csv header\n`;
    expect(await psql('dana', copy(through))).toEqual(await direct(copy(past)));
    expect(readFileSync(through, 'utf8')).toBe(readFileSync(past, 'utf8'));
    const agents = await psql('agent', copy(join(scratch, 'agent.csv')));
    expect(agents.stderr).toMatch(/ERROR: {2}SP2001/);
    expect(agents.code).toBe(3);
  });

  it('in with \\copy', async () => {
    const file = join(scratch, 'in.tsv');
    const rows = Array.from({ length: 3000 }, (_, i) => `${10_000 + i}\t${1 + (i % 200)}\tnew\t${i}.50\n`);
    writeFileSync(file, rows.join(''));
    const done = await psql(
      'dana',
      `\\copy archive from '${file}'\nselect count(*), min(id), sum(total) from archive;\n`,
      ['-At'],
    );
    expect(done).toEqual({ code: 0, stdout: '3000|10000|4500000.00\n', stderr: '' });
  });

  it('in with \\copy, and what came in is in the recording', async () => {
    await psql('dana', '\\copy archive from stdin\n77001\t7\trecorded\t1.50\n77002\t8\trecorded\t2.50\n\\.\n', ['-At']);
    await expect
      .poll(async () => {
        const { body } = await gateway.call('dana', 'GET', '/v1/sessions?limit=1&principal=test:dana&live=false');
        const [session] = (body as { items: { id: string }[] }).items;
        return String((await gateway.call('dana', 'GET', `/v1/sessions/${session?.id}/replay`)).body);
      })
      .toMatch(/"> 77001\\t7\\trecorded\\t1\.50"[\s\S]*"> 77002\\t8\\trecorded\\t2\.50"[\s\S]*COPY 2/);
  });

  it('is told where its data is wrong, and goes on', async () => {
    const done = await programs.run('psql', 'dana', ['-X', '-q', '-At'], {
      input: "\\copy archive from stdin\n1\tnot a number\tx\t1\n\\.\nselect 'goes on';\n",
    });
    expect(done.stderr).toMatch(/ERROR: {2}invalid input syntax for type integer/);
    expect(done.stdout).toBe('goes on\n');
  });

  it('a great many rows, with a cursor and without', async () => {
    const input = 'select n, repeat(chr(97 + n % 26), 1 + n % 80) from generate_series(1, 50000) n;\n';
    const past = await direct(input, ['-At']);
    expect(await psql('agent', input, ['-At'])).toEqual(past);
    expect(await psql('agent', input, ['-At', '-v', 'FETCH_COUNT=1000'])).toEqual(past);
  });
});

describe('psql as a tool', () => {
  it('repeats with \\watch', async () => {
    const program = await programs.start('psql', 'agent', [...plain, '-At']);
    program.type('select count(*) from orders \\watch 0.1\n');
    await program.says(/5000\n[\s\S]*5000\n[\s\S]*5000\n/);
    program.signal('SIGTERM');
    await program.ended;
    expect(program.stderr).toBe('');
  });

  it('measures with \\timing and keeps values with \\gset', async () => {
    const { stdout, code } = await psql('agent', '\\timing on\nselect 40 + 2 as answer \\gset\n\\echo :answer\n');
    expect(stdout).toMatch(/^Time: [\d.]+ ms\n42\n$/);
    expect(code).toBe(0);
  });

  it('runs statements that queries wrote, in one transaction of a file', async () => {
    const file = join(scratch, 'one.sql');
    writeFileSync(
      file,
      "insert into archive values (1, 1, 'one', 1);\nselect format('insert into archive values (2, 1, %L, 2)', 'two') \\gexec\n",
    );
    expect(await psql('dana', '', ['-1', '-f', file])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect((await direct('select status from archive where id < 10 order by id;\n', ['-At'])).stdout).toBe(
      'one\ntwo\n',
    );
  });

  it('rolls a file back in which a statement was refused', async () => {
    const file = join(scratch, 'refused.sql');
    writeFileSync(
      file,
      "insert into archive values (3, 1, 'three', 3);\nupdate archive set status = 'gone';\ninsert into archive values (4, 1, 'four', 4);\n",
    );
    const done = await psql('dana', '', ['-1', '-f', file]);
    expect(done.code).toBe(3);
    expect(done.stderr).toMatch(
      /refused\.sql:2: ERROR: {2}SP2001.*\nDETAIL: {2}Rule: no-unbounded-writes\.\nHINT: {2}add a WHERE/,
    );
    expect(
      (await direct("select count(*) from archive where id in (3, 4) or status = 'gone';\n", ['-At'])).stdout,
    ).toBe('0\n');
  });

  it('describes results, binds parameters and shows crosstabs', async () => {
    const input = `
      select id, customer_id, total from orders \\gdesc
      select status, id % 2 as odd, count(*) from orders group by 1, 2 order by 1, 2 \\crosstabview
      \\x on
      select * from orders where id = 7;
    `;
    expect(await psql('agent', input)).toEqual(await direct(input));
  });

  it('sees the server’s own errors as they are', async () => {
    const input = "select 1 / 0;\nselect nothing;\nselect 'goes on';\n";
    const [through, past] = await Promise.all([
      programs.run('psql', 'agent', ['-X', '-q', '-At'], { input }),
      programs.direct('psql', ['-X', '-q', '-At'], { input }),
    ]);
    expect(through).toEqual(past);
  });
});

describe('psql and a refusal', () => {
  it('shows code, rule and advice, and ends with its usual exit codes', async () => {
    const command = await programs.run('psql', 'agent', ['-X', '-c', 'drop table orders']);
    expect(command.code).toBe(1);
    expect(command.stdout).toBe('');
    expect(command.stderr).toMatch(
      /^ERROR: {2}SP2001: .+\nDETAIL: {2}Rule: agents-no-schema-change\.\nHINT: {2}propose the change as a migration/,
    );
    const script = await psql('agent', 'drop table orders;\nselect 1;\n', ['-At']);
    expect(script).toMatchObject({ code: 3, stdout: '' });
    const lenient = await programs.run('psql', 'agent', ['-X', '-q', '-At'], {
      input: 'drop table orders;\nselect 1;\n',
    });
    expect(lenient).toMatchObject({ code: 0, stdout: '1\n' });
  });

  it('says the same with \\errverbose, SQLSTATE included', async () => {
    const { stdout, stderr } = await programs.run('psql', 'agent', ['-X', '-q', '-At'], {
      input: 'drop table orders;\n\\errverbose\n\\echo :LAST_ERROR_SQLSTATE\n',
    });
    expect(stderr).toMatch(/ERROR: {2}42501: SP2001/);
    expect(stdout).toBe('42501\n');
  });

  it('shows masks, never values', async () => {
    const { stdout, stderr } = await psql('agent', 'select * from customers order by id limit 3;\n', ['-At']);
    expect(stdout.split('\n')).toHaveLength(4);
    expect(stdout + stderr).not.toMatch(/secret\.example|912-34/);
  });
});

describe('psql and a held statement', () => {
  it('prints at once that a person has to decide, waits, and shows the result when they did', async () => {
    const program = await programs.start('psql', 'agent', ['-X', '-c', 'delete from orders where id = 4999'], {
      input: '',
    });
    await program.says(
      /NOTICE: {2}waiting for approval by dba \(request [0-9a-f-]+\)\nDETAIL: {2}Rule: agent-writes-need-dba\. Approval: \S+\nHINT: {2}\S+/,
    );
    expect(program.stdout).toBe('');
    const request = await openRequest();
    expect(request.text).toBe('delete from orders where id = 4999');
    const answered = await gateway.call('dana', 'POST', `/v1/approvals/${request.id}/approve`, { reason: 'a test' });
    expect(answered.status).toBe(200);
    const done = await program.ended;
    expect(done).toMatchObject({ code: 0, stdout: 'DELETE 1\n' });
  });

  it('is told no when a person said no', async () => {
    const program = await programs.start('psql', 'agent', ['-X', '-c', 'delete from orders where id = 4998'], {
      input: '',
    });
    await program.says(/NOTICE/);
    const request = await openRequest();
    await gateway.call('dana', 'POST', `/v1/approvals/${request.id}/deny`, { reason: 'not on a Friday' });
    const done = await program.ended;
    expect(done.code).toBe(1);
    expect(done.stderr).toMatch(/ERROR: {2}SP3002: Dana refused this command: not on a Friday\n/);
  });

  it('takes the statement back with Ctrl-C and goes on', async () => {
    const program = await programs.onTerminal('psql', 'agent', ['-X']);
    await program.says(/shop=. $/);
    program.type('delete from orders where id = 4997;\r');
    await program.says(/NOTICE: {2}waiting for approval/);
    program.type('\x03');
    await program.says(/ERROR: {2}SP/);
    program.type("select 'goes ' || 'on';\r");
    await program.says(/goes on/);
    program.type('\\q\r');
    await program.ended;
  });
});

describe('psql on a terminal', () => {
  it('completes names of tables, columns and settings', async () => {
    const program = await programs.onTerminal('psql', 'agent', ['-X']);
    await program.says(/shop=. $/);
    program.type('select * from cust\t');
    await program.says(/select \* from customers /);
    program.type('where em\t');
    await program.says(/where email /);
    program.type('\x03'); // drops the line
    await program.says(/shop=. $/);
    program.type('table ord\t');
    await program.says(/table orders/);
    program.type('\x03');
    await program.says(/shop=. $/);
    program.type('\\d arch\t');
    await program.says(/\\d archive/);
    program.type('\x03');
    await program.says(/shop=. $/);
    program.type('\\q\r');
    expect((await program.ended).stdout).not.toMatch(/ERROR/);
  });

  it('cancels what runs with Ctrl-C, in a transaction too, and goes on', async () => {
    const program = await programs.onTerminal('psql', 'agent', ['-X']);
    await program.says(/shop=. $/);
    program.type('select pg_sleep(60);\r');
    await running('select pg_sleep(60);');
    program.type('\x03');
    await program.says(/ERROR: {2}canceling statement due to user request/);
    program.type("select 'goes ' || 'on';\r");
    await program.says(/goes on/);
    program.type('begin;\r');
    await program.says(/shop=\*. $/);
    program.type('select pg_sleep(61);\r');
    await running('select pg_sleep(61);');
    program.type('\x03');
    await program.says(/shop=!. $/);
    program.type('rollback;\r\\q\r');
    expect((await program.ended).code).toBe(0);
  });
});

/** Waits until the server runs this text. */
async function running(text: string): Promise<void> {
  const client = await gateway.direct();
  try {
    for (const deadline = Date.now() + 10_000; ; ) {
      const { rowCount } = await client.query("select from pg_stat_activity where state = 'active' and query like $1", [
        `%${text.slice(0, -1)}%`,
      ]);
      if (rowCount === 1) return;
      if (Date.now() > deadline) throw new Error(`the server does not run: ${text}`);
    }
  } finally {
    await client.end();
  }
}
