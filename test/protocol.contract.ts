import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReplayItem } from '../src/gateway/protocol.ts';
import type { ApprovalRequest } from '../src/model/approval.ts';
import type { RecordedEvent } from '../src/model/event.ts';
import type { BareGateway } from './support/gateway.ts';

/** What one client of the protocol got for one command. */
export interface Answer {
  readonly ok: boolean;
  /** Everything the client could see: values, or the text of an error with its hints. */
  readonly shown: string;
}

export interface ContractClient {
  run(command: string): Promise<Answer>;
  close(): Promise<void>;
}

/** One protocol in front of a real target, behind a real gateway with the demonstration's policies. */
export interface ProtocolUnderTest {
  readonly gateway: BareGateway;
  open(who: 'agent' | 'dana' | 'other-agent'): Promise<ContractClient>;
  /** Tries to get in with a credential that is no good. Resolves with what the client was told. */
  refusedLogin(credential: string): Promise<string>;
  readonly commands: {
    readonly allowed: string;
    /** The text of its commands in the log; `allowed` itself, once, where absent. */
    readonly allowedTexts?: readonly string[];
    /** Part of what `allowed` shows. */
    readonly allowedShows: string;
    readonly denied: string;
    /** Commands that its client sends on the way to it. */
    readonly deniedAfter?: readonly string[];
    /** The rule that denies it. */
    readonly deniedBy: string;
    readonly notUnderstood: string;
    /** Needs an approval; a different command for each number. */
    held(number: number): string;
    /** What such a command is called when somebody has to decide; itself where absent. */
    heldText?(command: string): RegExp;
    /** Shows a classified value, which is `secret` in the target. Absent where replies hold no values. */
    readonly classified?: {
      readonly command: string;
      readonly secret: string /** Part of what it shows all the same. */;
      readonly shows: string;
    };
  };
  /** What the target's log holds of a command that has reached it; the command itself where absent. */
  traceOf?(command: string): string;
  /** What the target itself has noted of the commands that reached it, as one text. */
  targetLog(): Promise<string>;
  /** The target's credential, which must be nowhere. */
  readonly credential: string;
  stopTarget(): Promise<void>;
  stop(): Promise<void>;
}

/** What every protocol has to do, whatever its bytes look like. */
export function protocolContract(
  name: string,
  start: () => Promise<ProtocolUnderTest>,
  { values = true }: { /** Whether replies hold values that can be classified. */ readonly values?: boolean } = {},
): void {
  describe(`${name}, as a protocol`, () => {
    let underTest: ProtocolUnderTest;
    const use = () => underTest;
    beforeAll(async () => {
      underTest = await start();
    });
    afterAll(() => underTest?.stop());

    passes(use);
    holds(use);
    if (values) masks(use);
    records(use);
    ends(use);
  });
}

type Use = () => ProtocolUnderTest;

function passes(use: Use): void {
  it('lets an allowed command through and shows its reply', async () => {
    const { open, commands } = use();
    const client = await open('agent');
    expect(await client.run(commands.allowed)).toMatchObject({
      ok: true,
      shown: expect.stringContaining(commands.allowedShows),
    });
    await client.close();
  });

  it('sends nothing upstream of a command that is refused, says by which rule, and stays usable', async () => {
    const { open, commands, targetLog } = use();
    const client = await open('agent');
    const refused = await client.run(commands.denied);
    expect(refused.ok).toBe(false);
    expect(refused.shown).toMatch(/SP2001/);
    expect(refused.shown).toContain(commands.deniedBy);
    expect(await targetLog()).not.toContain(trace(use, commands.denied));
    expect((await client.run(commands.allowed)).ok).toBe(true);
    await client.close();
  });

  it('refuses what it does not understand', async () => {
    const { open, commands, targetLog } = use();
    const client = await open('agent');
    const refused = await client.run(commands.notUnderstood);
    expect(refused.ok).toBe(false);
    expect(refused.shown).toMatch(/SP2002/);
    expect(await targetLog()).not.toContain(trace(use, commands.notUnderstood));
    await client.close();
  });

  it('lets nobody in with a credential that is no good, and tells them nothing', async () => {
    const { gateway, refusedLogin } = use();
    const expired = await gateway.issuer.token({ sub: 'agent', kind: 'ci', groups: ['agents'] }, '-10m');
    for (const credential of ['nonsense', expired, `${await gateway.tokenOf('agent')}x`]) {
      const told = await refusedLogin(credential);
      expect(told).toMatch(/SP1001/);
      expect(told).not.toMatch(/expired|signature|issuer/i);
    }
  });
}

