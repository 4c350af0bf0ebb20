import { createHash, createHmac } from 'node:crypto';
import { type Fields, field } from '../../../../web/message.ts';

/** Signature Version 4, “Create a signed AWS API request”: what is signed, and the key it is signed with. */

export const algorithm = 'AWS4-HMAC-SHA256';

export const emptyHash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** `20130524/us-east-1/s3/aws4_request` in its parts. */
export interface Scope {
  /** YYYYMMDD. */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

export interface Signable {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly authority: string;
  readonly fields: Fields;
}

export function scopeText({ date, region, service }: Scope): string {
  return `${date}/${region}/${service}/aws4_request`;
}

export function sha256Hex(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex');
}

export function signingKey(secret: string, { date, region, service }: Scope): Buffer {
  return ['aws4_request', service, region, date].reduceRight<Buffer | string>(
    (key, part) => hmac(key, part),
    `AWS4${secret}`,
  ) as Buffer;
}

export function hmac(key: Buffer | string, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

/** `path` is the canonical URI: see `canonicalPaths`. */
export function canonicalRequest(
  request: Signable,
  path: string,
  signedNames: readonly string[],
  payload: string,
): string {
  const headers = signedNames.map((name) => `${name}:${canonicalValue(request, name)}\n`).join('');
  return [request.method, path, canonicalQuery(request.target), headers, signedNames.join(';'), payload].join('\n');
}

export function stringToSign(time: string, scope: Scope, canonical: string): string {
  return `${algorithm}\n${time}\n${scopeText(scope)}\n${sha256Hex(canonical)}`;
}

function canonicalValue(request: Signable, name: string): string {
  if (name === 'host') return request.authority;
  const values: string[] = [];
  for (let index = 0; index < request.fields.length; index += 2) {
    if (request.fields[index] === name)
      values.push((request.fields[index + 1] as string).trim().replaceAll(/ {2,}/g, ' '));
  }
  return values.join(',');
}

/**
 * The canonical URIs that a path can have, the one to sign with first. S3 encodes the decoded path once; clients sign the path as they send it, which is the same for plain
 * ones. Every other service encodes the sent path again.
 */
export function canonicalPaths(target: string, service: string): readonly string[] {
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  if (service !== 's3') return [encodePath(Buffer.from(path, 'latin1'))];
  const decoded = encodePath(percentDecoded(path));
  return decoded === path ? [path] : [decoded, path];
}

function canonicalQuery(target: string): string {
  const mark = target.indexOf('?');
  if (mark < 0) return '';
  return target
    .slice(mark + 1)
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=');
      const [name, value] = equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
      return [uriEncode(percentDecoded(name)), uriEncode(percentDecoded(value))] as const;
    })
    .toSorted(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function percentDecoded(text: string): Buffer {
  return Buffer.from(
    text.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
}

const encodings = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return /[A-Za-z0-9_.~-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
});

function uriEncode(bytes: Buffer): string {
  let text = '';
  for (const byte of bytes) text += encodings[byte];
  return text;
}

function encodePath(bytes: Buffer): string {
  return uriEncode(bytes).replaceAll('%2F', '/');
}

/** `20130524T000000Z`. */
export function amzDate(now: number): string {
  return `${new Date(now).toISOString().replaceAll(/[-:]/g, '').slice(0, 15)}Z`;
}

/** ms since the epoch; undefined for what is no such date. */
export function parseAmzDate(text: string | undefined): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text ?? '');
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}

/** What a request says its payload is: a hash, or one of the names below. */
export function declaredPayload(fields: Fields): string | undefined {
  return field(fields, 'x-amz-content-sha256');
}
