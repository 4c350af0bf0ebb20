import { type ClaimRef, type ClaimSet, claimAt, requiredText } from './claims.ts';
import { Rejection } from './rejection.ts';

/**
 * `{claim}` stands for a claim's text; a template without braces is the name of one claim. Where several claims are
 * joined, their values are percent-encoded, so that no two sets of values give the same text.
 */
export interface Template {
  readonly parts: readonly (string | { readonly claim: ClaimRef })[];
  readonly claims: readonly ClaimRef[];
}

/** Throws SyntaxError that says what is wrong with the template. */
export function parseTemplate(text: string): Template {
  if (!/[{}]/.test(text)) {
    if (text === '') throw new SyntaxError('is empty');
    return { parts: [{ claim: text }], claims: [text] };
  }
  const parts = text
    .split(/(\{[^{}]+\})/)
    .filter((part) => part !== '')
    .map((part) => (/^\{[^{}]+\}$/.test(part) ? { claim: part.slice(1, -1) } : part));
  const claims = parts.flatMap((part) => (typeof part === 'string' ? [] : [part.claim]));
  if (parts.some((part) => typeof part === 'string' && /[{}]/.test(part)))
    throw new SyntaxError('has a brace without its partner');
  if (claims.length === 0) throw new SyntaxError('names no claim');
  const ambiguous = parts.some((part, i) => {
    const before = parts[i - 1];
    if (typeof part !== 'string') return typeof before === 'object';
    return i > 0 && i < parts.length - 1 && encodeURIComponent(part) === part;
  });
  if (ambiguous) throw new SyntaxError('needs a separator such as / or : between two claims');
  return { parts, claims };
}

/**
 * The template's text for these claims, at most `length` characters. Throws Rejection when a claim is missing, or when an e-mail address that is
 * not certain to be the caller's would become (part of) an identity: OpenID Connect Core, section 5.7.
 */
export function expandIdentity(template: Template, claims: ClaimSet, length = 256): string {
  const encode = template.claims.length > 1 ? encodeURIComponent : (text: string) => text;
  const text = template.parts
    .map((part) => (typeof part === 'string' ? part : encode(identifying(claims, part.claim))))
    .join('');
  if (text.length > length)
    throw new Rejection(`the text made of ${template.claims.join(', ')} is longer than ${length}`);
  // Control, format, private and unassigned characters, and spaces at the ends, make two names look like one.
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(text) || text.trim() !== text) {
    throw new Rejection(`${template.claims.join(', ')} holds characters that cannot be in a name`);
  }
  return text;
}

function identifying(claims: ClaimSet, ref: ClaimRef): string {
  const value = requiredText(claims, ref);
  if (ref === 'email') {
    if (claimAt(claims, 'email_verified') !== true) throw new Rejection('claim email is not verified by the issuer');
    if (!/^[^\s@]+@[^\s@]+$/.test(value)) throw new Rejection('claim email is not one address');
  }
  return value;
}

/** For people to read: missing claims are left out, odd characters too. Undefined when nothing remains. */
export function expandName(template: Template, claims: ClaimSet): string | undefined {
  const values = template.parts.map((part) => {
    if (typeof part === 'string') return part;
    const value = claimAt(claims, part.claim);
    return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
  });
  if (!values.some((value, i) => typeof template.parts[i] !== 'string' && value !== undefined)) return undefined;
  const text = values
    .join('')
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '')
    .trim()
    .slice(0, 120);
  return text === '' ? undefined : text;
}
