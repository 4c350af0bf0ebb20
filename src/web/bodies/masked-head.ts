import type { Masks } from '../../gateway/protocol.ts';
import { type Fields, type ResponseHead, without } from '../message.ts';
import type { BodyPlan } from './body-plan.ts';

/**
 * The head as it may be shown. What is said about the body's bytes goes where the body may come out different (RFC 9110, RFC 9530):
 * length, digests, signatures over them, ranges; a strong entity tag becomes a weak one, since the bytes are no longer the target's.
 * `Content-Encoding` stays: the same codings are put on again. Values of all fields are shown to the content detectors. Bytes of no
 * known type, which are nearly always what they were, keep all that is said about them: downloads depend on it. Where something is classified,
 * whatever could be the body's hash goes, entity tags too.
 */
export function maskedHead(head: ResponseHead, plan: BodyPlan, masks: Masks): ResponseHead {
  const keepsAll = !plan.changes || (plan.sameLength && plan.kind === 'unknown');
  if (keepsAll) return { ...head, fields: maskedFields(head.fields, masks) };
  const ruled = plan.rules.list.length > 0;
  const kept: string[] = [];
  for (let i = 0; i < head.fields.length; i += 2) {
    const name = head.fields[i]!;
    const value = head.fields[i + 1]!;
    if (aboutBytes.has(name) || name.startsWith('x-amz-checksum-')) continue;
    if (ruled && isFingerprint(name)) continue;
    kept.push(name, name === 'etag' && value.startsWith('"') ? `W/${value}` : value);
  }
  const length = plan.sameLength && head.length !== undefined ? { length: head.length } : {};
  return { status: head.status, fields: maskedFields(kept, masks), ...length };
}

/** Trailers by the same rules. */
export function maskedTrailers(trailers: Fields, plan: BodyPlan, masks: Masks): Fields {
  if (!plan.changes) return maskedFields(trailers, masks);
  const kept = without(trailers, aboutBytes);
  return maskedFields(plan.rules.list.length > 0 ? withoutFingerprints(kept) : kept, masks);
}

function withoutFingerprints(fields: Fields): Fields {
  return fields.filter((_, i) => !isFingerprint(fields[i - (i % 2)]!));
}

/**
 * Whether a field holds what is computed from the body, under any of the names in use: who has the hash of a body, and all of the body but
 * nine digits, has the digits. An entity tag is such a hash with many servers.
 */
function isFingerprint(name: string): boolean {
  return /(?:^|[-_])(?:etag|checksums?|digest|md5|sha-?\d*|hash|crc-?\d*c?|fingerprint)(?:[-_]|$)/.test(name);
}

const aboutBytes = new Set([
  'content-length',
  'content-md5',
  'digest',
  'content-digest',
  'repr-digest',
  'accept-ranges',
  'signature',
  'signature-input',
  'x-goog-hash',
  'x-content-length',
  'x-original-content-length',
  'x-goog-stored-content-length',
  'x-ms-content-crc64',
]);

/** Header or trailer fields with what the content detectors find in their values overwritten; the same object where that is nothing. */
export function maskedFields(fields: Fields, masks: Masks): Fields {
  if (fields.length === 0) return fields;
  const values: string[] = [];
  for (let i = 1; i < fields.length; i += 2) values.push(fields[i]!);
  // One search for all: each value by itself, a line feed between them.
  const bytes = Buffer.from(values.join('\n'), 'latin1');
  const offsets = () => {
    const pairs: number[] = [];
    let at = 0;
    for (const { length } of values) {
      pairs.push(at, at + length);
      at += length + 1;
    }
    return pairs;
  };
  const plain = masks.scrub(bytes, offsets) === 0 ? values : bytes.toString('latin1').split('\n');
  let changed = plain !== values;
  const shown: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    const before = plain[i / 2]!;
    const after = addresses.has(name) && before.includes('%') ? withoutHidden(before, masks) : before;
    if (after !== before) changed = true;
    shown.push(name, after);
  }
  return changed ? shown : fields;
}

/** Fields that hold URLs, where an at sign may be written as %40. */
const addresses = new Set(['location', 'content-location', 'link', 'refresh', 'set-cookie']);

/** What is found only when percent-encoding is read (RFC 3986 section 2.1) is overwritten, as it stands, by stars. */
function withoutHidden(value: string, masks: Masks): string {
  const raw = Buffer.from(value, 'latin1');
  const starts: number[] = []; // where each byte of meaning stands
  const meant: number[] = [];
  for (let at = 0; at < raw.length; ) {
    const code =
      raw[at] === 0x25
        ? Number.parseInt(/^[0-9a-f]{2}/i.exec(raw.toString('latin1', at + 1, at + 3))?.[0] ?? '', 16)
        : NaN;
    starts.push(at);
    meant.push(Number.isNaN(code) ? raw[at]! : code);
    at += Number.isNaN(code) ? 1 : 3;
  }
  starts.push(raw.length);
  const bytes = Buffer.from(meant);
  if (masks.scrub(bytes, (whole) => [0, whole.length]) === 0) return value;
  const shown: string[] = [];
  for (let i = 0; i < bytes.length; i++) {
    shown.push(bytes[i] === meant[i] ? raw.toString('latin1', starts[i]!, starts[i + 1]!) : '*');
  }
  return shown.join('');
}
