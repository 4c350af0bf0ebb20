import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ApprovalRequest } from '../model/approval.ts';
import type { Command } from '../model/command.ts';
import type { Decision } from '../model/decision.ts';
import { Refusal } from '../model/errors.ts';
import type { AuditEvent } from '../model/event.ts';
import type { Caller, Principal } from '../model/principal.ts';
import type { Session } from '../model/session.ts';
import type { Target } from '../model/target.ts';
import { openSqliteStore, type SqliteStore } from '../storage/sqlite/store.ts';
import { type Approvals, type ApprovalsDeps, createApprovals } from './approvals.ts';

const agent: Principal = {
  id: 'corp:agent-1',
  kind: 'agent',
  issuer: 'corp',
  subject: 'agent-1',
  name: 'an agent',
  groups: ['agents'],
  owner: 'corp:owner',
  claims: {},
};
const session: Session = {
  id: 'session-1',
  principal: agent,
  target: 'orders',
  protocol: 'postgres',
  client: { address: '127.0.0.1' },
  startedAt: 0,
};
const target: Target = { name: 'orders', protocol: 'postgres', labels: { env: 'prod' }, holdMs: 1_000, settings: {} };
const command: Command = {
  classified: {
    verb: 'DELETE',
    actions: ['write'],
    resources: [{ type: 'Table', id: 'public.orders', access: 'write' }],
    facts: { statements: 1, hasWhere: true, functions: [], verbs: ['DELETE'] },
  },
  text: 'delete from orders where id = $1',
  parameters: ['1', null],
  scope: 'path=public',
};
const version = '0123456789abcdef';
const held: Decision & { outcome: 'hold' } = {
  outcome: 'hold',
  rule: 'deletes-need-dba',
  rules: ['deletes-need-dba'],
  policyVersion: version,
  approvers: ['dba'],
  obligations: { masks: {} },
};
const person = (id: string, ...groups: string[]): Caller => ({
  principal: { id: `corp:${id}`, kind: 'human', issuer: 'corp', subject: id, name: id, groups, claims: {} },
  proof: { kind: 'oidc', id: 'login', expiresAt: 9e15 },
});
const dba = person('dba', 'dba');
const never = new AbortController().signal;

