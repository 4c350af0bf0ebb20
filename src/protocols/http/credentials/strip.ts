import type { Fields } from '../../../web/message.ts';
import { decodeFormText } from '../classify/form.ts';
import { foldedName, type OutgoingHead } from './head.ts';
import type { Injection } from './injection.ts';

export interface StripRules {
  readonly cookies: 'drop' | 'pass';
}

/** Credentials, whoever they are for. */
const credentials = new Set(['authorization', 'proxy-authorization', 'x-amz-security-token']);

/** What only a proxy in front of the target may say: who somebody is, where a request came from (threat F5). */
const claims = new Set([
  'forwarded',
  'remote-user',
  'x-remote-user',
  'x-remote-group',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'x-host',
  'x-original-host',
  'x-http-host-override',
  'x-user',
  'x-user-id',
  'x-authenticated-user',
  'x-webauth-user',
  'x-ssl-client-dn',
  'x-ssl-client-cert',
  'x-client-cert',
  'x-client-verify',
]);
/** All begin with `x-`. */
const claimPrefixes = [
  'x-forwarded-',
  'x-auth-request-',
  'x-remote-extra-',
  'x-goog-authenticated-',
  'x-goog-iap-',
  'x-ms-client-principal',
  'x-amzn-oidc-',
  'x-envoy-',
  'x-sallyport-',
];

/** A head without anything that the caller may not say to a target, and the names of what was taken out, for the audit log. */
export interface Stripped {
  readonly head: OutgoingHead & { readonly fields: string[] };
  /** `authorization`, `cookie`, `query.api_key`; each once. */
  readonly names: readonly string[];
}

export function strip(head: OutgoingHead, injection: Injection, rules: StripRules): Stripped {
  const names: string[] = [];
  const fields = allowed(head.fields, injection, rules, names);
  const target = injection.kind === 'query' ? withoutParameter(head.target, injection.name, names) : head.target;
  return { head: { method: head.method, target, authority: head.authority, fields }, names };
}

/** The fields that a caller may send, in the head or behind the body; the names of the others go to `taken`. */
export function allowed(fields: Fields, injection: Injection, rules: StripRules, taken: string[] = []): string[] {
  const kept: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (isForbidden(foldedName(name), injection, rules)) note(name, taken);
    else kept.push(name, fields[index + 1] as string);
  }
  return kept;
}

function note(name: string, taken: string[]): void {
  if (!taken.includes(name)) taken.push(name);
}

function isForbidden(name: string, injection: Injection, rules: StripRules): boolean {
  if (
    credentials.has(name) ||
    claims.has(name) ||
    (name.startsWith('x-') && claimPrefixes.some((prefix) => name.startsWith(prefix)))
  )
    return true;
  if (name === 'cookie' || name === 'cookie2') return rules.cookies === 'drop';
  if (injection.kind === 'header') return name === foldedName(injection.name);
  // The signature is made anew, and what it speaks of with it.
  if (injection.kind === 'aws')
    return name === 'x-amz-date' || name === 'x-amz-content-sha256' || name === 'x-amz-signature';
  return false;
}

/** A target without any query parameter that some server could take for the one of that name. */
function withoutParameter(target: string, name: string, names: string[]): string {
  const mark = target.indexOf('?');
  if (mark < 0) return target;
  const wanted = foldedParameter(name);
  const kept = target
    .slice(mark + 1)
    .split('&')
    .filter((pair) => {
      const hit = pair.split(';').some((piece) => foldedParameter(parameterName(piece)) === wanted);
      if (hit) note(`query.${name}`, names);
      return !hit;
    });
  const query = kept.join('&');
  return target.slice(0, mark) + (query === '' ? '' : `?${query}`);
}

function parameterName(piece: string): string {
  const written = piece.split('=', 1)[0] as string;
  return decodeFormText(written) ?? written;
}

/** PHP and others turn dots and blanks into underscores and drop brackets; many fold case. */
function foldedParameter(name: string): string {
  return name
    .replace(/[[\0].*$/s, '')
    .trim()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '_');
}

/** The fields of a reply that a caller may see: no cookies of the target unless they pass, no challenge for a credential that is ours. */
export function showableFields(fields: Fields, rules: StripRules): Fields {
  let hidden = false;
  for (let index = 0; index < fields.length && !hidden; index += 2) hidden = isHidden(fields[index] as string, rules);
  if (!hidden) return fields;
  const kept: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (!isHidden(name, rules)) kept.push(name, fields[index + 1] as string);
  }
  return kept;
}

function isHidden(name: string, rules: StripRules): boolean {
  if (name === 'www-authenticate' || name === 'proxy-authenticate' || name === 'authentication-info') return true;
  return rules.cookies === 'drop' && (name === 'set-cookie' || name === 'set-cookie2');
}
