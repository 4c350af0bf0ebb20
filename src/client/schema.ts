import { z } from 'zod';
import { actions } from '../model/command.ts';
import { eventTypes } from '../model/event.ts';

/**
 * What goes over the wire between the API and its clients, once for both. Times are ms since the epoch unless a field says
 * otherwise. The API sends only what is declared here: whatever else an object holds is dropped.
 */

const id = z.string().min(1).max(200);
const time = z.number().describe('ms since the epoch');
const strings = z.array(z.string()).readonly();
const labels = z.record(z.string(), z.string()).readonly();

export const idParams = z.object({ id });

/** Cursor paging: `after` is the `next` of the page before. */
export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(50),
  after: z.string().min(1).max(200).exactOptional(),
});

function page<T extends z.ZodType>(item: T) {
  return z.object({
    items: z.array(item).readonly(),
    next: z.string().exactOptional().describe('absent on the last page'),
  });
}

/** RFC 9457 problem details, with Sallyport's stable code. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string().describe('stable, documented in the errors reference'),
  detail: z.string().exactOptional(),
  /** What would work instead. */
  advice: z.string().exactOptional(),
  /** The policy that refused. */
  rule: z.string().exactOptional(),
  link: z.string().exactOptional(),
  /** Names this failure in the server's log. */
  instance: z.string().exactOptional(),
});
export type Problem = z.output<typeof problem>;

export const issuerInfo = z.object({
  name: z.string(),
  issuer: z.string().describe('the OIDC issuer URL'),
  login: z
    .object({
      clientId: z.string(),
      scope: z.string(),
      resource: z.string().exactOptional(),
      token: z.enum(['id_token', 'access_token']),
    })
    .exactOptional()
    .describe('for the device authorization flow; absent when people cannot log in with it'),
});
export const issuerList = z.object({ items: z.array(issuerInfo).readonly() });
export type IssuerInfo = z.output<typeof issuerInfo>;

export const health = z.object({ status: z.enum(['ok', 'unavailable']) });

const claimValue = z.union([z.string(), z.number(), z.boolean(), strings]);
const principalKind = z.enum(['human', 'ci', 'agent']);

export const whoami = z.object({
  principal: z.object({
    id: z.string(),
    kind: principalKind,
    issuer: z.string(),
    subject: z.string(),
    name: z.string(),
    groups: strings,
    owner: z.string().exactOptional(),
    claims: z.record(z.string(), claimValue).readonly(),
  }),
  proof: z.object({ kind: z.enum(['oidc', 'ticket']), expiresAt: time }),
  may: z.object({ review: z.boolean(), configure: z.boolean() }),
});
export type WhoAmI = z.output<typeof whoami>;

export const session = z.object({
  id: z.string(),
  principal: z.string(),
  principalName: z.string(),
  principalKind: z.string(),
  target: z.string(),
  protocol: z.string(),
  client: z.object({ address: z.string(), application: z.string().exactOptional() }),
  startedAt: time,
  endedAt: time.exactOptional(),
  endReason: z.string().exactOptional(),
  commands: z.number(),
  denied: z.number(),
  held: z.number(),
  live: z.boolean(),
});
export const sessionPage = page(session);
export const sessionQuery = pageQuery.extend({
  principal: id.exactOptional(),
  target: id.exactOptional(),
  live: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .exactOptional(),
});
export type SessionItem = z.output<typeof session>;

export const replayQuery = z.object({
  skip: z.coerce.number().int().min(0).default(0).describe('how many items to leave out at the start'),
});
const exchange = z.number().int();
const value = z.union([z.string(), z.null()]);
/** One line of the replay stream (`application/x-ndjson`). */
export const replayItem = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('command'),
    exchange,
    at: time,
    text: z.string(),
    parameters: z.array(value).readonly().exactOptional(),
  }),
  z.object({ kind: z.literal('columns'), exchange, names: strings }),
  z.object({ kind: z.literal('row'), exchange, values: z.array(value).readonly() }),
  z.object({ kind: z.literal('status'), exchange, at: time, text: z.string() }),
]);
export type ReplayLine = z.output<typeof replayItem>;

export const reasonBody = z.strictObject({ reason: z.string().trim().min(1).max(2000) });
export const terminated = z.object({ terminated: z.boolean() });

export const approvalState = z.enum(['open', 'approved', 'denied', 'consumed', 'expired']);
export const approval = z.object({
  id: z.string(),
  digest: z.string().describe('what a yes is bound to; 64 hex digits'),
  state: approvalState,
  sessionId: z.string(),
  requester: z.object({ id: z.string(), name: z.string(), kind: z.string(), owner: z.string().exactOptional() }),
  preview: z.string().exactOptional().describe('what the command would do, where the protocol can tell'),
  target: z.string(),
  verb: z.string(),
  text: z.string(),
  parameters: z.array(value).readonly().exactOptional(),
  resources: strings,
  rule: z.string(),
  policyVersion: z.string(),
  approvers: strings,
  createdAt: time,
  expiresAt: time,
  decisions: z
    .array(
      z.object({
        approver: z.object({ id: z.string(), name: z.string() }),
        answer: z.enum(['approve', 'deny']),
        groups: strings,
        reason: z.string(),
        at: time,
      }),
    )
    .readonly(),
  presented: z.string().describe('the request as an approver should read it'),
});
export const approvalPage = page(approval);
export const approvalQuery = pageQuery.extend({ state: approvalState.exactOptional() });
export type ApprovalItem = z.output<typeof approval>;

