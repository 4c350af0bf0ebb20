import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Caller } from '../model/principal.ts';
import { sampleDecision, sampleRequest } from '../storage/store.samples.ts';
import { objection } from './separation.ts';

const person = z.object({
  id: z.string().default('corp:dba'),
  kind: z.enum(['human', 'ci', 'agent']).default('human'),
  name: z.string().default('a dba'),
  owner: z.string().exactOptional(),
  groups: z.array(z.string()).default(['dba']),
  proof: z.enum(['oidc', 'ticket']).default('oidc'),
});
const cases = z.array(
  z.strictObject({
    case: z.string(),
    requester: z.object({ id: z.string(), kind: z.string(), owner: z.null() }).exactOptional(),
    approvers: z.array(z.string()).default(['dba']),
    given: z.array(z.object({ by: z.string(), groups: z.array(z.string()) })).default([]),
    approver: person,
    answer: z.enum(['approve', 'deny']).default('approve'),
    may: z.boolean(),
    rule: z.string().exactOptional(),
  }),
);

const matrix = cases.parse(JSON.parse(readFileSync(new URL('./testdata/separation.json', import.meta.url), 'utf8')));

describe('the separation of duties', () => {
  it.each(matrix)('$case: $may', ({ requester, approvers, given, approver, answer, may, rule }) => {
    const { proof, ...who } = approver;
    const caller: Caller = {
      principal: { ...who, issuer: 'corp', subject: who.id, claims: {} },
      proof: { kind: proof, id: 'p', expiresAt: 9_999 },
    };
    const request = sampleRequest({
      approvers,
      ...(requester === undefined ? {} : { requester: { id: requester.id, kind: requester.kind, name: 'x' } }),
      decisions: given.map(({ by, groups }) => sampleDecision({ approver: { id: by, name: by }, groups })),
    });
    const objected = objection(caller, request, answer);
    expect([objected === undefined, objected?.rule]).toEqual([may, rule]);
  });
});
