import type { Admin, SessionSummary, TicketSummary } from '../gateway/admin.ts';
import type { IdentityPort, PolicyPort } from '../gateway/ports.ts';
import type { ReplayItem } from '../gateway/protocol.ts';
import type { ApprovalRequest } from '../model/approval.ts';
import type { Decision } from '../model/decision.ts';
import { Refusal } from '../model/errors.ts';
import type { RecordedEvent } from '../model/event.ts';
import type { Caller, Principal } from '../model/principal.ts';
import type { Target } from '../model/target.ts';
import type { ApiDeps } from './api.ts';

/** Rooms behind the API that live in memory, for tests of the API, the client and the CLI. */
export interface Fake extends ApiDeps {
  readonly sessions: Map<string, SessionSummary>;
  readonly approvals: Map<string, ApprovalRequest>;
  readonly recordings: Map<string, readonly ReplayItem[]>;
  readonly tickets: Map<string, TicketSummary>;
  readonly events: RecordedEvent[];
  /** Every call that changes or reveals something, in order. */
  readonly calls: string[];
  /** Bearer credential → who it stands for. */
  readonly credentials: Map<string, Caller>;
}

const now = Date.UTC(2026, 0, 15, 12, 0, 0);

export function person(id: string, kind: Principal['kind'] = 'human', groups: readonly string[] = []): Principal {
  const [issuer = '', subject = ''] = id.split(':');
  return { id, kind, issuer, subject, name: `${subject} (test)`, groups, claims: {} };
}

function login(principal: Principal, targets?: readonly string[]): Caller {
  const proof = { id: `proof-of-${principal.id}`, expiresAt: now + 3_600_000 };
  return {
    principal,
    proof: targets === undefined ? { kind: 'oidc', ...proof } : { kind: 'ticket', ...proof, targets },
  };
}

/**
 * Principals by credential: `agent-token` (corp:bot, owned by corp:owner), `other-token` (corp:other), `dba-token` (corp:dba,
 * may answer for "dba"), `owner-token`, `auditor-token` (may review), `admin-token` (may review and configure),
 * `agent-ticket` and `admin-ticket` (tickets for "shop"). Targets: shop (everybody), vault (only the admin).
 */
