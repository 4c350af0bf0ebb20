import type { ClaimValue, Principal, PrincipalKind } from '../model/principal.ts';
import { type ClaimSet, type Conditions, claimAt, firstUnmet, isScalar } from './claims.ts';
import type { IssuerConfig } from './config.ts';
import type { Issuer } from './issuers.ts';
import { Rejection } from './rejection.ts';
import { expandIdentity, expandName, parseTemplate } from './template.ts';

const maxGroups = 500;
const maxText = 1024;

/**
 * Who the verified claims of a token speak of, by the issuer's part of the configuration. Pure. Throws Rejection when a required claim is not met, when the
 * claims an identity is made of are missing, or when a claim has a shape that could be misread; so a caller is never let in with less known about
 * them than the configuration asked for.
 */
export function toPrincipal(claims: ClaimSet, { config, requirements }: Issuer): Principal {
  const unmet = firstUnmet(claims, requirements);
  if (unmet !== undefined) throw new Rejection(`claim ${unmet} is not as required`, config.name);
  const { principal } = config;
  const subject = expandIdentity(parseTemplate(principal.subject), claims);
  const owner = principal.owner === undefined ? undefined : expandIdentity(parseTemplate(principal.owner), claims);
  return {
    id: `${config.name}:${subject}`,
    kind: kindOf(claims, config),
    issuer: config.name,
    subject,
    name: expandName(parseTemplate(principal.name), claims) ?? subject,
    groups: groupsOf(claims, config),
    ...(owner === undefined ? {} : { owner }),
    claims: passedClaims(claims, config),
  };
}

function kindOf(claims: ClaimSet, { principal }: IssuerConfig): PrincipalKind {
  if (typeof principal.kind === 'string') return principal.kind;
  const rule = principal.kind.find(({ when }) => firstUnmet(claims, when as Conditions) === undefined);
  if (rule === undefined) throw new Rejection('no rule says what kind of principal this is');
  return rule.kind;
}

function groupsOf(claims: ClaimSet, { groups }: IssuerConfig): readonly string[] {
  const refs = groups.claims === undefined ? [] : [groups.claims].flat();
  const found = refs.map((ref) => groupValues(claims, ref));
  // Directories leave the list out when it is too long and say so here (OpenID Connect Core, 5.6.2): a policy that forbids by group must not miss it then.
  const elsewhere = refs.find((ref) => claimAt(claims, `/_claim_names/${ref}`) !== undefined);
  if (elsewhere !== undefined)
    throw new Rejection(`claim ${elsewhere} is too long for the token and was left out of it`);
  if (refs.length > 0 && !groups.optional && found.every((values) => values === undefined)) {
    throw new Rejection(`claim ${refs.join(', ')} is missing or empty`);
  }
  const fromToken = found
    .flatMap((values) => values ?? [])
    .filter((value) => groups.only === undefined || groups.only.includes(value))
    .map((value) => groups.prefix + value);
  const byRule = groups.rules
    .filter(({ when }) => firstUnmet(claims, when as Conditions) === undefined)
    .flatMap((rule) => rule.groups);
  const all = [...new Set([...fromToken, ...groups.static, ...byRule])];
  if (all.length > maxGroups) throw new Rejection(`the caller is in more than ${maxGroups} groups`);
  return all;
}

function groupValues(claims: ClaimSet, ref: string): readonly string[] | undefined {
  const value = claimAt(claims, ref);
  if (value === undefined) return undefined;
  const values = Array.isArray(value) ? value : [value];
  const sound = values.every(
    (item) => typeof item === 'string' && item !== '' && item.length <= 256 && !/\p{C}/u.test(item),
  );
  if (!sound) throw new Rejection(`claim ${ref} is not a list of group names`);
  return values as string[];
}

function passedClaims(claims: ClaimSet, { claims: wanted }: IssuerConfig): Readonly<Record<string, ClaimValue>> {
  const pairs = Array.isArray(wanted) ? wanted.map((ref) => [ref, ref] as const) : Object.entries(wanted);
  const passed = pairs.flatMap(([name, ref]) => {
    const value = claimAt(claims, ref);
    if (value === undefined) return [];
    if (!isClaimValue(value)) throw new Rejection(`claim ${ref} is too large or not a plain value`);
    return [[name, value] as const];
  });
  return Object.fromEntries(passed);
}

function isClaimValue(value: unknown): value is ClaimValue {
  if (Array.isArray(value))
    return value.length <= 100 && value.every((item) => typeof item === 'string' && item.length <= maxText);
  return isScalar(value) && String(value).length <= maxText;
}
