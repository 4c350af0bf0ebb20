import type { Permit } from '../audit/permit.ts';
import { Refusal } from '../model/errors.ts';
import type { Caller } from '../model/principal.ts';
import type { Session } from '../model/session.ts';
import type { Target } from '../model/target.ts';
import { uuidv7 } from '../model/uuid.ts';
import { eventPrefix } from './events.ts';
import { type ExchangeDeps, runExchange } from './exchange.ts';
import { HousekeepingSessions } from './housekeeping.ts';
import type { LiveSessions } from './live.ts';
import { ExchangeMasks, type MaskTools } from './masks.ts';
import type { ApprovalsPort, AuditPort, IdentityPort, PolicyPort, RecordingPort, SecretsPort } from './ports.ts';
import type { Gateway, Limits, Line } from './protocol.ts';

export interface GatewayDeps {
  readonly audit: AuditPort;
  readonly policy: PolicyPort;
  readonly approvals: ApprovalsPort;
  readonly identity: IdentityPort;
  readonly secrets: SecretsPort;
  readonly recordings: RecordingPort;
  readonly targets: ReadonlyMap<string, Target>;
  readonly live: LiveSessions;
  // biome-ignore lint/suspicious/noExplicitAny: the ledger's type is the business of whoever made the tools
  masksOf(target: Target): MaskTools<any>;
  /** Where a protocol keeps what it has to know of a target. */
  folder(target: string): string;
  readonly limits: Limits;
  readonly now: () => number;
  readonly log: Gateway['log'];
}

/** The gateway as protocols see it: logs callers in and hands out lines. `close` ends its own sessions. */
export function createGateway(deps: GatewayDeps): Gateway & { close(): Promise<void> } {
  const housekeeping = new HousekeepingSessions(deps);
  return {
    limits: deps.limits,
    log: deps.log,
    credential: (target) => deps.secrets.credential(target),
    targets: (protocol) => [...deps.targets.values()].filter((target) => target.protocol === protocol),
    folder: (target) => deps.folder(target.name),
    housekeeping: (target, purpose) => housekeeping.open(target, purpose),
    close: () => housekeeping.close(),
    login: (protocol, targetName, credential, client) => login(protocol, targetName, credential, client, deps),
  };
}

async function login(
  protocol: string,
  targetName: string,
  credential: string,
  client: Session['client'],
  deps: GatewayDeps,
): Promise<Line> {
  const caller = await deps.identity.authenticate(credential, 'target', { address: client.address });
  const target = deps.targets.get(targetName);
  const refused = whyNot(caller, target, protocol, targetName, deps);
  if (refused !== undefined || target === undefined) {
    await deps.audit.record({
      type: 'auth.failed',
      principal: caller.principal.id,
      target: targetName,
      code: refused?.code,
      reason: refused?.message,
      peer: client.address,
    });
    throw refused;
  }
  return openLine(caller, target, protocol, client, deps);
}

function whyNot(
  caller: Caller,
  target: Target | undefined,
  protocol: string,
  name: string,
  deps: GatewayDeps,
): Refusal | undefined {
  const unknown = new Refusal('TARGET_UNKNOWN', `there is no target "${name}" that you may reach over ${protocol}`, {
    advice: 'list yours with: sallyport targets list',
  });
  if (target === undefined || target.protocol !== protocol) return unknown;
  if (caller.proof.targets !== undefined && !caller.proof.targets.includes(name)) {
    return new Refusal('CONNECT_DENIED', `this ticket is not for target "${name}"`, {
      advice: `get one with: sallyport ticket --target ${name}`,
    });
  }
  const decision = deps.policy.decideConnect(caller, target);
  if (decision.outcome === 'allow') return undefined;
  const advice = decision.advice === undefined ? {} : { advice: decision.advice };
  const reason = decision.outcome === 'deny' ? decision.reason : 'connecting cannot be held for approval';
  return new Refusal('CONNECT_DENIED', reason, { rule: decision.rule, ...advice });
}

