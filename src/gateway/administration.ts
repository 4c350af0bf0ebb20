import type { Classified } from '../model/command.ts';
import type { Refusal } from '../model/errors.ts';
import type { Caller, Principal } from '../model/principal.ts';
import type { Target } from '../model/target.ts';
import type {
  Admin,
  ApprovalsAdmin,
  AuditAdmin,
  Explanation,
  PoliciesAdmin,
  SessionsAdmin,
  TicketsAdmin,
} from './admin.ts';
import type { LiveSessions } from './live.ts';
import type { AuditPort } from './ports.ts';
import { proposing } from './proposing.ts';
import type { Gateway, Inspection, Protocol, Recognise, RecordedFrame, RecordingEnd, ReplayItem } from './protocol.ts';

type Recorded = AsyncGenerator<RecordedFrame, RecordingEnd>;

export interface AdministrationDeps {
  readonly audit: AuditPort;
  /** The audit log's reading half. */
  readonly reader: AuditAdmin & {
    sessionList(query: Parameters<SessionsAdmin['list']>[0]): ReturnType<SessionsAdmin['list']>;
    sessionGet(id: string): ReturnType<SessionsAdmin['get']>;
  };
  readonly recorder: { frames(session: string): Recorded | undefined };
  readonly approvals: ApprovalsAdmin;
  readonly policy: {
    list(): Awaited<ReturnType<PoliciesAdmin['list']>>;
    explain(question: { principal: Principal; target: Target; classified: Classified }): Explanation;
    reload(): ReturnType<PoliciesAdmin['reload']>;
  };
  readonly tickets: TicketsAdmin;
  readonly protocols: readonly Protocol[];
  readonly gateway: Gateway;
  readonly live: LiveSessions;
  readonly targets: ReadonlyMap<string, Target>;
  readonly recognise: Recognise;
}

/** What the API asks for, answered by the rooms. */
export function createAdmin(deps: AdministrationDeps): Admin {
  const { reader, policy, targets } = deps;
  const protocolOf = (target: string) => deps.protocols.find(({ name }) => name === targets.get(target)?.protocol);
  return {
    approvals: deps.approvals,
    audit: reader,
    tickets: deps.tickets,
    sessions: sessionsAdmin(deps),
    policies: {
      list: async () => policy.list(),
      reload: () => policy.reload(),
      async explain({ principal, target: name, text }) {
        const target = targets.get(name);
        const protocol = protocolOf(name);
        if (target === undefined || protocol === undefined)
          throw new Error(`there is no target ${JSON.stringify(name)}`);
        return policy.explain({ principal, target, classified: await protocol.classify(target, text, deps.gateway) });
      },
    },
    targets: {
      get: (name) => targets.get(name),
      propose: proposing(deps, protocolOf),
      list: () =>
        Promise.all([...targets.values()].map((target) => summary(target, protocolOf(target.name), deps.gateway))),
    },
  };
}

function sessionsAdmin(deps: AdministrationDeps): SessionsAdmin {
  const { reader, live } = deps;
  return {
    list: (query) => reader.sessionList(query),
    get: (id) => reader.sessionGet(id),
    replay(id, viewer, skip) {
      const frames = deps.recorder.frames(id);
      return frames === undefined ? undefined : replay(id, viewer, skip, frames, deps);
    },
    async terminate(id: string, by: Caller, reason: string) {
      if (!live.has(id)) return false;
      // In the log before it happens, like everything that happens.
      await deps.audit.record({ type: 'session.terminated', session: id, principal: by.principal.id, reason });
      return live.end(id, `ended by ${by.principal.name}: ${reason}`);
    },
  };
}

/** Looking is an event of its own, written before the first frame is shown. */
async function* replay(
  id: string,
  viewer: Caller,
  skip: number,
  frames: Recorded,
  deps: AdministrationDeps,
): AsyncGenerator<ReplayItem> {
  const session = await deps.reader.sessionGet(id);
  const protocol = deps.protocols.find(({ name }) => name === session?.protocol);
  if (protocol === undefined) return;
  await deps.audit.record({ type: 'recording.viewed', session: id, principal: viewer.principal.id, skip });
  let item = 0;
  for await (const shown of withEnding(protocol, frames)) {
    if (item >= skip) yield shown;
    item += 1;
  }
}

/** What the protocol makes of a recording, and, where that was cut off, a last item that says so. */
async function* withEnding(protocol: Protocol, frames: Recorded): AsyncGenerator<ReplayItem> {
  const read: { end?: RecordingEnd } = {};
  async function* watched() {
    read.end = yield* frames;
  }
  let last = { exchange: 0, at: 0 };
  let items = 0;
  for await (const shown of protocol.replay(watched())) {
    yield shown;
    items += 1;
    last = { exchange: shown.exchange, at: 'at' in shown ? shown.at : last.at };
  }
  if (read.end === 'truncated') yield { kind: 'status', ...last, text: items === 0 ? nothingKept : cutOff };
}

const nothingKept = 'nothing was kept: the recording was cut off before anything of this session had reached the disk';
const cutOff = 'the recording was cut off here: what came then was not kept';

async function summary(target: Target, protocol: Protocol | undefined, gateway: Gateway) {
  const { name, labels } = target;
  const inspection: Inspection | undefined = await protocol
    ?.inspect(target, gateway)
    .catch((error: Error | Refusal) => ({
      reachable: false,
      mode: 'unknown',
      warnings: [error.message],
    }));
  return { name, protocol: target.protocol, labels, ...(inspection === undefined ? {} : { inspection }) };
}
