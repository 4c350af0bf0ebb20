import { createHash, timingSafeEqual } from 'node:crypto';
import { Refusal } from '../../../../model/errors.ts';
import { type Fields, field, type RequestHead } from '../../../../web/message.ts';
import type { KnownBody } from '../../classify/body.ts';
import { refusePresigned } from '../../classify/presigned.ts';
import {
  algorithm,
  canonicalPaths,
  canonicalRequest,
  declaredPayload,
  emptyHash,
  hmac,
  parseAmzDate,
  type Scope,
  sha256Hex,
  signingKey,
  stringToSign,
} from './canonical.ts';
import { type Payload, parsePayload } from './payload.ts';
import type { Seed } from './sign.ts';

/** The access key id of every caller; which caller it is, the token says. */
export const callerKeyId = 'SALLYPORT';

/** How far a caller's clock may be off, ms. */
const skewMs = 5 * 60_000;

/**
 * The secret access key that belongs to a caller's ticket or token: `AWS_ACCESS_KEY_ID=SALLYPORT`, this as
 * `AWS_SECRET_ACCESS_KEY`, the token itself as `AWS_SESSION_TOKEN`.
 */
export function callerSecret(token: string): string {
  return createHash('sha256').update(`sallyport-sigv4\0${token}`).digest('base64url');
}

/** The caller's token in a request that is signed; undefined where it is not. The token proves who it is, `verifyV4` that they sent this. */
export function signedToken(fields: Fields): string | undefined {
  if (field(fields, 'authorization')?.startsWith(algorithm) !== true) return undefined;
  const token = field(fields, 'x-amz-security-token');
  return token === undefined || token === '' ? undefined : token;
}

export interface VerifyOptions {
  readonly token: string;
  readonly region: string;
  readonly service: string;
  /** ms since the epoch. */
  readonly now: number;
  /** Needed where the request does not say what its payload's hash is. */
  readonly body: KnownBody;
  /** Content-Length as it was sent, which a head does not hold; some clients sign it. */
  readonly length: number | undefined;
}

/** A request whose head is as its caller signed it. What is left is its payload: see `payloadCheck`. */
export interface Verified {
  readonly payload: Payload;
  readonly seed: Seed;
  /** Bytes of a chunked payload without its framing. */
  readonly decodedLength: number | undefined;
}

/**
 * Checks the signature of a caller's request as it came (path with `/<target>`, its own Host).
 * Throws Refusal LOGIN_FAILED for a wrong one, UNSUPPORTED for a kind that is not taken.
 */
export function verifyV4(request: RequestHead, options: VerifyOptions): Verified {
  refusePresigned(request.target);
  const { credential, names, signature } = authorizationOf(request.fields);
  const time = only(request.fields, 'x-amz-date');
  const at = parseAmzDate(time);
  if (at === undefined) throw wrong('has no X-Amz-Date');
  if (Math.abs(options.now - at) > skewMs)
    throw wrong('was signed more than 5 minutes before or after now: set the clock right');
  const scope = scopeOf(credential, time as string, options);
  checkNames(names, request.fields);
  const { text, payload } = payloadOf(request.fields, options);
  const signed =
    options.length === undefined
      ? request
      : { ...request, fields: [...request.fields, 'content-length', String(options.length)] };

  const key = signingKey(callerSecret(options.token), scope);
  const expected = canonicalPaths(request.target, scope.service).map((path) =>
    hmac(key, stringToSign(time as string, scope, canonicalRequest(signed, path, names, text))),
  );
  const given = Buffer.from(signature, 'hex');
  if (!expected.some((mac) => mac.length === given.length && timingSafeEqual(mac, given)))
    throw wrong('does not fit the request');
  return {
    payload,
    seed: { key, time: time as string, scope, signature },
    decodedLength: payload.kind === 'chunked' ? decodedLength(request.fields) : undefined,
  };
}

