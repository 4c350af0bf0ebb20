import { Permit } from '../../../audit/permit.ts';
import { runExchange } from '../../../gateway/exchange.ts';
import type { Line, Masks } from '../../../gateway/protocol.ts';
import type { ApprovalRequest } from '../../../model/approval.ts';
import type { Classified, Command } from '../../../model/command.ts';
import type { Decision } from '../../../model/decision.ts';
import { Refusal } from '../../../model/errors.ts';
import type { Principal } from '../../../model/principal.ts';
import type { Target } from '../../../model/target.ts';

/** `allow`, `deny`, or the group that has to say yes. */
export type Verdict = 'allow' | 'deny' | { readonly hold: string };

export interface TestLine {
  readonly line: Line;
  /** What the audit log got, oldest first. */
  readonly events: Record<string, unknown>[];
  /** What was recorded, as text: `request`, `reply`. */
  readonly recorded: { readonly kind: string; readonly exchange: number; readonly text: string }[];
  /** Requests for approval; setting a state settles them. */
  readonly approvals: (ApprovalRequest & { state: string })[];
  settle(id: string, state: 'approved' | 'denied'): void;
  /** Ends the session, as an operator does. */
  end(): void;
}

export const principal: Principal = {
  id: 'test:agent',
  kind: 'agent',
  issuer: 'test',
  subject: 'agent',
  name: 'agent',
  groups: [],
  claims: { email: 'a@example.com' },
};

/** The real line on a policy that is a function, with a log, a recording and approvals that a test can look into. */
export function testLine(target: Target, policy: (classified: Classified) => Verdict, version = () => 0): TestLine {
  const events: Record<string, unknown>[] = [];
  const recorded: TestLine['recorded'] = [];
  const approvals: (ApprovalRequest & { state: ApprovalRequest['state'] })[] = [];
  const waiting = new Map<string, () => void>();
  let seq = 0;
  const decide = (classified: Classified, grants: readonly string[] = []): Decision => {
    const common = { rule: 'test-rule', rules: ['test-rule'], policyVersion: String(version()).padStart(16, '0') };
    const verdicts = (classified.parts ?? [classified]).map(policy);
    if (verdicts.includes('deny'))
      return { ...common, outcome: 'deny', reason: `test-rule forbids ${classified.verb}` };
    const groups = verdicts.flatMap((verdict) => (typeof verdict === 'object' ? [verdict.hold] : []));
    const missing = groups.filter((group) => !grants.includes(group));
    if (missing.length > 0) return { ...common, outcome: 'hold', approvers: missing, obligations: { masks: {} } };
    return { ...common, outcome: 'allow', obligations: { masks: {} } };
  };
  const digest = (command: Command) => JSON.stringify([command.text, command.parameters, command.scope]);
  const session = {
    id: 's1',
    principal,
    target: target.name,
    protocol: 'git',
    client: { address: '127.0.0.1' },
    startedAt: 0,
  };
  const controller = new AbortController();
  const note = (fields: string) => events.push(JSON.parse(`{${fields}}`) as Record<string, unknown>);
  const deps: Parameters<typeof runExchange>[2] = {
    session,
    caller: { principal, proof: { kind: 'ticket', id: 't', expiresAt: Number.MAX_SAFE_INTEGER } },
    target,
    policy: {
      version: '0'.repeat(16),
      decideCommand: (_, __, classified, grants) => decide(classified, grants),
      decideConnect: () => decide({ verb: '', actions: [], resources: [], facts: {} as never }),
      decideApprove: () => decide({ verb: '', actions: [], resources: [], facts: {} as never }),
      decideAdmin: () => decide({ verb: '', actions: [], resources: [], facts: {} as never }),
    },
    audit: {
      intend(fields, granted) {
        note(fields);
        setImmediate(() => granted(Permit.issue('command', ++seq)));
      },
      openSession: async () => Permit.issue('session', ++seq),
      async record(event) {
        events.push(event);
        return ++seq;
      },
      note,
    },
    approvals: {
      async request(_, __, command, decision) {
        const found = approvals.find(
          (each) => each.digest === digest(command) && ['open', 'approved'].includes(each.state),
        );
        if (found !== undefined) return found;
        const made = {
          id: `a${approvals.length + 1}`,
          digest: digest(command),
          state: 'open' as const,
          sessionId: session.id,
          requester: { id: principal.id, name: principal.name, kind: principal.kind },
          target: target.name,
          verb: command.classified.verb,
          text: command.text,
          ...(command.preview === undefined ? {} : { preview: command.preview }),
          resources: [],
          rule: decision.rule,
          policyVersion: decision.policyVersion,
          approvers: decision.approvers,
          createdAt: 0,
          expiresAt: Number.MAX_SAFE_INTEGER,
          decisions: [],
        };
        approvals.push(made);
        return made;
      },
      async settled(id, timeoutMs, signal) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, timeoutMs);
          const done = () => {
            clearTimeout(timer);
            resolve();
          };
          waiting.set(id, done);
          signal.addEventListener('abort', done, { once: true });
        });
        return approvals.find((each) => each.id === id)!;
      },
      async consume(id) {
        const found = approvals.find((each) => each.id === id);
        if (found?.state !== 'approved') return undefined;
        (found as { state: string }).state = 'consumed';
        return found.approvers;
      },
      digest: (_, command) => digest(command),
      find: async (id) => approvals.find((each) => each.id === id),
      link: (id) => `https://gateway.example/approvals/${id}`,
    },
    recording: {
      request: (exchange, json) => void recorded.push({ kind: 'request', exchange, text: json }),
      sent: () => undefined,
      reply: (exchange, bytes) => void recorded.push({ kind: 'reply', exchange, text: bytes.toString('latin1') }),
      close: async () => undefined,
    },
    prefix: { session, json: '"session":"s1"' },
    signal: controller.signal,
    now: () => 0,
    masks: () => ({ fields: () => [] }) as unknown as Masks & { fields(): readonly [] },
    fail: (refusal) => controller.abort(refusal),
  };
  let exchanges = 0;
  const line: Line = {
    session,
    target,
    permit: Permit.issue('session', 0),
    signal: controller.signal,
    expiresAt: Number.MAX_SAFE_INTEGER,
    decide,
    run: (exchange) => runExchange(exchange, ++exchanges, deps),
    approval: async (id) => approvals.find((each) => each.id === id),
    shown: () => undefined,
    close: async () => undefined,
  };
  return {
    line,
    events,
    recorded,
    approvals,
    settle(id, state) {
      const found = approvals.find((each) => each.id === id);
      (found as { state: string }).state = state;
      waiting.get(id)?.();
    },
    end: () => controller.abort(new Refusal('SESSION_ENDED', 'an operator ended it')),
  };
}