/** Events differ by type; each field is documented in the events reference. */
export const auditEvent = z.looseObject({
  seq: z.number().int(),
  time: z.string().describe('RFC 3339'),
  type: z.enum(eventTypes),
});
export const auditPage = page(auditEvent);
const instant = z.iso.datetime({ offset: true });
export const auditQuery = pageQuery.extend({
  type: z.enum(eventTypes).exactOptional(),
  session: id.exactOptional(),
  principal: id.exactOptional(),
  target: id.exactOptional(),
  from: instant.exactOptional(),
  to: instant.exactOptional(),
});
export type AuditItem = z.output<typeof auditEvent>;

export const checkpoint = z.object({
  note: z.string().describe('C2SP signed note'),
  vkey: z.string().describe('the verification key of the log'),
});
export type Checkpoint = z.output<typeof checkpoint>;

export const policyList = z.object({
  version: z.string(),
  policies: z
    .array(
      z.object({
        id: z.string(),
        file: z.string(),
        text: z.string(),
        effect: z.enum(['permit', 'forbid']),
        annotations: labels,
      }),
    )
    .readonly(),
});
export type PolicyList = z.output<typeof policyList>;
export const policyVersion = z.object({ version: z.string() });

export const question = z.strictObject({
  target: id,
  text: z.string().min(1).max(1_000_000).describe('the command, as a client would send it'),
  principal: z
    .strictObject({
      id,
      kind: principalKind,
      groups: z.array(id).max(200).readonly().default([]),
      owner: id.exactOptional(),
      claims: z.record(z.string().max(100), claimValue).default({}),
    })
    .exactOptional()
    .describe('who is supposed to ask; the caller where absent'),
});
export type Question = z.input<typeof question>;

const decided = { rule: z.string(), rules: strings, policyVersion: z.string(), advice: z.string().exactOptional() };
const obligations = z.object({ masks: labels });
export const explanation = z.object({
  decision: z.discriminatedUnion('outcome', [
    z.object({ outcome: z.literal('allow'), ...decided, obligations }),
    z.object({ outcome: z.literal('deny'), ...decided, reason: z.string() }),
    z.object({ outcome: z.literal('hold'), ...decided, approvers: strings, obligations }),
  ]),
  verb: z.string(),
  actions: z.array(z.enum(actions).or(z.string())).readonly(),
  resources: strings,
  because: z
    .array(z.object({ id: z.string(), effect: z.enum(['permit', 'forbid']), advice: z.string().exactOptional() }))
    .readonly(),
  masks: labels.describe('classification → method'),
});
export type Explained = z.output<typeof explanation>;

export const ticket = z.object({
  id: z.string(),
  principal: z.string(),
  targets: strings,
  createdAt: time,
  expiresAt: time,
  revokedAt: time.exactOptional(),
});
export const ticketList = z.object({ items: z.array(ticket).readonly() });
export const ticketBody = z.strictObject({
  targets: z.array(id).min(1).max(32),
  ttlMs: z
    .number()
    .int()
    .min(1000)
    .max(366 * 86_400_000)
    .default(900_000)
    .describe('shortened to what the configuration allows'),
});
export const issuedTicket = z.object({ ticket, secret: z.string().describe('shown once; only its digest is kept') });
export type TicketItem = z.output<typeof ticket>;
export type IssuedTicket = z.output<typeof issuedTicket>;
export const revoked = z.object({ revoked: z.boolean() });

export const target = z.object({
  name: z.string(),
  protocol: z.string(),
  labels,
  inspection: z
    .object({ reachable: z.boolean(), mode: z.string(), warnings: strings })
    .exactOptional()
    .describe('only for those who may review'),
});
export const targetList = z.object({ items: z.array(target).readonly() });
export type TargetItem = z.output<typeof target>;

export const proposalQuestion = z.strictObject({
  target: id,
  minConfidence: z.number().min(0).max(1).default(0).describe('entries that are less sure are counted, and left out'),
});
export type ProposalQuestion = z.input<typeof proposalQuestion>;
export const proposal = z.object({
  entries: z
    .array(
      z.object({
        field: z.string().describe('as `classify` takes it'),
        classification: z.string(),
        confidence: z.number().describe('0 to 1'),
        reasons: strings,
      }),
    )
    .readonly()
    .describe('surest first'),
  below: z.number().int().describe('how many entries were left out'),
  section: z.string().describe('YAML: the same entries, to be pasted into the target'),
  warnings: strings,
  looked: z.object({
    fields: z.number().int(),
    classified: z.number().int(),
    sampled: z.number().int().describe('fields of which values were looked at'),
  }),
});
export type ProposalAnswer = z.output<typeof proposal>;