describe('approvals', () => {
  let folder: string;
  let stores: SqliteStore[];
  let rooms: Approvals[];
  let time: number;
  let policyVersion: string;
  let verdict: Decision;
  /** What happened where others can see it, in order: audit events and notifications. */
  let seen: (AuditEvent | { readonly type: 'notified'; readonly approval: string; readonly link: string })[];
  let auditFails: boolean;
  let warnings: string[];
  let one: Approvals;
  let two: Approvals;

  async function node(changes: Partial<ApprovalsDeps> = {}): Promise<Approvals> {
    const store = await openSqliteStore({ file: join(folder, 'store.db') });
    stores.push(store);
    const approvals = createApprovals({
      store,
      audit: {
        async record(event) {
          if (auditFails) throw new Error('the disk is full');
          // A log takes a moment, so that what happens out of order shows.
          await new Promise((resolve) => setImmediate(resolve));
          return seen.push(event);
        },
      },
      policy: {
        get version() {
          return policyVersion;
        },
        decideApprove: () => verdict,
      },
      targets: new Map([['orders', target]]),
      now: () => time,
      externalUrl: 'https://gw.example/',
      defaultTtlMs: 60_000,
      notifiers: [
        { name: 'test', notify: async ({ id }, link) => void seen.push({ type: 'notified', approval: id, link }) },
      ],
      pollMs: 10,
      sweepMs: 3_600_000,
      warn: (message) => void warnings.push(message),
      ...changes,
    });
    rooms.push(approvals);
    return approvals;
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-approvals-'));
    stores = [];
    rooms = [];
    seen = [];
    warnings = [];
    auditFails = false;
    time = 0;
    policyVersion = version;
    verdict = {
      outcome: 'allow',
      rule: 'dbas-approve',
      rules: ['dbas-approve'],
      policyVersion: version,
      obligations: { masks: {} },
    };
    one = await node();
    two = await node();
  });
  afterEach(async () => {
    await Promise.all(rooms.map((room) => room.close()));
    await Promise.all(stores.map((store) => store.close()));
    await rm(folder, { recursive: true });
  });

  const ask = (room = one, changes: Partial<Command> = {}, hold = held) =>
    room.request(session, target, { ...command, ...changes }, hold);
  const refusal = (work: Promise<unknown>): Promise<Refusal> =>
    work.then(
      () => Promise.reject(new Error('it was not refused')),
      (error: unknown) => (error instanceof Refusal ? error : Promise.reject(error)),
    );
  const types = () => seen.map(({ type }) => type);
  const events = (type: string) => seen.filter((event) => event.type === type);

  describe('asking', () => {
    it('is in the audit log with the full command before anybody is told', async () => {
      const request = await ask();
      expect(types()).toEqual(['approval.requested', 'notified']);
      expect(seen[0]).toMatchObject({
        session: 'session-1',
        principal: 'corp:agent-1',
        owner: 'corp:owner',
        target: 'orders',
        approval: request.id,
        digest: one.digest(session, command, version),
        text: command.text,
        parameters: ['1', null],
        resources: ['write Table public.orders'],
        approvers: ['dba'],
        policy: version,
        expiresAt: '1970-01-01T00:01:00.000Z',
      });
      expect(seen[1]).toEqual({
        type: 'notified',
        approval: request.id,
        link: `https://gw.example/approvals/${request.id}`,
      });
      expect(await two.get(request.id)).toEqual(request);
    });

    it('tells nobody, and keeps nothing, when the audit log cannot be written', async () => {
      auditFails = true;
      await expect(ask()).rejects.toThrow('the disk is full');
      auditFails = false;
      expect(seen).toEqual([]);
      expect(await one.list({ limit: 10 })).toEqual({ items: [] });
      expect(await ask()).toMatchObject({ state: 'open' });
    });

    it('attaches identical commands to one request, and tells the approvers once, however many ask on however many nodes', async () => {
      const asked = await Promise.all(Array.from({ length: 100 }, (_, index) => ask(index % 2 === 0 ? one : two)));
      asked.push(await ask(), await ask(two));
      expect(new Set(asked.map(({ id }) => id)).size).toBe(1);
      expect(events('notified')).toHaveLength(1);
      expect((await one.list({ limit: 10 })).items).toHaveLength(1);
      // A request that the log heard of and that lost the race is closed in the log too.
      expect(events('approval.requested').length - events('approval.expired').length).toBe(1);
    });

    it('puts commands that arrive together on one node into the log once', async () => {
      const asked = await Promise.all(Array.from({ length: 50 }, () => ask()));
      expect(new Set(asked.map(({ id }) => id)).size).toBe(1);
      expect(types()).toEqual(['approval.requested', 'notified']);
    });

    it('is not stopped by a notifier that fails, and says so to the operator', async () => {
      const room = await node({
        notifiers: [
          { name: 'broken', notify: () => Promise.reject(new Error('no route')) },
          {
            name: 'throwing',
            notify: () => {
              throw new Error('a bug');
            },
          },
        ],
      });
      expect(await ask(room)).toMatchObject({ state: 'open' });
      await new Promise((resolve) => setImmediate(resolve));
      expect(warnings.sort()).toEqual(['approvals: notifier broken: no route', 'approvals: notifier throwing: a bug']);
    });

    it('stops a principal that asks too much, on all nodes together, before it reaches the log or the approvers', async () => {
      const asked = await Promise.allSettled(
        Array.from({ length: 60 }, (_, index) => ask(index % 2 === 0 ? one : two, { text: `delete ${index}` })),
      );
      expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(20);
      expect(events('notified')).toHaveLength(20);
      const before = seen.length;
      const error = await refusal(ask(one, { text: 'delete more' }));
      expect([error.kind, error.message]).toEqual([
        'LIMIT_EXCEEDED',
        '20 commands of yours wait for approval or were denied, which is the most at a time',
      ]);
      expect(seen).toHaveLength(before);
      // The same again still attaches, and somebody else is not affected.
      const known = asked.findIndex(({ status }) => status === 'fulfilled');
      expect(await ask(one, { text: `delete ${known}` })).toMatchObject({ state: 'open' });
      const other = { ...session, principal: { ...agent, id: 'corp:agent-2' } };
      expect(await one.request(other, target, command, held)).toMatchObject({ state: 'open' });
    });

    it('counts denied requests too, so that an agent cannot go on with variations', async () => {
      const room = await node({ maxPending: 2 });
      for (const text of ['a', 'b']) await one.answer((await ask(room, { text })).id, dba, 'deny', '');
      expect((await refusal(ask(room, { text: 'c' }))).kind).toBe('LIMIT_EXCEEDED');
      time = 60_000;
      expect(await ask(room, { text: 'c' })).toMatchObject({ state: 'open' });
    });
  });

  describe('waiting', () => {
    it('ends at once when the answer is given here', async () => {
      const slow = await node({ pollMs: 3_600_000 });
      const { id } = await ask(slow);
      const waiting = [slow.settled(id, 3_600_000, never), slow.settled(id, 3_600_000, never)];
      await new Promise((resolve) => setImmediate(resolve));
      await slow.answer(id, dba, 'approve', 'fine');
      for (const each of await Promise.all(waiting)) expect(each).toMatchObject({ id, state: 'approved' });
    });

    it('ends soon when the answer is given on another node', async () => {
      const { id } = await ask();
      const waiting = one.settled(id, 3_600_000, never);
      await two.answer(id, dba, 'deny', 'not today');
      expect(await waiting).toMatchObject({ state: 'denied', decisions: [{ reason: 'not today' }] });
    });

    it('ends when its time is over, when the caller leaves and when the request expires, and cancels nothing', async () => {
      const { id } = await ask();
      expect(await one.settled(id, 1, never)).toMatchObject({ state: 'open' });
      expect(await one.settled(id, 0, never)).toMatchObject({ state: 'open' });
      expect(await one.settled(id, 3_600_000, AbortSignal.abort())).toMatchObject({ state: 'open' });
      const leaving = new AbortController();
      const waiting = one.settled(id, 3_600_000, leaving.signal);
      await new Promise((resolve) => setImmediate(resolve));
      leaving.abort();
      expect(await waiting).toMatchObject({ state: 'open' });
      expect(await two.answer(id, dba, 'approve', '')).toMatchObject({ state: 'approved' });

      const { id: late } = await ask(one, { text: 'another' });
      const expiring = one.settled(late, 3_600_000, never);
      time = 60_000;
      expect(await expiring).toMatchObject({ state: 'expired' });
    });

    it('rejects for a request that does not exist, and when the store fails', async () => {
      await expect(one.settled('nothing', 1_000, never)).rejects.toThrow('there is no approval request');
      const { id } = await ask();
      await stores[0]?.close();
      await expect(one.settled(id, 1_000, never)).rejects.toThrow();
    });
  });

  describe('answering', () => {
    it('is in the audit log before it takes effect', async () => {
      const { id } = await ask();
      auditFails = true;
      await expect(one.answer(id, dba, 'approve', '')).rejects.toThrow('the disk is full');
      expect(await one.get(id)).toMatchObject({ state: 'open', decisions: [] });
      auditFails = false;
      expect(await one.answer(id, dba, 'approve', ' looks right \u001b[2J')).toMatchObject({ state: 'approved' });
      expect(events('approval.decided')).toEqual([
        expect.objectContaining({
          principal: 'corp:dba',
          approval: id,
          answer: 'approve',
          groups: ['dba'],
          state: 'approved',
          requester: agent.id,
        }),
      ]);
      expect(await two.get(id)).toMatchObject({
        decisions: [{ approver: { id: 'corp:dba' }, reason: 'looks right ⟦U+001B⟧[2J', at: 0 }],
      });
    });

    it('is refused to whom the fixed rules exclude, whatever policy says, and changes nothing', async () => {
      const { id } = await ask();
      const owner = person('owner', 'dba');
      const robot: Caller = { ...dba, principal: { ...dba.principal, kind: 'agent' } };
      const ticket: Caller = { ...dba, proof: { ...dba.proof, kind: 'ticket' } };
      const self: Caller = { ...dba, principal: { ...agent, kind: 'human', groups: ['dba'] } };
      for (const caller of [owner, robot, ticket, self, person('stranger')]) {
        for (const answer of ['approve', 'deny'] as const) {
          const error = await refusal(one.answer(id, caller, answer, ''));
          expect([error.kind, error.details.rule]).toEqual(['POLICY_DENIED', expect.stringMatching(/^approval-/)]);
        }
      }
      expect(await one.get(id)).toMatchObject({ state: 'open', decisions: [] });
      expect(events('approval.decided')).toEqual([]);
    });

    it('is refused to whom policy forbids it, and when policy is not sure', async () => {
      const { id } = await ask();
      const base = { rule: 'not-during-freeze', rules: ['not-during-freeze'], policyVersion: version };
      verdict = { ...base, outcome: 'deny', reason: 'a freeze is on' };
      expect((await refusal(one.answer(id, dba, 'approve', ''))).message).toBe('a freeze is on');
      verdict = { ...base, outcome: 'hold', approvers: ['boss'], obligations: { masks: {} } };
      expect((await refusal(one.answer(id, dba, 'approve', ''))).details.rule).toBe('not-during-freeze');
      expect(await one.get(id)).toMatchObject({ state: 'open' });
    });

    it('needs two people for two groups', async () => {
      const both = person('both', 'dba', 'security');
      const { id, digest } = await ask(one, {}, { ...held, approvers: ['dba', 'security', 'dba'] });
      expect(await one.answer(id, both, 'approve', '')).toMatchObject({
        state: 'open',
        approvers: ['dba', 'security'],
      });
      expect(await one.consume(id, digest)).toBeUndefined();
      expect((await refusal(two.answer(id, both, 'approve', ''))).details.rule).toBe('approval-once');
      expect(await two.answer(id, person('sec', 'security'), 'approve', '')).toMatchObject({ state: 'approved' });
      expect(await one.consume(id, digest)).toEqual(['dba', 'security']);
      expect(events('approval.consumed')).toEqual([expect.objectContaining({ approvedBy: ['corp:both', 'corp:sec'] })]);
    });

    it('settles with one no, even after a yes', async () => {
      const { id, digest } = await ask(one, {}, { ...held, approvers: ['dba', 'security'] });
      await one.answer(id, dba, 'approve', '');
      expect(await one.answer(id, person('sec', 'security'), 'deny', 'no')).toMatchObject({ state: 'denied' });
      expect(await one.consume(id, digest)).toBeUndefined();
    });

    it('says what became of a request that is settled, expired, outdated or unknown', async () => {
      const late = person('late', 'dba');
      const message = async (id: string) => (await refusal(one.answer(id, late, 'approve', ''))).message;
      const { id } = await ask();
      await one.answer(id, dba, 'approve', '');
      expect(await message(id)).toBe('the request was approved by dba');
      await one.consume(id, one.digest(session, command, version));
      expect(await message(id)).toBe('the request was approved, and the yes has been used');
      const { id: denied } = await ask();
      await one.answer(denied, dba, 'deny', '');
      expect(await message(denied)).toBe('the request was denied by dba');
      const { id: old } = await ask(one, { text: 'old' });
      policyVersion = 'f'.repeat(16);
      expect(await message(old)).toMatch(/^the policies have changed/);
      time = 60_000;
      expect(await message(old)).toBe('the request expired at 1970-01-01T00:01:00.000Z');
      expect(await message('nothing')).toBe('there is no such approval request');
    });

    it('lets one of a yes and a no on two nodes win, tells the other, and the log says which one counted', async () => {
      for (let round = 0; round < 10; round++) {
        seen.length = 0;
        const { id, digest } = await ask(one, { text: `round ${round}` });
        const [yes, no] = await Promise.allSettled([
          one.answer(id, person('yes', 'dba'), 'approve', ''),
          two.answer(id, person('no', 'dba'), 'deny', ''),
        ]);
        const approved = yes.status === 'fulfilled';
        expect(no.status).toBe(approved ? 'rejected' : 'fulfilled');
        expect(await one.get(id)).toMatchObject({
          state: approved ? 'approved' : 'denied',
          decisions: [{ answer: approved ? 'approve' : 'deny' }],
        });
        expect((await one.consume(id, digest)) !== undefined).toBe(approved);
        const without = events('approval.decided').filter((event) => !('effect' in event));
        const withdrawn = events('approval.decided').filter((event) => 'effect' in event);
        expect(without.length - withdrawn.length).toBe(1);
      }
    });
  });

  describe('using a yes', () => {
    const replays = z
      .array(
        z.strictObject({
          case: z.string(),
          command: z
            .object({ text: z.string(), parameters: z.array(z.string().nullable()), scope: z.string() })
            .partial()
            .default({}),
          session: z.object({ id: z.string(), target: z.string(), protocol: z.string() }).partial().default({}),
          principal: z
            .object({ id: z.string(), issuer: z.string(), kind: z.enum(['human']) })
            .partial()
            .default({}),
          policyVersion: z.string().default(version),
          at: z.number().default(0),
          runs: z.boolean(),
        }),
      )
      .parse(JSON.parse(readFileSync(new URL('./testdata/replay.json', import.meta.url), 'utf8')));

    it.each(replays)('approved once, then: $case: $runs', async (replay) => {
      const { id } = await ask();
      await one.answer(id, dba, 'approve', '');
      time = replay.at;
      const changed = { ...session, ...replay.session, principal: { ...agent, ...replay.principal } } as Session;
      const digest = two.digest(changed, { ...command, ...replay.command } as Command, replay.policyVersion);
      expect(await two.consume(id, digest)).toEqual(replay.runs ? ['dba'] : undefined);
      expect(await two.consume(id, digest)).toBeUndefined();
      expect(events('approval.consumed')).toHaveLength(replay.runs ? 1 : 0);
    });

    it('works for exactly one of 100 callers on two nodes, and is recorded', async () => {
      const { id, digest } = await ask();
      await one.answer(id, dba, 'approve', '');
      const used = await Promise.all(
        Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? one : two).consume(id, digest)),
      );
      expect(used.filter((groups) => groups !== undefined)).toEqual([['dba']]);
      expect(events('approval.consumed')).toEqual([
        expect.objectContaining({
          approval: id,
          digest,
          principal: agent.id,
          groups: ['dba'],
          approvedBy: ['corp:dba'],
        }),
      ]);
      expect(await ask()).toMatchObject({ state: 'open', decisions: [] });
    });

    it('uses nothing that is open, denied or unknown', async () => {
      const { id, digest } = await ask();
      expect(await one.consume(id, digest)).toBeUndefined();
      expect(await one.consume('nothing', digest)).toBeUndefined();
      await one.answer(id, dba, 'deny', '');
      expect(await one.consume(id, digest)).toBeUndefined();
    });

    it('does not take a state in the store for a yes when the answers are not there', async () => {
      const { id, digest } = await ask(one, {}, { ...held, approvers: ['dba', 'security'] });
      const forged = {
        approver: { id: 'corp:x', name: 'x' },
        answer: 'approve',
        groups: ['dba'],
        reason: '',
        at: 0,
      } as const;
      await stores[0]?.approvals.answer(id, 0, forged, 'approved');
      expect(await one.consume(id, digest)).toBeUndefined();
    });

    it('runs nothing when the use cannot be recorded, and the yes is gone', async () => {
      const { id, digest } = await ask();
      await one.answer(id, dba, 'approve', '');
      auditFails = true;
      await expect(one.consume(id, digest)).rejects.toThrow('the disk is full');
      auditFails = false;
      expect(await one.consume(id, digest)).toBeUndefined();
    });
  });

  describe('sticking', () => {
    it('gives the yes to an identical retry on another node after the first caller left', async () => {
      const first = new AbortController();
      const { id } = await ask();
      const waiting = one.settled(id, 3_600_000, first.signal);
      first.abort();
      await waiting;
      await two.answer(id, dba, 'approve', '');
      const retry = await ask(two);
      expect(retry).toMatchObject({ id, state: 'approved' });
      expect(await two.consume(id, two.digest({ ...session, id: 'session-2' }, command, version))).toEqual(['dba']);
    });

    it('keeps answering denied to identical retries, and asks nobody again, until the request expires', async () => {
      const { id } = await ask();
      await one.answer(id, dba, 'deny', 'never');
      for (const at of [1, 30_000, 59_999]) {
        time = at;
        expect(await ask(two)).toMatchObject({ id, state: 'denied', decisions: [{ reason: 'never' }] });
      }
      expect(events('notified')).toHaveLength(1);
      time = 60_000;
      const again = await ask(two);
      expect(again.state).toBe('open');
      expect(again.id).not.toBe(id);
    });

    it('makes a new request for the same command under new policies', async () => {
      const { id } = await ask();
      const again = await ask(one, {}, { ...held, policyVersion: 'f'.repeat(16) });
      expect(again.id).not.toBe(id);
    });
  });

  describe('expiry', () => {
    it('is swept up by a timer and recorded once among the nodes', async () => {
      const { id } = await ask();
      const { id: unused } = await ask(one, { text: 'unused' });
      await one.answer(unused, dba, 'approve', '');
      const sweepers = await Promise.all([node({ sweepMs: 5 }), node({ sweepMs: 5 })]);
      time = 60_000;
      while (events('approval.expired').length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
      await Promise.all(sweepers.map((sweeper) => sweeper.close()));
      expect(events('approval.expired').map((event) => (event as AuditEvent).approval)).toEqual(
        expect.arrayContaining([id, unused]),
      );
      expect(events('approval.expired')).toHaveLength(2);
      expect(warnings).toEqual([]);
    });

    it('shows as over before the sweep has come by', async () => {
      const { id } = await ask();
      time = 60_000;
      expect(await one.get(id)).toMatchObject({ state: 'expired' });
      expect((await one.list({ limit: 10 })).items).toMatchObject([{ id, state: 'expired' }]);
      expect((await one.list({ limit: 10, state: 'open' })).items).toEqual([]);
      expect((await one.list({ limit: 10, state: 'expired' })).items).toMatchObject([{ id }]);
    });

    it('warns when the sweep fails, and goes on', async () => {
      await ask();
      const sweeper = await node({ sweepMs: 5 });
      auditFails = true;
      time = 60_000;
      while (warnings.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      await sweeper.close();
      expect(warnings[0]).toBe('approvals: sweep: the disk is full');
    });
  });

  it('lists in pages, newest first', async () => {
    const made: ApprovalRequest[] = [];
    for (let index = 0; index < 5; index++) {
      time = index;
      made.unshift(await ask(one, { text: `delete ${index}` }));
    }
    const first = await two.list({ limit: 3, state: 'open' });
    expect(first.items.map(({ id }) => id)).toEqual(made.slice(0, 3).map(({ id }) => id));
    const rest = await two.list({ limit: 3, state: 'open', after: first.next as string });
    expect(rest.items.map(({ id }) => id)).toEqual(made.slice(3).map(({ id }) => id));
    expect(rest).not.toHaveProperty('next');
  });
});
