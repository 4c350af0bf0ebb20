import { readFileSync } from 'node:fs';
import pg from 'pg';
import type { World } from '../world.ts';
import { cli, expect, requestIn, type Step, TourError } from './stage.ts';

/** An agent at the shop's database: masked, refused, held, approved. Returns its session's id. */
export async function tellOfDatabase(world: World, step: Step): Promise<string> {
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
      approval = requestIn(error.message);
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
  return session;
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
