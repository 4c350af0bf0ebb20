import { Rejection } from './rejection.ts';

/** The verified payload of a token. */
export type ClaimSet = Readonly<Record<string, unknown>>;

/** A claim's name, or a JSON pointer (RFC 6901) into it when it begins with `/`: `groups`, `/realm_access/roles`. */
export type ClaimRef = string;

export type Scalar = string | number | boolean;

/**
 * What a claim must be: one value, one of several, none of several, like a pattern, or just there. In a pattern `*`
 * stands for any run of characters but `/` and `:`. A claim that is missing or empty meets no condition, `not` included. Of a claim that is
 * a list, one element must fit (`not`: no element may). Comparison is exact: case matters, numbers and booleans are
 * compared by their text.
 */
export type Condition =
  | Scalar
  | readonly Scalar[]
  | { readonly not: Scalar | readonly Scalar[] }
  | { readonly like: string | readonly string[] }
  | { readonly present: true };

/** All must hold. */
export type Conditions = Readonly<Record<ClaimRef, Condition>>;

/** The claim's value, or undefined when it is missing, null, an empty string or an empty list. Looks at own properties only. */
export function claimAt(claims: ClaimSet, ref: ClaimRef): unknown {
  const path = ref.startsWith('/') ? ref.slice(1).split('/').map(unescapePointer) : [ref];
  let value: unknown = claims;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key))
      return undefined;
    value = (value as ClaimSet)[key];
  }
  if (value === null || value === '' || (Array.isArray(value) && value.length === 0)) return undefined;
  return value;
}

function unescapePointer(segment: string): string {
  return segment.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** The first claim whose condition does not hold, or undefined when all hold. */
export function firstUnmet(claims: ClaimSet, conditions: Conditions): ClaimRef | undefined {
  return Object.keys(conditions).find((ref) => !holds(claimAt(claims, ref), conditions[ref]!));
}

function holds(value: unknown, condition: Condition): boolean {
  if (value === undefined) return false;
  const values = Array.isArray(value) ? value : [value];
  if (!values.every(isScalar)) return false;
  const found = values.map(String);
  if (typeof condition !== 'object' || Array.isArray(condition))
    return found.some(isOneOf(condition as Scalar | Scalar[]));
  if ('not' in condition) return !found.some(isOneOf(condition.not));
  if ('like' in condition) {
    const patterns = [condition.like].flat();
    return found.some((text) => patterns.some((pattern) => isLike(pattern, text)));
  }
  return 'present' in condition && condition.present === true;
}

function isOneOf(wanted: Scalar | readonly Scalar[]): (text: string) => boolean {
  const texts = [wanted].flat().map(String);
  return (text) => texts.includes(text);
}

/** Segment by segment between `/` and `:`, so that acme/* is not acme/sub/project; linear in the text, whatever the pattern. */
function isLike(pattern: string, text: string): boolean {
  if (/\p{C}/u.test(text)) return false;
  const wanted = pattern.split(/([/:])/);
  const found = text.split(/([/:])/);
  return wanted.length === found.length && wanted.every((segment, i) => segmentIsLike(segment, found[i]!));
}

function segmentIsLike(pattern: string, text: string): boolean {
  const [first, ...rest] = pattern.split('*') as [string, ...string[]];
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (const part of rest) {
    const next = text.indexOf(part, at);
    if (next === -1 || next + part.length > end) return false;
    at = next + part.length;
  }
  return true;
}

export function isScalar(value: unknown): value is Scalar {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

/** A claim that must be there and be a scalar, as text. Throws Rejection. */
export function requiredText(claims: ClaimSet, ref: ClaimRef): string {
  const value = claimAt(claims, ref);
  if (value === undefined) throw new Rejection(`claim ${ref} is missing or empty`);
  if (!isScalar(value)) throw new Rejection(`claim ${ref} is not a plain value`);
  return String(value);
}
