import { readAuthority } from './authority.ts';
import { BadMessage } from './bad-message.ts';
import { cr, lf, space, targetClass, tokenClass } from './characters.ts';
import { connectionOptions, withoutNamed } from './hop-by-hop.ts';
import type { HeadLimits } from './limits.ts';
import { contentLength, type HeadFields, readFields } from './read-fields.ts';

/** A request's head, as it was read. */
export interface Http1Request {
  readonly version: '1.0' | '1.1';
  readonly method: string;
  /** Origin-form, or `*`. */
  readonly target: string;
  /** In lower case. */
  readonly authority: string;
  /** What goes on to the target. */
  readonly fields: string[];
  /** What the caller would like to switch to, one protocol, in lower case. */
  readonly upgrade: string | undefined;
  /** Bytes of the body; undefined where it comes in chunks. */
  readonly length: number | undefined;
  /** Whether the connection may go on afterwards. */
  readonly keepAlive: boolean;
  /** The caller waits for 100 before it sends the body. */
  readonly expectsContinue: boolean;
}

/**
 * Reads the head that begins at `start` and whose blank line begins at `end` (see Inbox.headEnd). RFC 9112, and narrower wherever it
 * leaves a choice. `scheme` is what the connection is, for a target in absolute-form. Throws BadMessage.
 */
export function readRequestHead(
  bytes: Buffer,
  start: number,
  end: number,
  scheme: 'http' | 'https',
  limits: HeadLimits,
): Http1Request {
  // One empty line before a request is let pass (RFC 9112 §2.2).
  const from = bytes[start] === cr && bytes[start + 1] === lf ? start + 2 : start;
  const to = end + 2;
  const text = bytes.toString('latin1', from, to);
  let position = from;
  while ((tokenClass[bytes[position] as number] as number) > 0) position++;
  const method = text.substring(0, position - from);
  if (method === '' || method.length > 64 || bytes[position] !== space) throw new BadMessage('not a request line');
  const targetStart = ++position;
  while (targetClass[bytes[position] as number] === 1) position++;
  const target = text.substring(targetStart - from, position - from);
  if (target === '' || bytes[position] !== space) throw new BadMessage('not a request target');
  const version = versionOf(text.substr(position + 1 - from, 10));
  const fields = readFields(bytes, text, from, position + 11, to, limits.headFields);
  return request(method, target, version, scheme, fields);
}

function versionOf(text: string): '1.0' | '1.1' {
  if (text === 'HTTP/1.1\r\n') return '1.1';
  if (text === 'HTTP/1.0\r\n') return '1.0';
  if (/^HTTP\/[0-9]\.[0-9]\r\n$/.test(text)) throw new BadMessage('not HTTP/1', 505);
  throw new BadMessage('not a request line');
}

function request(
  method: string,
  target: string,
  version: '1.0' | '1.1',
  scheme: 'http' | 'https',
  head: HeadFields,
): Http1Request {
  if (head.host === undefined) throw new BadMessage('no Host field');
  const authority = readAuthority(head.host);
  if (authority === undefined) throw new BadMessage('a Host field that is not one host');
  const options = connectionOptions(head.connection);
  const length = bodyLength(version, head);
  const upgrade = version === '1.1' && length === 0 ? upgradeOf(head.upgrade) : undefined;
  // Who takes an upgrade that we pass over for granted speaks something else from here on.
  const passedOver = options.upgrade && upgrade === undefined;
  return {
    version,
    method,
    target: originForm(method, target, scheme, authority),
    authority,
    fields: withoutNamed(head.passed, options.names),
    upgrade: options.upgrade ? upgrade : undefined,
    length,
    keepAlive: version === '1.1' && !options.close && !passedOver,
    expectsContinue: expectation(head.expect) && version === '1.1' && length !== 0,
  };
}

/** Bytes of the body, undefined for chunks (RFC 9112 §6.3, and nothing that a reader before or behind us could take otherwise). */
function bodyLength(version: '1.0' | '1.1', head: HeadFields): number | undefined {
  if (head.coding !== undefined) {
    if (head.length !== undefined) throw new BadMessage('both Transfer-Encoding and Content-Length');
    if (version === '1.0') throw new BadMessage('Transfer-Encoding in HTTP/1.0');
    if (head.coding !== 'chunked') throw new BadMessage('a Transfer-Encoding other than chunked', 501);
    return undefined;
  }
  return head.length === undefined ? 0 : contentLength(head.length);
}

function originForm(method: string, target: string, scheme: string, authority: string): string {
  if (method === 'CONNECT') throw new BadMessage('CONNECT is not available');
  if (target.charCodeAt(0) === 47) return target;
  if (target === '*') {
    if (method === 'OPTIONS') return target;
    throw new BadMessage('* is for OPTIONS');
  }
  // Absolute-form says again what Host says, or it is a way round it.
  const prefix = `${scheme}://${authority}`;
  const rest = target.slice(prefix.length);
  const same = target.slice(0, prefix.length).toLowerCase() === prefix;
  if (!same || !/^(?:[/?]|$)/.test(rest)) throw new BadMessage('a target that is not a path on the named host');
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/**
 * The one protocol that is asked for. A list is passed over, which is a server's right, and so is h2c: HTTP/2 begun inside a request
 * would be a way past everything that looks at requests.
 */
function upgradeOf(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const name = value.toLowerCase();
  return /^[a-z0-9!#$%&'*+.^_`|~-]+(?:\/[a-z0-9!#$%&'*+.^_`|~-]+)?$/.test(name) && name !== 'h2c' ? name : undefined;
}

function expectation(value: string | undefined): boolean {
  if (value === undefined) return false;
  if (value.toLowerCase() !== '100-continue') throw new BadMessage('an expectation other than 100-continue', 417);
  return true;
}