function wrong(what: string): Refusal {
  return new Refusal('LOGIN_FAILED', `the request's AWS signature ${what}`, {
    advice: `use ${callerKeyId} as the access key id, and the secret key and session token that sallyport prints for your ticket`,
  });
}

function only(fields: Fields, name: string): string | undefined {
  let found: string | undefined;
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] !== name) continue;
    if (found !== undefined) throw wrong(`is in doubt: ${name} comes twice`);
    found = fields[index + 1];
  }
  return found;
}

interface Authorization {
  readonly credential: readonly string[];
  readonly names: readonly string[];
  readonly signature: string;
}

function authorizationOf(fields: Fields): Authorization {
  const text = only(fields, 'authorization') ?? '';
  const [, rest] = /^AWS4-HMAC-SHA256 (.*)$/s.exec(text) ?? [];
  if (rest === undefined) throw wrong('is of a kind that is not taken: use Signature Version 4 with HMAC-SHA256');
  const parts = new Map(
    rest.split(',').map((part): [string, string] => {
      const equals = part.indexOf('=');
      return [part.slice(0, Math.max(0, equals)).trim(), part.slice(equals + 1).trim()];
    }),
  );
  const signature = parts.get('Signature') ?? '';
  if (parts.size !== 3 || rest.split(',').length !== 3 || !/^[0-9a-f]{64}$/.test(signature))
    throw wrong('cannot be read');
  return {
    credential: (parts.get('Credential') ?? '').split('/'),
    names: (parts.get('SignedHeaders') ?? '').split(';'),
    signature,
  };
}

function scopeOf(credential: readonly string[], time: string, options: VerifyOptions): Scope {
  const [id, date, region, service, end] = credential;
  if (id !== callerKeyId) throw wrong(`is for another access key than ${callerKeyId}`);
  if (credential.length !== 5 || end !== 'aws4_request') throw wrong('has a credential scope that cannot be read');
  if (date !== time.slice(0, 8)) throw wrong('has a scope for another day than its X-Amz-Date');
  if (region !== options.region || service !== options.service)
    throw wrong(`is for ${region}/${service}; this target is ${options.region}/${options.service}`);
  return { date, region, service };
}

/** Host and every x-amz- field have to be signed, and everything that is signed has to be there. */
function checkNames(names: readonly string[], fields: Fields): void {
  const present = new Set(fields.filter((_, index) => index % 2 === 0));
  const sorted = names.every((name, index) => index === 0 || (names[index - 1] as string) < name);
  if (!sorted || !names.includes('host')) throw wrong('must cover host, with its header names in order');
  for (const name of names) {
    if (name !== 'host' && name !== 'content-length' && !present.has(name))
      throw wrong('covers a header field that is not there');
  }
  for (const name of present) {
    if (name.startsWith('x-amz-') && !names.includes(name)) throw wrong(`does not cover ${name}`);
  }
}

function payloadOf(fields: Fields, { body, service }: VerifyOptions): { text: string; payload: Payload } {
  only(fields, 'x-amz-content-sha256');
  const text = declaredPayload(fields);
  if (text !== undefined) {
    const payload = parsePayload(text);
    if (payload === undefined) throw wrong('has a payload of a kind that is not taken');
    if (payload.kind !== 'hash' && service !== 's3') throw wrong('must cover the payload');
    return { text, payload };
  }
  if (service === 's3') throw wrong('has no X-Amz-Content-Sha256');
  if (body === 'too large')
    throw new Refusal('LIMIT_EXCEEDED', "the request's body is too large to check its signature", {
      advice: 'send X-Amz-Content-Sha256, or less at once',
    });
  const sha256 = body === undefined ? emptyHash : sha256Hex(body);
  return { text: sha256, payload: { kind: 'hash', sha256 } };
}

function decodedLength(fields: Fields): number {
  const text = only(fields, 'x-amz-decoded-content-length') ?? '';
  if (!/^\d{1,15}$/.test(text)) throw wrong('has chunks without X-Amz-Decoded-Content-Length');
  return Number(text);
}