export function createFake(): Fake {
  const calls: string[] = [];
  const sessions = new Map<string, SessionSummary>();
  const approvals = new Map<string, ApprovalRequest>();
  const recordings = new Map<string, readonly ReplayItem[]>();
  const tickets = new Map<string, TicketSummary>();
  const events: RecordedEvent[] = [];
  const bot: Principal = { ...person('corp:bot', 'agent'), owner: 'corp:owner' };
  const credentials = new Map<string, Caller>([
    ['agent-token', login(bot)],
    ['agent-ticket', login(bot, ['shop'])],
    ['other-token', login(person('corp:other', 'agent'))],
    ['owner-token', login(person('corp:owner'))],
    ['dba-token', login(person('corp:dba', 'human', ['dba']))],
    ['auditor-token', login(person('corp:auditor', 'human', ['auditors']))],
    ['admin-token', login(person('corp:admin', 'human', ['admins', 'auditors']))],
    ['admin-ticket', login(person('corp:admin', 'human', ['admins', 'auditors']), ['shop'])],
  ]);
  const targets = new Map<string, Target>([
    [
      'shop',
      {
        name: 'shop',
        protocol: 'postgres',
        labels: { env: 'prod' },
        holdMs: 25_000,
        settings: { password: 'target-secret' },
      },
    ],
    [
      'vault',
      {
        name: 'vault',
        protocol: 'postgres',
        labels: { env: 'prod' },
        holdMs: 25_000,
        settings: { password: 'target-secret' },
      },
    ],
  ]);
  return {
    sessions,
    approvals,
    recordings,
    tickets,
    events,
    calls,
    credentials,
    issuers: [
      {
        name: 'corp',
        issuer: 'https://id.example',
        login: { clientId: 'sallyport', scope: 'openid', token: 'id_token' },
      },
    ],
    identity: identity(credentials),
    policy,
    present: (request) => `${request.requester.name} asks at ${request.target}:\n${request.text}`,
    ready: () => true,
    log: (level, message) => calls.push(`log ${level} ${message}`),
    now: () => now,
    admin: {
      sessions: {
        list: async ({ principal, target, live, limit }) => ({
          items: [...sessions.values()]
            .filter(
              (s) =>
                (principal ?? s.principal) === s.principal &&
                (target ?? s.target) === s.target &&
                (live ?? s.live) === s.live,
            )
            .slice(0, limit),
        }),
        get: async (id) => sessions.get(id),
        replay: (id, viewer, skip) => {
          const items = recordings.get(id);
          if (items === undefined) return undefined;
          calls.push(`replay ${id} by ${viewer.principal.id}`);
          return stream(items.slice(skip));
        },
        terminate: async (id, by, reason) => {
          calls.push(`terminate ${id} by ${by.principal.id}: ${reason}`);
          return sessions.get(id)?.live === true;
        },
      },
      approvals: {
        list: async ({ state, limit }) => ({
          items: [...approvals.values()].filter((a) => (state ?? a.state) === a.state).slice(0, limit),
        }),
        get: async (id) => approvals.get(id),
        answer: async (id, caller, answer, reason) => {
          const request = approvals.get(id);
          if (request === undefined) throw new Refusal('POLICY_DENIED', 'gone');
          const { principal } = caller;
          if (
            request.requester.id === principal.id ||
            request.requester.owner === principal.id ||
            principal.kind !== 'human'
          ) {
            throw new Refusal('POLICY_DENIED', 'nobody answers for themselves', { rule: 'separation-of-duty' });
          }
          calls.push(`${answer} ${id} by ${principal.id}: ${reason}`);
          const decision = {
            approver: { id: principal.id, name: principal.name },
            answer,
            groups: request.approvers,
            reason,
            at: now,
          };
          const settled: ApprovalRequest = {
            ...request,
            state: answer === 'approve' ? 'approved' : 'denied',
            decisions: [decision],
          };
          approvals.set(id, settled);
          return settled;
        },
      },
      audit: {
        events: async ({ type, after, limit }) => {
          const found = events.filter((event) => (type ?? event.type) === event.type);
          if (after === undefined) return { items: found.toReversed().slice(0, limit) };
          return { items: found.filter(({ seq }) => seq > Number(after)).slice(0, limit) };
        },
        checkpoint: async () => ({
          note: 'gateway.example\n2\nAAAA\n\n— gateway.example AAAA\n',
          vkey: 'gateway.example+00000000+AAAA',
        }),
        export: (by) => {
          calls.push(`export by ${by.principal.id}`);
          return stream([Buffer.from('tar '), Buffer.from('bytes')]);
        },
      },
      policies: {
        list: async () => ({
          version: 'v1',
          policies: [
            {
              id: 'p1',
              file: 'a.cedar',
              text: 'permit (principal, action, resource);',
              effect: 'permit',
              annotations: { id: 'p1' },
            },
          ],
        }),
        explain: async ({ principal, target, text }) => {
          calls.push(`explain ${principal.id} ${target} ${text}`);
          const decision: Decision = {
            outcome: 'deny',
            rule: 'no-drop',
            rules: ['no-drop'],
            policyVersion: 'v1',
            reason: 'dropping is not for agents',
            advice: 'ask the dba',
          };
          return {
            decision,
            verb: 'DROP',
            actions: ['destroy'],
            resources: ['public.t'],
            because: [{ id: 'no-drop', effect: 'forbid' }],
            masks: {},
          };
        },
        reload: async () => {
          calls.push('reload');
          return { version: 'v2' };
        },
      },
      tickets: {
        issue: async (caller, { targets: names, ttlMs }) => {
          const ticket = {
            id: `ticket-${tickets.size + 1}`,
            principal: caller.principal.id,
            targets: names,
            createdAt: now,
            expiresAt: now + Math.min(ttlMs, 3_600_000),
          };
          tickets.set(ticket.id, ticket);
          return { ticket, secret: 'spt_the-secret' };
        },
        list: async (caller) => [...tickets.values()].filter(({ principal }) => principal === caller.principal.id),
        revoke: async (caller, id) => tickets.get(id)?.principal === caller.principal.id && tickets.delete(id),
      },
      targets: {
        list: async () =>
          [...targets.values()].map(({ name, protocol, labels }) => ({
            name,
            protocol,
            labels,
            inspection: { reachable: true, mode: 'rewritten', warnings: ['the role may read ssn'] },
          })),
        get: (name) => targets.get(name),
        propose: async (name, by) => {
          if (!targets.has(name)) throw new Refusal('TARGET_UNKNOWN', 'there is no such target');
          calls.push(`propose ${name} by ${by.principal.id}`);
          const sure = {
            classification: 'pii.ssn',
            confidence: 0.97,
            reasons: ['the name suggests social security numbers'],
          };
          return {
            entries: [
              { field: 'public.customers.ssn', ...sure },
              { field: 'public.customers."a: b.\u001b]0;x\u0007\n  evil: pii.x #"', ...sure, confidence: 0.6 },
              {
                field: 'public.notes.body',
                classification: 'pii.text',
                confidence: 0.3,
                reasons: ['7 of 100 sampled values'],
              },
            ],
            warnings: ['there is no column public.x.\u001b[31mred'],
            looked: { fields: 12, classified: 1, sampled: 9 },
          };
        },
      },
    } satisfies Admin,
  };
}