function holds(use: Use): void {
  it('sends nothing upstream while a command is held, and runs the identical command once after a yes', async () => {
    const { gateway, open, commands, targetLog } = use();
    const client = await open('agent');
    const command = commands.held(1);
    const waiting = await client.run(command);
    expect(waiting.ok).toBe(false);
    expect(waiting.shown).toMatch(/SP3001/);
    expect(waiting.shown).toMatch(/identical/);
    expect(await targetLog()).not.toContain(trace(use, command));
    const request = await requestFor(use(), command);
    expect(waiting.shown).toContain(request.id);
    const answer = await gateway.call('dana', 'POST', `/v1/approvals/${request.id}/approve`, { reason: 'contract' });
    expect(answer.status).toBe(200);
    expect((await client.run(command)).ok).toBe(true);
    expect(await targetLog()).toContain(trace(use, command));
    expect((await client.run(command)).shown).toMatch(/SP3001/);
    await client.close();
  });

  it('attaches a retry to the request that is open, from another connection too', async () => {
    const { open, commands } = use();
    const first = await open('agent');
    await first.run(commands.held(2));
    await first.close(); // Hanging up cancels nothing.
    const second = await open('agent');
    const again = await second.run(commands.held(2));
    expect(again.shown).toContain((await requestFor(use(), commands.held(2))).id);
    await second.close();
  });

  it('tells a no with its reason, and does not ask again', async () => {
    const { gateway, open, commands } = use();
    const client = await open('agent');
    await client.run(commands.held(3));
    const request = await requestFor(use(), commands.held(3));
    await gateway.call('dana', 'POST', `/v1/approvals/${request.id}/deny`, { reason: 'not on a Friday' });
    const no = await client.run(commands.held(3));
    expect(no.shown).toMatch(/SP3002/);
    expect(no.shown).toContain('not on a Friday');
    await client.close();
  });

  it('gives one caller’s yes to no other', async () => {
    const { gateway, open, commands } = use();
    const client = await open('agent');
    await client.run(commands.held(4));
    const request = await requestFor(use(), commands.held(4));
    await gateway.call('dana', 'POST', `/v1/approvals/${request.id}/approve`, { reason: 'for the one who asked' });
    const other = await open('other-agent');
    expect((await other.run(commands.held(4))).shown).toMatch(/SP3001/);
    await Promise.all([client.close(), other.close()]);
  });
}

function masks(use: Use): void {
  it('shows no classified value, and neither does anything that is kept', async () => {
    const { gateway, open, commands } = use();
    const client = await open('agent');
    const { command, secret, shows } = commands.classified!;
    const answer = await client.run(command);
    expect(answer.ok).toBe(true);
    expect(answer.shown).toContain(shows);
    expect(answer.shown).not.toContain(secret);
    await client.close();
    const session = await lastSession(gateway);
    const items = await replayOf(gateway, session.id);
    expect(JSON.stringify(items)).toContain(shows);
    expect(JSON.stringify(items)).not.toContain(secret);
    const outcome = (await events(gateway, session.id)).find(
      ({ type, masked }) => type === 'command.outcome' && masked !== undefined,
    );
    expect(JSON.stringify(outcome?.masked)).toMatch(/"count":\d+/);
    expect(JSON.stringify(outcome)).not.toContain(secret);
  });
}

