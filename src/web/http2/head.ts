import type { OutgoingHttpHeaders } from 'node:http2';
import { readAuthority } from '../../wire/http1/authority.ts';
import type { HttpLimits } from '../connection.ts';
import type { Fields, RequestHead, ResponseHead } from '../message.ts';

/** What a list of HTTP/2 fields says, or what is wrong with it. */
export type Read<T> = { readonly good: T } | { readonly wrong: string };

type HeadLimits = Pick<HttpLimits, 'headFields' | 'headBytes'>;

export interface RequestRead {
  readonly head: RequestHead;
  /** From Content-Length. That the body is as long, nghttp2 checks (RFC 9113 §8.1.1). */
  readonly length: number | undefined;
  /** The caller waits for 100 before it sends the body. */
  readonly expectsContinue: boolean;
}

/** Fields that belong to one connection of HTTP/1.1; a message with one of them is malformed (RFC 9113 §8.2.2). */
export const connectionFields: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Framing, routing, authentication and content may not be said behind the content (RFC 9110 §6.5.1). */
const neverTrailers: ReadonlySet<string> = new Set([
  ...connectionFields,
  'authorization',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'host',
  'max-forwards',
  'proxy-authenticate',
  'proxy-authorization',
  'range',
  'set-cookie',
  'te',
  'trailer',
  'www-authenticate',
]);

const methodForm = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
const nameForm = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
// Field content as RFC 9110 §5.5 has it, obs-text included, without blanks at its ends.
const valueForm = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
const pathForm = /^\/[\x21\x22\x24-\x7e]*$/;
const lengthForm = /^(?:0|[1-9][0-9]{0,15})$/;

/**
 * A request's fields as nghttp2 delivers them: name, value, name, value, …, pseudo-header fields first. It has refused what RFC 9113
 * §8 calls malformed, and left out fields with characters that may not be there: those reach nobody.
 */
export function readRequest(list: readonly string[], limits: HeadLimits): Read<RequestRead> {
  const pseudo = new Map<string, string>();
  const fields: string[] = [];
  let host: string | undefined;
  let length: number | undefined;
  let cookie = -1;
  let expectsContinue = false;
  if (tooMuch(list, limits)) return { wrong: 'too many or too large fields' };
  for (let index = 0; index < list.length; index += 2) {
    const name = list[index] as string;
    const value = list[index + 1] as string;
    if (name.startsWith(':')) {
      if (pseudo.has(name)) return { wrong: `several ${name} fields` };
      pseudo.set(name, value);
      continue;
    }
    const wrong = wrongField(name, value);
    if (wrong !== undefined) return { wrong };
    switch (name) {
      case 'host':
        if (host !== undefined) return { wrong: 'several host fields' };
        host = value;
        break;
      case 'content-length':
        if (length !== undefined || !lengthForm.test(value)) return { wrong: 'bad content-length' };
        length = Number(value);
        break;
      case 'te':
        if (value !== 'trailers') return { wrong: 'te may only say trailers' };
        break;
      case 'expect':
        if (value.toLowerCase() !== '100-continue') return { wrong: 'unknown expectation' };
        expectsContinue = true;
        break;
      case 'proxy-authorization':
        break; // For a proxy on the way here, not for us or anybody behind us.
      case 'cookie':
        // Cookies may come crumbled, for compression; anybody else has to see one field (RFC 9113 §8.2.3).
        if (cookie < 0) cookie = fields.push(name, value) - 1;
        else fields[cookie] += `; ${value}`;
        break;
      default:
        fields.push(name, value);
    }
  }
  const line = requestLine(pseudo, host);
  if ('wrong' in line) return line;
  const head: RequestHead = { version: '2', ...line.good, fields };
  return { good: { head, length, expectsContinue } };
}

type RequestLine = Pick<RequestHead, 'method' | 'target' | 'authority' | 'upgrade'>;