async function* stream<T>(items: readonly T[]): AsyncIterable<T> {
  yield* items;
}

function identity(credentials: ReadonlyMap<string, Caller>): IdentityPort {
  return {
    authenticate: async (credential) => {
      const caller = credentials.get(credential);
      if (caller === undefined) throw new Refusal('LOGIN_FAILED', 'the credential is not valid');
      return caller;
    },
    onRevoked: () => () => undefined,
  };
}

const decided = { rules: [], policyVersion: 'v1' };

function decision(allowed: boolean): Decision {
  if (allowed) return { ...decided, outcome: 'allow', rule: 'test', obligations: { masks: {} } };
  return { ...decided, outcome: 'deny', rule: 'default-deny', reason: 'no policy permits it' };
}

const policy: PolicyPort = {
  version: 'v1',
  decideCommand: () => decision(false),
  decideConnect: ({ principal }, { name }) => decision(name === 'shop' || principal.groups.includes('admins')),
  decideApprove: ({ principal }, { approvers }) =>
    decision(approvers.some((group) => principal.groups.includes(group))),
  decideAdmin: ({ principal }, action) =>
    decision(principal.groups.includes(action === 'review' ? 'auditors' : 'admins')),
};

export function fakeSession(id: string, principal: string, more: Partial<SessionSummary> = {}): SessionSummary {
  return {
    id,
    principal,
    principalName: `${principal} (test)`,
    principalKind: 'agent',
    target: 'shop',
    protocol: 'postgres',
    client: { address: '127.0.0.1', application: 'psql' },
    startedAt: now,
    commands: 3,
    denied: 1,
    held: 0,
    live: true,
    ...more,
  };
}

export function fakeApproval(
  id: string,
  requester: ApprovalRequest['requester'],
  more: Partial<ApprovalRequest> = {},
): ApprovalRequest {
  return {
    id,
    digest: 'd'.repeat(64),
    state: 'open',
    sessionId: 's-agent',
    requester,
    target: 'shop',
    verb: 'DELETE',
    text: 'DELETE FROM orders WHERE id = $1',
    parameters: ['42'],
    resources: ['write Table public.orders'],
    rule: 'delete-needs-dba',
    policyVersion: 'v1',
    approvers: ['dba'],
    createdAt: now,
    expiresAt: now + 900_000,
    decisions: [],
    ...more,
  };
}

/** A fake with one session, request and ticket of the agent, and one of each of somebody else. */
export function populated(): Fake {
  const fake = createFake();
  const items: readonly ReplayItem[] = [
    { kind: 'command', exchange: 1, at: 5, text: 'SELECT id, name FROM customers' },
    { kind: 'columns', exchange: 1, names: ['id', 'name'] },
    { kind: 'row', exchange: 1, values: ['1', '***'] },
    { kind: 'status', exchange: 1, at: 9, text: 'SELECT 1' },
  ];
  for (const [id, principal] of [
    ['s-agent', 'corp:bot'],
    ['s-other', 'corp:other'],
    ['s-admin', 'corp:admin'],
  ] as const) {
    fake.sessions.set(id, fakeSession(id, principal));
    fake.recordings.set(id, items);
  }
  fake.approvals.set(
    'a-agent',
    fakeApproval('a-agent', { id: 'corp:bot', name: 'bot', kind: 'agent', owner: 'corp:owner' }),
  );
  fake.approvals.set(
    'a-other',
    fakeApproval('a-other', { id: 'corp:other', name: 'other', kind: 'agent' }, { approvers: ['security'] }),
  );
  for (const [id, principal] of [
    ['t-agent', 'corp:bot'],
    ['t-other', 'corp:other'],
  ] as const) {
    fake.tickets.set(id, { id, principal, targets: ['shop'], createdAt: now, expiresAt: now + 900_000 });
  }
  fake.events.push(
    { seq: 1, time: '2026-01-15T12:00:00.000Z', type: 'gateway.started' },
    {
      seq: 2,
      time: '2026-01-15T12:00:01.000Z',
      type: 'session.started',
      session: 's-agent',
      principal: 'corp:bot',
      target: 'shop',
    },
  );
  return fake;
}
