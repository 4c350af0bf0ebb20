import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { verifyLog } from '../../src/audit/verify.ts';
import type { RecordedEvent } from '../../src/model/event.ts';
import { gatewayConfiguration } from '../support/gateway.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { startTestIssuer, type TestIssuer } from '../support/issuer.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { request, sql } from '../support/requests.ts';
import { workPolicies } from '../support/work-policies.ts';

let postgres: TestPostgres;
let issuer: TestIssuer;
let shopUrl: string;
const folders: string[] = [];
const started: GatewayProcess[] = [];

beforeAll(async () => {
  [postgres, issuer] = await Promise.all([startPostgres(), startTestIssuer()]);
  await sql(postgres.url, 'create database shop');
  shopUrl = postgres.url.replace(/postgres$/, 'shop');
  await sql(shopUrl, 'create table numbered (name text primary key, secret text)');
});
afterAll(async () => {
  await Promise.all(started.map((gateway) => gateway.kill()));
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  await Promise.all([postgres?.stop(), issuer?.close()]);
});

/** A folder with a configuration; gateways on it come and go. */
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-crash-'));
  folders.push(folder);
  const options = { policies: workPolicies, classify: { 'public.numbered.secret': 'pii.secret' } };
  writeFileSync(join(folder, 'password'), postgres.superuser.password, { mode: 0o600 });
  writeFileSync(
    join(folder, 'sallyport.yaml'),
    stringify(gatewayConfiguration(options, folder, postgres, issuer, new URL(postgres.url))),
  );
  return folder;
}

async function start(folder: string): Promise<GatewayProcess> {
  const gateway = await GatewayProcess.start(join(folder, 'sallyport.yaml'));
  started.push(gateway);
  return gateway;
}

const agent = () => issuer.token({ sub: 'agent', kind: 'ci', groups: ['agents'] });
const auditor = () => issuer.token({ sub: 'dana', kind: 'human', groups: ['dba'] });

async function call(gateway: GatewayProcess, path: string): Promise<{ status: number; body: unknown }> {
  return request(gateway.api, gateway.ca, await auditor(), 'GET', path);
}

/** The log behind the events that are known, oldest first, as the API tells it. */
async function history(
  gateway: GatewayProcess,
  known: readonly RecordedEvent[] = [],
): Promise<readonly RecordedEvent[]> {
  const all = [...known];
  for (let after: string | undefined = String(known.at(-1)?.seq ?? 0); after !== undefined; ) {
    const { body } = await call(gateway, `/v1/audit/events?limit=500&after=${after}`);
    const page = body as { items: RecordedEvent[]; next?: string };
    all.push(...page.items);
    after = page.next;
  }
  return all;
}

async function rowsAtTarget(): Promise<readonly string[]> {
  const client = new pg.Client({ connectionString: shopUrl });
  await client.connect();
  const { rows } = await client.query('select name from numbered');
  await client.end();
  return rows.map(({ name }) => name as string);
}

/** Inserts numbered rows until the connection is gone: simple, extended and pipelined in turn. */
async function load(gateway: GatewayProcess, prefix: string, acknowledged: string[]): Promise<void> {
  const client = await gateway.client(await agent());
  const insert = async (n: number) => {
    const name = `${prefix}-${n}`;
    if (n % 3 === 0) await client.query(`insert into numbered values ('${name}')`);
    else
      await client.query({
        text: 'insert into numbered values ($1)',
        values: [name],
        ...(n % 3 === 1 ? { name: 'insert' } : {}),
      });
    acknowledged.push(name);
  };
  for (let n = 0; ; n++) {
    try {
      await insert(n);
    } catch {
      return;
    }
  }
}

const command = ({ session, exchange }: RecordedEvent) => `${session} ${exchange}`;

/** Names of rows that a command was about to insert, by its text or its parameters. */
function named(event: RecordedEvent): readonly string[] {
  const parameters = (event.parameters ?? []) as readonly string[];
  return [...parameters, ...(/'([\w-]+)'/.exec(String(event.text)) ?? []).slice(1)];
}

describe('a gateway that is killed under load', () => {
  it('has every command that reached the target in its log, and closes what it left open', async () => {
    const folder = newFolder();
    const acknowledged: string[] = [];
    let events: readonly RecordedEvent[] = [];
    for (let round = 1; round <= 3; round++) {
      const gateway = await start(folder);
      const before = acknowledged.length;
      const clients = Array.from({ length: 8 }, (_, c) => load(gateway, `r${round}-c${c}`, acknowledged));
      // Long enough for the recordings to have reached the disk, which they do within a second or two.
      while (acknowledged.length < before + 200 || recordings(folder) < 8) await sleep(10);
      await sleep(37 * round);
      await gateway.kill();
      await Promise.all(clients);

      const next = await start(folder);
      events = await history(next, events);
      const of = (type: string) => events.filter((event) => event.type === type);

      const intents = new Map(
        of('command.intent').flatMap((event) => named(event).map((name) => [name, event] as const)),
      );
      const atTarget = await rowsAtTarget();
      expect(atTarget.length).toBeGreaterThanOrEqual(acknowledged.length);
      expect(atTarget.filter((name) => !intents.has(name))).toEqual([]);
      expect(acknowledged.filter((name) => !intents.has(name))).toEqual([]);
      expect(new Set(acknowledged).difference(new Set(atTarget)).size).toBe(0);

      // Each intent has exactly one outcome; what the crash swallowed is unknown, never a guess.
      const outcomes = of('command.outcome').map(command);
      expect(new Set(outcomes).size).toBe(outcomes.length);
      expect(outcomes.toSorted()).toEqual(of('command.intent').map(command).toSorted());
      for (const event of of('command.outcome')) expect(['ok', 'unknown']).toContain(event.status);
      expect(of('gateway.recovered')).toHaveLength(round);

      // Sessions of clients have ended, and their recordings are sealed.
      const sessions = of('session.started')
        .filter(({ principal }) => principal === 'test:agent')
        .map(({ session }) => session);
      expect(sessions).toHaveLength(8 * round);
      for (const type of ['session.ended', 'recording.sealed']) {
        const closed = of(type).map(({ session }) => session);
        expect(
          sessions.filter((session) => closed.filter((one) => one === session).length !== 1),
          type,
        ).toEqual([]);
      }
      expect(recordings(folder)).toBe(0);
      for (const session of sessions.slice(-8)) {
        const asked = await replayed(next, String(session));
        const intended = of('command.intent')
          .filter((event) => event.session === session)
          .map((event) => String(event.text));
        expect(asked.length).toBeGreaterThan(0);
        expect(asked).toEqual(intended.slice(0, asked.length));
      }

      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
      await next.stop();
      expect(await verifyLog(join(folder, 'data', 'audit'))).toMatchObject({
        ok: true,
        problems: [],
        openIntentCount: 0,
        unsigned: 0,
      });
    }
  }, 180_000);
});

