import { type OutgoingHttpHeaders, sensitiveHeaders } from 'node:http2';
import type { OutgoingRequest } from '../connection.ts';
import { grouped } from './head.ts';

const ofTheConnection: ReadonlySet<string> = new Set(['host', 'content-length']);
/** A stream is its own handshake (RFC 8441 §5). */
const ofAnUpgrade: ReadonlySet<string> = new Set([...ofTheConnection, 'sec-websocket-key']);
/** Methods for which no length does not mean length 0. */
const usuallyBodiless: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE', 'TRACE']);

/** A request's fields, pseudo-header fields included. Throws TypeError for what cannot be sent. */
export function requestFields(request: OutgoingRequest): OutgoingHttpHeaders {
  const { method, target, authority, scheme, upgrade, body } = request;
  const fields = grouped(request.fields, upgrade === undefined ? ofTheConnection : ofAnUpgrade);
  for (const text of [method, target, authority]) {
    if (!/^[\x21-\x7e]+$/.test(text)) throw new TypeError('a request line that cannot be sent');
  }
  fields[':method'] = upgrade === undefined ? method : 'CONNECT';
  fields[':scheme'] = scheme;
  fields[':authority'] = authority;
  fields[':path'] = target;
  if (upgrade !== undefined) {
    fields[':protocol'] = upgrade;
    return withoutIndex(fields);
  }
  // Trailers are always welcome; gRPC asks for this word.
  fields.te = 'trailers';
  if (body.length !== undefined && (body.length > 0 || !usuallyBodiless.has(method))) {
    fields['content-length'] = String(body.length);
  }
  return withoutIndex(fields);
}

/** Credentials do not go into the compression's memory (RFC 7541 §7.1.3). */
function withoutIndex(fields: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const secret = ['authorization', 'cookie', 'x-api-key', 'x-amz-security-token'].filter((name) => name in fields);
  if (secret.length > 0) Object.assign(fields, { [sensitiveHeaders]: secret });
  return fields;
}