function records(use: Use): void {
  it('has an intent in the log for everything that reached the target, and an outcome for every intent', async () => {
    const { gateway, open, commands } = use();
    const client = await open('agent');
    for (let i = 0; i < 5; i++) await client.run(commands.allowed);
    await client.run(commands.denied);
    await client.close();
    const session = await lastSession(gateway);
    const all = await events(gateway, session.id);
    const intents = all.filter(({ type, prepareOnly }) => type === 'command.intent' && prepareOnly !== true);
    const texts = commands.allowedTexts ?? [commands.allowed];
    expect(intents.map(({ text }) => text)).toEqual([
      ...[1, 2, 3, 4, 5].flatMap(() => texts),
      ...(commands.deniedAfter ?? []),
    ]);
    for (const intent of all.filter(({ type }) => type === 'command.intent')) {
      const outcome = all.find(({ type, exchange }) => type === 'command.outcome' && exchange === intent.exchange);
      expect(outcome?.seq).toBeGreaterThan(intent.seq);
    }
    expect(all.filter(({ type }) => type === 'command.denied')).toHaveLength(1);
    expect(all[0]?.type).toBe('session.started');
    expect(all.at(-1)?.type).toBe('session.ended');
    expect(all.map(({ seq }) => seq)).toEqual(all.map(({ seq }) => seq).toSorted((a, b) => a - b));
  });

  it('replays what was asked and what was shown', async () => {
    const { gateway, open, commands } = use();
    const client = await open('agent');
    await client.run(commands.allowed);
    await client.run(commands.denied);
    await client.close();
    const items = await replayOf(gateway, (await lastSession(gateway)).id);
    for (const text of commands.allowedTexts ?? [commands.allowed])
      expect(items.some((item) => item.kind === 'command' && item.text === text)).toBe(true);
    expect(JSON.stringify(items)).toContain(commands.allowedShows);
    expect(items.some((item) => item.kind === 'status' && item.text.includes('SP2001'))).toBe(true);
  });

  it('keeps the target’s credential out of everything it writes', async () => {
    const { gateway, credential } = use();
    expect(credential.length).toBeGreaterThan(5);
    const data = join(gateway.folder, 'data');
    const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files.length).toBeGreaterThan(5);
    for (const file of files) {
      // The log's newest tiles are replaced while we look.
      const path = join(file.parentPath, file.name);
      if (existsSync(path)) expect(readFileSync(path).includes(credential), file.name).toBe(false);
    }
  });
}

function ends(use: Use): void {
  it('ends a live session when an operator says so', async () => {
    const { gateway, open, commands } = use();
    const client = await open('agent');
    await client.run(commands.allowed);
    const session = await lastSession(gateway);
    const { status } = await gateway.call('dana', 'POST', `/v1/sessions/${session.id}/terminate`, {
      reason: 'contract',
    });
    expect(status).toBeLessThan(300);
    const after = await client.run(commands.allowed).catch((error: unknown) => ({ ok: false, shown: String(error) }));
    expect(after.ok).toBe(false);
    await client.close().catch(() => undefined);
  });

  it('says so when the target cannot be reached, and lives on', async () => {
    const { gateway, open, stopTarget } = use();
    await stopTarget();
    const attempt = await open('agent').then(
      (client) => client.run(use().commands.allowed),
      (error: unknown) => ({ ok: false, shown: error instanceof Error ? error.message : String(error) }),
    );
    expect(attempt.ok).toBe(false);
    expect(attempt.shown).toMatch(/SP6001/);
    expect((await gateway.call('dana', 'GET', '/v1/whoami')).status).toBe(200);
  });
}

function trace(use: Use, command: string): string {
  return use().traceOf?.(command) ?? command;
}

async function requestFor({ gateway, commands }: ProtocolUnderTest, command: string): Promise<ApprovalRequest> {
  const { body } = await gateway.call('dana', 'GET', '/v1/approvals?state=open&limit=500');
  const pattern = commands.heldText?.(command);
  const found = (body as { items: ApprovalRequest[] }).items.find(({ text }) =>
    pattern === undefined ? text === command : pattern.test(text),
  );
  if (found === undefined) throw new Error(`no open request for ${command}`);
  return found;
}

async function lastSession(gateway: BareGateway): Promise<{ readonly id: string }> {
  await sleep(100); // The end of a session is written when its recording is sealed.
  const { body } = await gateway.call('dana', 'GET', '/v1/sessions?limit=1&principal=test:agent');
  return (body as { items: { id: string }[] }).items[0]!;
}

async function events(gateway: BareGateway, session: string): Promise<readonly RecordedEvent[]> {
  const { body } = await gateway.call('dana', 'GET', `/v1/audit/events?limit=500&session=${session}`);
  return (body as { items: RecordedEvent[] }).items.toSorted((a, b) => a.seq - b.seq);
}

async function replayOf(gateway: BareGateway, session: string): Promise<readonly ReplayItem[]> {
  const { status, body } = await gateway.call('dana', 'GET', `/v1/sessions/${session}/replay`);
  expect(status).toBe(200);
  return String(body)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ReplayItem);
}
