import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { World } from './world.ts';

/** A step of the story failed to do what it says. */
class TourError extends Error {}

const command = fileURLToPath(new URL('../../bin/sallyport.mjs', import.meta.url));

/** Tells the whole story with a real PostgreSQL client and the command line, checking each step. False when one failed. */
export async function tour(world: World, tell: (line: string) => void): Promise<boolean> {
  const scratch = mkdtempSync(join(tmpdir(), 'sallyport-tour-'));
  const step = async (what: string, work: () => Promise<string>) => {
    tell(`\n▸ ${what}`);
    tell(`  ✓ ${await work()}`);
  };
  try {
    await tellStory(world, scratch, step);
    tell('\nEvery step did what it said.');
    return true;
  } catch (error) {
    if (!(error instanceof TourError)) throw error;
    tell(`  ✗ ${error.message}`);
    return false;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

type Step = (what: string, work: () => Promise<string>) => Promise<void>;

async function tellStory(world: World, scratch: string, step: Step): Promise<void> {
  const agent = client(world);
  let session = '';
  let approval = '';
  try {
    await step(
      'A coding agent in CI connects with an OIDC token as its password; it holds no database credential',
      async () => {
        await agent.connect();
        const list = await cli(world, 'dana', 'sessions', 'list', '--json');
        const found = itemsOf(list.out).find(({ principal, live }) => principal === 'ci:ci-agent' && live === true);
        expect(found !== undefined, `the session is not listed: ${list.out}`);
        session = String(found?.id);
        return `session ${session}`;
      },
    );
    await step('It selects customers: classified columns come masked, the rest as it is', async () => {
      const { rows } = await agent.query(
        'select id, name, email, ssn, card as paid_with from customers order by id limit 3',
      );
      expect(
        rows.length === 3 && rows[0].id === 1 && rows[0].name === 'Bela Almeida',
        'the free columns are not what is in the table',
      );
      expect(
        rows.every((row) => !/@example|^\d{3}-\d{2}-\d{4}$/.test(`${row.email} ${row.ssn}`)),
        `values came through: ${JSON.stringify(rows)}`,
      );
      expect(
        rows.every((row) => /^\*+\d{4}$/.test(row.paid_with)),
        `the card is not shown as its last four digits: ${JSON.stringify(rows)}`,
      );
      return rows.map((row) => Object.values(row).join(' · ')).join('\n    ');
    });
    await step('DROP TABLE is refused, by a rule with a name', async () => {
      const error = await failure(agent.query('drop table payments'));
      expect(
        error.code === '42501' && `${error.detail}`.includes('agents-no-schema-change'),
        `not refused as expected: ${error.message}`,
      );
      return `${error.message}\n    ${error.detail}\n    ${error.hint}`;
    });
    const risky = "delete from orders where id = 7 and status = 'paid'";
    await step('A DELETE is held until a person decides; the agent is told what to do', async () => {
      const error = await failure(agent.query(risky));
      expect(error.code === 'ZS001', `not held: ${error.code} ${error.message}`);
      approval = /request ([0-9a-f-]{36})/.exec(error.message)?.[1] ?? '';
      expect(approval !== '', `no request id in: ${error.message}`);
      return `${error.message}\n    ${error.hint}`;
    });
    await step('The engineer who owns the agent may not approve it; the database administrator may', async () => {
      const own = await cli(world, 'sam', 'approvals', 'approve', approval, '--reason', 'it is my agent');
      expect(own.status !== 0, 'the owner of the agent approved its command');
      const other = await cli(world, 'dana', 'approvals', 'approve', approval, '--reason', 'order 7 was a test');
      expect(other.status === 0, `approving failed: ${other.out}${other.err}`);
      return 'approved by people:dana: order 7 was a test';
    });
    await step('The identical DELETE runs now, once', async () => {
      const done = await agent.query(risky);
      expect(done.command === 'DELETE', 'the statement did not run');
      const { code } = await failure(agent.query(risky));
      expect(code === 'ZS001', 'the yes was good for a second time');
      return `DELETE ${done.rowCount}; running it again asks again`;
    });
  } finally {
    await agent.end();
  }
  await step('The session is replayed as the agent saw it', async () => {
    const replay = await cli(world, 'dana', 'sessions', 'replay', session, '--no-pager');
    expect(replay.status === 0, `replay failed: ${replay.err}`);
    for (const part of ['select id, name, email', 'Bela Almeida', 'drop table payments', 'delete from orders']) {
      expect(replay.out.includes(part), `the replay lacks ${JSON.stringify(part)}:\n${replay.out}`);
    }
    expect(!replay.out.includes('@example.'), 'the replay shows what was masked');
    return replay.out.trim().split('\n').slice(0, 14).join('\n    ');
  });
  const exported = join(scratch, 'audit.tar');
  await step('The audit log is exported and verified offline, with the public key alone', async () => {
    const out = await cli(world, 'dana', 'audit', 'export', '--output', exported);
    expect(out.status === 0, `export failed: ${out.err}`);
    const verified = await verify(world, exported);
    expect(verified.status === 0, `verification failed: ${verified.out}${verified.err}`);
    return verified.out.trim().split('\n').join('\n    ');
  });
  await step('One byte changed in a copy, and the verification fails', async () => {
    const copy = join(scratch, 'changed.tar');
    copyFileSync(exported, copy);
    const bytes = readFileSync(copy);
    const at = bytes.indexOf('agents-no-schema-change');
    expect(at > 0, 'the refusal is not in the log');
    bytes[at]! ^= 1;
    writeFileSync(copy, bytes);
    const verified = await verify(world, copy);
    expect(verified.status === 1, 'the change was not noticed');
    return (verified.out + verified.err).trim().split('\n').slice(0, 4).join('\n    ');
  });
}

function client(world: World): pg.Client {
  const { host, port } = world.gateway.addresses.postgres!;
  const ca = readFileSync(world.gateway.caFile!, 'utf8');
  return new pg.Client({
    host,
    port,
    database: 'shop',
    user: 'agent',
    password: readFileSync(world.agentToken, 'utf8'),
    ssl: { ca, servername: 'localhost' },
    application_name: 'tour',
  });
}

interface Done {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `sallyport …` as a logged-in person. */
function cli(world: World, person: string, ...args: readonly string[]): Promise<Done> {
  return run(args, { ...process.env, SALLYPORT_HOME: world.home(person) });
}

/** Verifies without login, server or network: the export and the public key are all it gets. */
function verify(world: World, path: string): Promise<Done> {
  const vkey = readFileSync(join(world.folder, 'gateway', 'audit', 'log.vkey'), 'utf8').trim();
  return run(['audit', 'verify', path, '--vkey', vkey], {
    PATH: process.env.PATH ?? '',
    SALLYPORT_HOME: join(world.folder, 'nobody'),
  });
}

function run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Done> {
  return new Promise((resolve) => {
    execFile(process.execPath, [command, ...args], { env, maxBuffer: 64 * 1024 * 1024 }, (error, out, err) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : error ? 1 : 0, out, err });
    });
  });
}

function itemsOf(json: string): readonly Record<string, unknown>[] {
  const parsed = JSON.parse(json) as { items?: Record<string, unknown>[] } | Record<string, unknown>[];
  return Array.isArray(parsed) ? parsed : (parsed.items ?? []);
}

async function failure(query: Promise<unknown>): Promise<pg.DatabaseError> {
  try {
    await query;
  } catch (error) {
    if (error instanceof pg.DatabaseError) return error;
    throw error;
  }
  throw new TourError('the statement was not refused');
}

function expect(condition: boolean, otherwise: string): void {
  if (!condition) throw new TourError(otherwise);
}
