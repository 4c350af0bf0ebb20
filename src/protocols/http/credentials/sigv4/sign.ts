import type { Fields } from '../../../../web/message.ts';
import type { OutgoingHead } from '../head.ts';
import type { AwsKey } from '../injection.ts';
import {
  algorithm,
  amzDate,
  canonicalPaths,
  canonicalRequest,
  hmac,
  type Scope,
  scopeText,
  signingKey,
  stringToSign,
} from './canonical.ts';
import { type Payload, payloadText } from './payload.ts';

/** Where the signatures of chunks begin. Holds a key derived from the secret: never log one. */
export interface Seed {
  readonly key: Buffer;
  /** `20130524T000000Z`. */
  readonly time: string;
  readonly scope: Scope;
  /** The signature of the head, hex. */
  readonly signature: string;
}

export interface SignedHead {
  readonly head: OutgoingHead;
  readonly seed: Seed;
}

/** Fields that are signed where they are; others may be changed by proxies on the way. */
const signedFields = new Set(['content-type', 'content-md5', 'content-encoding', 'range']);

/**
 * Signs a head whose own authorization, date and payload fields were stripped. `decodedLength` is the payload's, for one that travels
 * in chunks. Times are in UTC.
 */
export function signV4(
  head: OutgoingHead,
  key: AwsKey,
  payload: Payload,
  now: number,
  decodedLength?: number,
): SignedHead {
  const time = amzDate(now);
  const scope: Scope = { date: time.slice(0, 8), region: key.region, service: key.service };
  const fields: string[] = [...head.fields, 'x-amz-date', time];
  if (key.service === 's3' || payload.kind !== 'hash') fields.push('x-amz-content-sha256', payloadText(payload));
  if (key.sessionToken !== undefined) fields.push('x-amz-security-token', key.sessionToken);
  if (decodedLength !== undefined) fields.push('x-amz-decoded-content-length', String(decodedLength));
  const names = signedNames(fields);
  const request = { ...head, fields };
  const [path] = canonicalPaths(head.target, key.service);
  const canonical = canonicalRequest(request, path as string, names, payloadText(payload));
  const derived = signingKey(key.secret, scope);
  const signature = hmac(derived, stringToSign(time, scope, canonical)).toString('hex');
  const authorization = `${algorithm} Credential=${key.id}/${scopeText(scope)}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return {
    head: { ...head, fields: [...fields, 'authorization', authorization] },
    seed: { key: derived, time, scope, signature },
  };
}

function signedNames(fields: Fields): readonly string[] {
  const names = new Set(['host']);
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (name.startsWith('x-amz-') || signedFields.has(name)) names.add(name);
  }
  return [...names].sort();
}
