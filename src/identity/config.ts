import { z } from 'zod';
import type { Conditions } from './claims.ts';
import { isLoopbackHost } from './loopback.ts';
import { unpinnedTenant } from './sharedIssuers.ts';
import { parseTemplate } from './template.ts';

/** Signature algorithms that may be allowed: asymmetric ones only. `none` and HS* cannot be written here. */
export const signatureAlgorithms = [
  'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519',
] as const; // biome-ignore format: a short list

const text = z.string().min(1).max(500);
const label = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'must be letters, digits, dots, dashes; at most 63');
const claimRef = z.string().min(1).max(200);
const scalar = z.union([text, z.number(), z.boolean()]);
const scalars = z.union([scalar, z.array(scalar).min(1)]);
const condition = z.union([
  scalars,
  z.strictObject({ not: scalars }),
  z.strictObject({ like: z.union([text, z.array(text).min(1)]) }),
  z.strictObject({ present: z.literal(true) }),
]);
const conditions = z
  .record(claimRef, condition)
  .refine((all) => Object.keys(all).length > 0, 'must name a claim; leave it out to ask for nothing');

const template = text.superRefine((value, context) => {
  try {
    parseTemplate(value);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as SyntaxError).message });
  }
});

const group = z
  .string()
  .regex(/^[^\p{C}\s](?:[^\p{C}]{0,126}[^\p{C}\s])?$/u, 'must be 1 to 128 characters, without control characters');
const kind = z.enum(['human', 'ci', 'agent']);

const principalSchema = z.strictObject({
  /** Claim or template that tells callers apart, for ever: `sub`, `{repository_id}/{run_id}`. */
  subject: template.default('sub'),
  /** Claim or template for people to read; the subject when absent or empty. */
  name: template.default('name'),
  /** What callers of this issuer are: one kind, or rules of which the first that fits counts. A caller whom no rule fits is refused. */
  kind: z.union([kind, z.array(z.strictObject({ when: conditions, kind })).min(1)]),
  /** Principal id of the person who answers for the caller: `corp:{owner}`. A caller without those claims is refused. */
  owner: template.optional(),
});

const groupsSchema = z
  .strictObject({
    /** Claims whose values become groups. */
    claims: z.union([claimRef, z.array(claimRef).min(1)]).optional(),
    /** Put before every value that comes from a token. Without it a token's group `dba` is the group `dba`. */
    prefix: z.string().max(64).default(''),
    /** The token's values that count; others are dropped. All count when it is absent. Compared before the prefix. */
    only: z.array(group).min(1).optional(),
    /** Let callers in whose token has none of the `claims` at all. */
    optional: z.boolean().default(false),
    /** Groups of every caller of this issuer. */
    static: z.array(group).default([]),
    /** Groups of the callers whose claims fit; every rule that fits counts. */
    rules: z.array(z.strictObject({ when: conditions, groups: z.array(group).min(1) })).default([]),
  })
  .default({ prefix: '', optional: false, static: [], rules: [] });

const issuerUrl = z.string().superRefine((value, context) => {
  const complain = (message: string) => context.addIssue({ code: 'custom', message });
  if (!URL.canParse(value)) return complain('must be a URL');
  const url = new URL(value);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackHost(url.hostname))) {
    complain('must be https; plain http is for loopback only');
  }
  if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '' || /[?#]/.test(value)) {
    complain('must have no query, fragment or user');
  }
});

const audiences = z.union([text, z.array(text).min(1)]);

/** One item of the configuration's `issuers:`. Nothing in it has a default that lets more callers in than were named. */
export const issuerSchema = z
  .strictObject({
    /** First half of every principal id; renaming an issuer makes strangers of its callers. */
    name: label,
    /** Compared byte for byte with the token's `iss` and with the discovery document's. */
    issuer: issuerUrl,
    audience: audiences,
    /** Audiences that may stand beside ours in one token. Any other makes the token useless here: whoever it is for could replay it. */
    otherAudiences: z.array(text).default([]),
    algorithms: z.array(z.enum(signatureAlgorithms)).min(1).default(['RS256', 'ES256', 'EdDSA', 'PS256']),
    /** The token's `typ` header, where the issuer sets one: `at+jwt` tells access tokens from ID tokens (RFC 9068). */
    type: text.optional(),
    /** Where the keys are, if not where the discovery document says. */
    jwksUri: issuerUrl.optional(),
    /** PEM file with the certificate authorities to trust for this issuer instead of the system's. */
    ca: text.optional(),
    clockSkewSeconds: z.number().int().min(0).max(60).default(30),
    /** Refuse tokens issued longer ago than this, whatever their `exp`. Needs `iat`. */
    maxTokenAgeSeconds: z.number().int().min(1).optional(),
    /** All must hold: `repository_id: "123"`, `event_name: { not: pull_request }`. A missing claim meets no condition. */
    require: conditions.optional(),
    principal: principalSchema,
    groups: groupsSchema,
    /** Claims let through to policy, approvers and the audit log: names, or `our name: claim`. */
    claims: z.union([z.array(claimRef), z.record(label, claimRef)]).default([]),
  })
  .superRefine((issuer, context) => {
    const tenant = unpinnedTenant(issuer.issuer, (issuer.require ?? {}) as Conditions);
    if (tenant !== undefined) {
      const message = `this issuer signs for everybody: give one of ${tenant.join(', ')} a value`;
      context.addIssue({ code: 'custom', path: ['require'], message });
    }
  });

/** The configuration's `issuers:`. */
export const issuersSchema = z.array(issuerSchema).superRefine((issuers, context) => {
  issuers.forEach((issuer, i) => {
    const complain = (path: string[], message: string) =>
      context.addIssue({ code: 'custom', path: [i, ...path], message });
    const before = issuers.slice(0, i);
    if (before.some(({ name }) => name === issuer.name)) complain(['name'], 'is used twice');
    // Two names for one issuer would give one caller two identities, and with them a way to approve their own commands.
    if (before.some((other) => other.issuer === issuer.issuer)) complain(['issuer'], 'is configured twice');
    const { owner } = issuer.principal;
    if (owner !== undefined && !issuers.some(({ name }) => owner.startsWith(`${name}:`))) {
      complain(
        ['principal', 'owner'],
        'must begin with the name of a configured issuer and a colon, as in corp:{owner}',
      );
    }
  });
});

/** The configuration's `tickets:`. */
export const ticketsSchema = z
  .strictObject({
    /** No ticket lives longer, whatever was asked for. */
    maxTtlMinutes: z.number().int().min(1).max(1440).default(60),
    /** Live tickets one principal may have at a time. */
    maxLive: z.number().int().min(1).max(10_000).default(100),
  })
  .default({ maxTtlMinutes: 60, maxLive: 100 });

export type IssuerConfig = z.infer<typeof issuerSchema>;
export type TicketsConfig = z.infer<typeof ticketsSchema>;
