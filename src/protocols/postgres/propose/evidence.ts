import { isIP } from 'node:net';
import type { Recognise } from '../../../gateway/protocol.ts';
import type { Candidate } from './candidate.ts';
import { nameMeaning } from './name-meaning.ts';

/** How many of the sampled values of a column look like something. Counts only. */
export interface Evidence {
  /** Values that were looked at: neither null nor blank. */
  readonly values: number;
  /** Classification → values that are such a thing and nothing else. */
  readonly whole: ReadonlyMap<string, number>;
  /** Values with such a thing somewhere in a longer text. */
  readonly inside: number;
  /** Documents with a key whose name suggests something, by what it suggests. */
  readonly keys: ReadonlyMap<string, number>;
}

/** Password hashes as they are kept: crypt(3), PHC strings, Django, LDAP. */
const passwordHash =
  /^(?:\$(?:2[abxy]?|5|6|y|argon2(?:id|i|d)|scrypt|pbkdf2[a-z0-9-]*)\$|\{(?:S?SHA(?:256|512)?|CRYPT|bcrypt)\}|(?:pbkdf2_sha\d+|bcrypt(?:_sha256)?|argon2|scrypt)\$|SCRAM-SHA-256\$)/;
/** Keys of a JSON text, which may be cut short. */
const key = /"([^"\\]{1,64})"\s{0,3}:/g;
const mostKeys = 100;

export function evidenceOf(
  { type, array }: Candidate,
  values: readonly (string | null | undefined)[],
  recognise: Recognise,
): Evidence {
  const whole = new Map<string, number>();
  const keys = new Map<string, number>();
  let counted = 0;
  let inside = 0;
  for (const sampled of values) {
    const value = (sampled == null ? '' : array ? firstElement(sampled) : sampled).trim();
    if (value === '') continue;
    counted += 1;
    if (type === 'document') for (const found of keysOf(value)) count(keys, found);
    const found = recognise(value);
    const entire = wholeOf(value, found);
    if (entire !== undefined) count(whole, entire);
    else if (found.length > 0) inside += 1;
  }
  return { values: counted, whole, inside, keys };
}

function wholeOf(value: string, found: ReturnType<Recognise>): string | undefined {
  const entire = found.find((one) => one.whole)?.classification;
  if (entire !== undefined) return entire;
  if (passwordHash.test(value)) return 'secret.password';
  return isIP(value.replace(/\/\d{1,3}$/, '')) === 0 ? undefined : 'pii.ip';
}

/** Of an array as text: `{a,b}`, `{"a b",c}`. */
function firstElement(text: string): string {
  return text.replace(/^\{"?/, '').split(/[",}]/, 1)[0] ?? '';
}

/** What the keys of one document suggest. The keys themselves may be data, and stay here. */
function keysOf(text: string): ReadonlySet<string> {
  const suggested = new Set<string>();
  let seen = 0;
  for (const [, name = ''] of text.matchAll(key)) {
    if (++seen > mostKeys) break;
    const meaning = nameMeaning('', name, 'text');
    if (meaning !== undefined) suggested.add(meaning.classification);
  }
  return suggested;
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
