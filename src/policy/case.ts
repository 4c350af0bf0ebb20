import { z } from 'zod';
import { actions, type Classified, type Resource } from '../model/command.ts';
import type { Principal } from '../model/principal.ts';
import type { Target } from '../model/target.ts';

const claim = z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]);

const principal = z.strictObject({
  id: z.string().optional(),
  kind: z.enum(['human', 'ci', 'agent']),
  issuer: z.string().default('test'),
  groups: z.array(z.string()).default([]),
  owner: z.string().optional(),
  claims: z.record(z.string(), claim).default({}),
});

const target = z.strictObject({
  protocol: z.string().default('postgres'),
  labels: z.record(z.string(), z.string()).default({}),
  classifications: z.array(z.string()).default([]),
});

/** A resource is `public.orders`, which is a table, or `Schema hr`, `Function public.f`, … */
const command = z.strictObject({
  verb: z.string(),
  actions: z.array(z.enum(actions)).min(1),
  reads: z.array(z.string()).default([]),
  writes: z.array(z.string()).default([]),
  executes: z.array(z.string()).default([]),
  verbs: z.array(z.string()).optional(),
  statements: z.number().int().default(1),
  hasWhere: z.boolean().default(true),
  functions: z.array(z.string()).default([]),
  findings: z.array(z.string()).default([]),
  fields: z.array(z.string()).default([]),
  values: z.array(z.string()).default([]),
});

const expectation = z.strictObject({
  outcome: z.enum(['allow', 'deny', 'hold']),
  rule: z.string().optional(),
  approvers: z.array(z.string()).optional(),
  masks: z.record(z.string(), z.string()).optional(),
  advice: z.string().optional(),
});

const policyCase = z
  .strictObject({
    name: z.string(),
    principal: z.string(),
    target: z.string().optional(),
    command: command.optional(),
    /** A command as a client would send it, classified by the target's protocol. */
    text: z.string().optional(),
    ask: z.enum(['connect', 'approve', 'review', 'configure']).optional(),
    /** For `ask: approve`. */
    request: z.strictObject({ rule: z.string(), requester: z.string(), approvers: z.array(z.string()) }).optional(),
    grants: z.array(z.string()).default([]),
    expect: expectation,
  })
  .refine((one) => [one.command, one.text, one.ask].filter((what) => what !== undefined).length === 1, {
    message: 'a case has one of command, text and ask',
  })
  .refine((one) => one.target !== undefined || one.ask === 'review' || one.ask === 'configure', {
    message: 'target is missing',
  })
  .refine((one) => (one.ask === 'approve') === (one.request !== undefined), {
    message: 'request belongs to ask: approve',
  });

/** A file in `tests/` of a policy folder; docs/policies.md shows one. */
export const caseFileSchema = z.strictObject({
  principals: z.record(z.string(), principal),
  targets: z.record(z.string(), target).default({}),
  cases: z.array(policyCase).min(1),
});
export type CaseFile = z.output<typeof caseFileSchema>;
export type PolicyCase = CaseFile['cases'][number];

export function principalOf(name: string, written: CaseFile['principals'][string]): Principal {
  const { id, kind, issuer, groups, owner, claims } = written;
  const subject = id?.startsWith(`${issuer}:`) === true ? id.slice(issuer.length + 1) : name;
  return {
    id: id ?? `${issuer}:${name}`,
    kind,
    issuer,
    subject,
    name,
    groups,
    ...(owner === undefined ? {} : { owner }),
    claims,
  };
}

export function targetOf(name: string, { protocol, labels }: CaseFile['targets'][string]): Target {
  return { name, protocol, labels, holdMs: 0, settings: {} };
}

export function classifiedOf(written: NonNullable<PolicyCase['command']>): Classified {
  const { verb, reads, writes, executes, statements, hasWhere, functions, verbs, findings, fields, values } = written;
  const resources = [
    ...reads.map((text) => resourceOf(text, 'read')),
    ...writes.map((text) => resourceOf(text, 'write')),
    ...executes.map((text) => resourceOf(text, 'execute')),
  ];
  return {
    verb,
    actions: written.actions,
    resources,
    facts: { statements, hasWhere, functions, verbs: verbs ?? [verb], findings, fields, values },
  };
}

const resourceText = /^(?:(Table|Column|Function|Schema|Object|Repository|Ref|Path|Host) )?(.+)$/s;

function resourceOf(text: string, access: Resource['access']): Resource {
  const [, type = 'Table', id = ''] = resourceText.exec(text) ?? [];
  return { type: type as Resource['type'], id, access };
}