describe('a gateway that is killed before anything of a session is recorded', () => {
  it('says of each session that its recording was cut off, and of a silent one that nothing was kept', async () => {
    const folder = newFolder();
    const gateway = await start(folder);
    const [, busy] = await Promise.all([gateway.client(await agent()), gateway.client(await agent())]);
    await busy.query("insert into numbered values ('the first')");
    await gateway.kill();

    const next = await start(folder);
    const events = await history(next);
    const sessions = events.filter(({ type, principal }) => type === 'session.started' && principal === 'test:agent');
    expect(sessions).toHaveLength(2);
    const sealed = events.filter(({ type }) => type === 'recording.sealed');
    expect(sealed.map(({ session }) => session).toSorted()).toEqual(sessions.map(({ session }) => session).toSorted());
    const talked = events.find(({ type }) => type === 'command.intent')?.session;
    for (const { session, principal, target, truncated, frames } of sealed) {
      expect({ principal, target, truncated }).toEqual({ principal: 'test:agent', target: 'shop', truncated: true });
      const { status, body } = await call(next, `/v1/sessions/${session}/replay`);
      expect(status).toBe(200);
      // The one that said something has had a moment in which a part may have reached the disk.
      if (session !== talked) expect(frames).toBe(0);
      expect(body).toContain(frames === 0 ? 'nothing was kept' : 'was cut off here');
      const { status: skipped, body: rest } = await call(next, `/v1/sessions/${session}/replay?skip=100`);
      expect([skipped, rest]).toEqual([200, '']);
    }
    await next.stop();
    // Once and for all.
    const third = await start(folder);
    const later = await history(third, events);
    expect(later.filter(({ type }) => type === 'recording.sealed')).toHaveLength(2);
    await third.stop();
  }, 60_000);
});

/** Recordings that are being written. */
function recordings(folder: string): number {
  const open = join(folder, 'data', 'recordings', 'open');
  return existsSync(open) ? readdirSync(open).length : 0;
}

/** The commands that a recording shows. */
async function replayed(gateway: GatewayProcess, session: string): Promise<readonly string[]> {
  const { status, body } = await call(gateway, `/v1/sessions/${session}/replay`);
  expect(status).toBe(200);
  const items = String(body)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { kind: string; text?: string });
  return items.flatMap(({ kind, text }) => (kind === 'command' && text !== undefined ? [text] : []));
}

describe('a gateway that can no longer write its audit log', () => {
  it('sends nothing to the target any more, says so, ends its sessions and stops', async () => {
    const folder = newFolder();
    const gateway = await start(folder);
    const clients = await Promise.all(Array.from({ length: 4 }, async () => gateway.client(await agent())));
    for (const [i, client] of clients.entries())
      await client.query('insert into numbered values ($1)', [`before-${i}`]);
    gateway.fillTheDisk();
    const answers = await Promise.allSettled(
      clients.map((client, i) => client.query('insert into numbered values ($1)', [`after-${i}`])),
    );
    const codes = answers.map((answer) =>
      answer.status === 'rejected' ? String(answer.reason.code ?? answer.reason.message) : 'answered',
    );
    expect(codes).not.toContain('answered');
    expect(codes).toEqual(clients.map(() => 'ZS004'));
    await Promise.all(clients.map((client) => expect(client.query('select 1')).rejects.toThrow()));
    expect(await gateway.failed).toMatch(/ENOSPC/);
    await expect(gateway.client(await agent())).rejects.toThrow();
    expect(await gateway.ended, gateway.log).toBe(3);
    expect(gateway.log).not.toContain('internal error');

    const names = await rowsAtTarget();
    expect(names.filter((name) => name.startsWith('after-'))).toEqual([]);
    expect(names.filter((name) => name.startsWith('before-'))).toHaveLength(4);

    // With room on the disk again everything goes on, from a log that is whole.
    const next = await start(folder);
    const client = await next.client(await agent());
    await client.query('insert into numbered values ($1)', ['room-again']);
    await client.end();
    const events = await history(next);
    expect(
      events
        .filter((event) => event.type === 'command.intent')
        .flatMap(named)
        .filter((name) => name.startsWith('after-')),
    ).toEqual([]);
    await next.stop();
    expect(await verifyLog(join(folder, 'data', 'audit'))).toMatchObject({ ok: true, openIntentCount: 0 });
    expect(existsSync(join(folder, 'data', 'audit', 'checkpoint'))).toBe(true);
  });
});