async function openLine(
  caller: Caller,
  target: Target,
  protocol: string,
  client: Session['client'],
  deps: GatewayDeps,
): Promise<Line> {
  const startedAt = deps.now();
  const session: Session = {
    id: uuidv7(startedAt),
    principal: caller.principal,
    target: target.name,
    protocol,
    client,
    startedAt,
  };
  const permit = await deps.audit.openSession({
    type: 'session.started',
    session: session.id,
    principal: caller.principal.id,
    principalName: caller.principal.name,
    principalKind: caller.principal.kind,
    ...(caller.principal.owner === undefined ? {} : { owner: caller.principal.owner }),
    groups: caller.principal.groups,
    claims: caller.principal.claims,
    proof: { kind: caller.proof.kind, id: caller.proof.id },
    target: target.name,
    protocol,
    client,
    policy: deps.policy.version,
  });
  const controller = deps.live.add(session);
  const stopListening = deps.identity.onRevoked(caller.proof.id, () =>
    deps.live.end(session.id, 'the ticket of this session was revoked'),
  );
  return line(session, caller, target, permit, controller, stopListening, deps);
}

function line(
  session: Session,
  caller: Caller,
  target: Target,
  permit: Permit,
  controller: AbortController,
  stopListening: () => void,
  deps: GatewayDeps,
): Line {
  const recording = deps.recordings.open(session);
  const tools = deps.masksOf(target);
  const exchangeDeps: ExchangeDeps = {
    session,
    caller,
    target,
    policy: deps.policy,
    audit: deps.audit,
    approvals: deps.approvals,
    recording,
    prefix: eventPrefix(session),
    signal: controller.signal,
    now: deps.now,
    masks: (decision) => new ExchangeMasks(decision, tools),
    fail: (refusal) => controller.abort(refusal),
  };
  const longest = setTimeout(
    () => deps.live.end(session.id, 'it has lasted as long as a session may; connect again'),
    Math.min(deps.limits.sessionMs, 2 ** 31 - 1),
  );
  longest.unref();
  let exchanges = 0;
  let closed: Promise<void> | undefined;
  const close = async (reason: string) => {
    clearTimeout(longest);
    deps.live.remove(session.id);
    stopListening();
    // Sealing first: the end of a session says that its recording is complete.
    await recording.close().catch((error: unknown) => {
      if (!isUnavailable(error))
        deps.log('error', 'recording was not sealed', { session: session.id, error: String(error) });
    });
    await deps.audit
      .record({
        type: 'session.ended',
        session: session.id,
        principal: caller.principal.id,
        target: target.name,
        reason,
        commands: exchanges,
      })
      .catch((error: unknown) => {
        if (!isUnavailable(error)) throw error;
        deps.log('warn', 'the end of a session is not in the audit log; the next start will close it', {
          session: session.id,
        });
      });
  };
  return {
    session,
    target,
    permit,
    signal: controller.signal,
    expiresAt: caller.proof.expiresAt,
    decide: (command) => deps.policy.decideCommand(caller, target, command),
    async approval(id) {
      const request = await deps.approvals.find(id);
      return request?.requester.id === caller.principal.id ? request : undefined;
    },
    run(exchange) {
      exchanges += 1;
      return runExchange(exchange, exchanges, exchangeDeps);
    },
    shown(bytes) {
      recording.reply(exchanges, bytes)?.catch(() => controller.abort(unrecordable()));
    },
    close(reason) {
      closed ??= close(reason);
      return closed;
    },
  };
}

function unrecordable(): Refusal {
  return new Refusal('AUDIT_UNAVAILABLE', 'the session can no longer be recorded; it ends');
}

/** The log takes nothing more, which ends every session and was told once by whoever watches the log. */
function isUnavailable(error: unknown): boolean {
  return error instanceof Refusal && error.kind === 'AUDIT_UNAVAILABLE';
}