function requestLine(pseudo: ReadonlyMap<string, string>, host: string | undefined): Read<RequestLine> {
  for (const name of pseudo.keys()) if (!requestPseudo.has(name)) return { wrong: 'unknown pseudo-header field' };
  const method = pseudo.get(':method') ?? '';
  const protocol = pseudo.get(':protocol');
  const target = pseudo.get(':path') ?? '';
  const scheme = pseudo.get(':scheme');
  if (!methodForm.test(method)) return { wrong: 'bad :method' };
  if (method === 'CONNECT' && protocol === undefined) return { wrong: 'CONNECT is not available' };
  if (method !== 'CONNECT' && protocol !== undefined) return { wrong: ':protocol needs CONNECT' };
  if (scheme !== 'https' && scheme !== 'http') return { wrong: 'bad :scheme' };
  if (!pathForm.test(target) && !(target === '*' && method === 'OPTIONS')) return { wrong: 'bad :path' };
  const authority = readAuthority(pseudo.get(':authority') ?? host ?? '');
  if (authority === undefined) return { wrong: 'no well-formed :authority' };
  if (host !== undefined && host.toLowerCase() !== authority) return { wrong: ':authority and host differ' };
  if (protocol === undefined) return { good: { method, target, authority } };
  if (!methodForm.test(protocol)) return { wrong: 'bad :protocol' };
  // What an upgrade is in HTTP/1.1 (RFC 8441 §4), and there it is a GET.
  return { good: { method: 'GET', target, authority, upgrade: protocol.toLowerCase() } };
}

const requestPseudo: ReadonlySet<string> = new Set([':method', ':scheme', ':authority', ':path', ':protocol']);

/**
 * The fields of a response, an interim one or the final one. `ended` is whether nothing follows them; `bodiless` whether
 * the request was a HEAD.
 */
export function readResponse(
  list: readonly string[],
  limits: HeadLimits,
  { ended, bodiless }: { readonly ended: boolean; readonly bodiless: boolean },
): Read<ResponseHead> {
  if (tooMuch(list, limits)) return { wrong: 'too many or too large fields' };
  const fields: string[] = [];
  let status = 0;
  let length: number | undefined;
  for (let index = 0; index < list.length; index += 2) {
    const name = list[index] as string;
    const value = list[index + 1] as string;
    if (name === ':status') {
      if (status !== 0 || !/^[1-5][0-9][0-9]$/.test(value)) return { wrong: 'bad :status' };
      status = Number(value);
      continue;
    }
    const wrong = wrongField(name, value);
    if (wrong !== undefined) return { wrong };
    if (name !== 'content-length') fields.push(name, value);
    else if (length === undefined && lengthForm.test(value)) length = Number(value);
    else return { wrong: 'bad content-length' };
  }
  if (status === 0) return { wrong: 'no :status' };
  if (status === 204 || status < 200) return { good: { status, fields } };
  if (ended && !bodiless && status !== 304) length = 0;
  return { good: { status, fields, ...(length === undefined ? {} : { length }) } };
}

/** The fields behind a body. */
export function readTrailers(list: readonly string[], limits: HeadLimits): Read<Fields> {
  if (tooMuch(list, limits)) return { wrong: 'too many or too large trailer fields' };
  for (let index = 0; index < list.length; index += 2) {
    const name = list[index] as string;
    const wrong = wrongField(name, list[index + 1] as string);
    if (wrong !== undefined) return { wrong };
    if (neverTrailers.has(name)) return { wrong: `the field ${name} is no trailer` };
  }
  return { good: list };
}

/** nghttp2 ends a list at 64 KiB; the setting that says less is a word to the peer only (RFC 9113 §6.5.2, and its measure). */
function tooMuch(list: readonly string[], { headFields, headBytes }: HeadLimits): boolean {
  if (list.length > 2 * (headFields + 5)) return true;
  let bytes = 16 * list.length;
  for (const text of list) bytes += text.length;
  return bytes > headBytes;
}

function wrongField(name: string, value: string): string | undefined {
  if (!nameForm.test(name)) return 'bad field name';
  if (connectionFields.has(name)) return `the field ${name} is not for HTTP/2`;
  if (!valueForm.test(value)) return `bad value of ${name}`;
  return undefined;
}

/**
 * Fields as node:http2 takes them: by name, several of one name in their order. What may not be sent in HTTP/2 is left out, and so is
 * `but`. Throws TypeError for a name or value that could break out of its place: whoever made the fields has a bug.
 */
export function grouped(fields: Fields, but?: ReadonlySet<string>): OutgoingHttpHeaders {
  const result: Record<string, string | string[]> = Object.create(null);
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    const value = fields[index + 1] as string;
    if (connectionFields.has(name) || name === 'te' || but?.has(name)) continue;
    if (!nameForm.test(name) || !valueForm.test(value))
      throw new TypeError(`a field that cannot be sent: ${JSON.stringify(name)}`);
    const before = result[name];
    if (before === undefined) result[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else result[name] = [before, value];
  }
  return result;
}
