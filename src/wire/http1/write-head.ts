import { STATUS_CODES } from 'node:http';
import { isFieldValue, isTarget, isToken } from './characters.ts';
import { meaning, meaningOf } from './hop-by-hop.ts';
import { isTrailer } from './trailers.ts';

/**
 * Heads as they go out, as text to be written as latin1. Each function throws TypeError rather than write a name, value or target that
 * could be read as more than itself. Fields that are the connection's are left out: framing is written here alone.
 */

export type Framing = number | 'chunked' | 'none';

export interface RequestHeadOut {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly fields: readonly string[];
  readonly upgrade?: string | undefined;
}

/** `none` writes no length: there is no body. */
export function writeRequestHead(request: RequestHeadOut, framing: Framing): string {
  const { method, target, authority, upgrade } = request;
  if (!isToken(method) || method === 'CONNECT') throw new TypeError('not a method that can be sent');
  if (!isTarget(target)) throw new TypeError('not a target that can be sent');
  if (authority === '' || !isTarget(authority)) throw new TypeError('not a host that can be sent');
  const fields = fieldLines(request.fields);
  return `${method} ${target} HTTP/1.1\r\nhost: ${authority}\r\n${fields}${switching(upgrade)}${framingLine(framing)}\r\n`;
}

/** `close` says that the connection ends with this response. */
export function writeResponseHead(
  status: number,
  fields: readonly string[],
  framing: Framing,
  close: boolean,
  upgrade?: string,
): string {
  const connection = close ? 'connection: close\r\n' : switching(upgrade);
  return `${statusLine(status)}${fieldLines(fields)}${connection}${framingLine(framing)}\r\n`;
}

/** The end of a chunked body: the last chunk and the trailers that may be there. */
export function writeLastChunk(trailers: readonly string[]): string {
  if (trailers.length === 0) return '0\r\n\r\n';
  const allowed: string[] = [];
  for (let index = 0; index < trailers.length; index += 2) {
    if (isTrailer(trailers[index] as string)) allowed.push(trailers[index] as string, trailers[index + 1] as string);
  }
  return `0\r\n${fieldLines(allowed)}\r\n`;
}

function statusLine(status: number): string {
  if (!Number.isInteger(status) || status < 100 || status > 599) throw new TypeError('not a status that can be sent');
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
}

function fieldLines(fields: readonly string[]): string {
  let lines = '';
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    const value = fields[index + 1] as string;
    if (meaningOf(name) !== meaning.endToEnd) continue;
    if (!isToken(name)) throw new TypeError('not a field name that can be sent');
    if (!isFieldValue(value)) throw new TypeError(`the field ${name} holds what cannot be sent`);
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

function framingLine(framing: Framing): string {
  if (framing === 'none') return '';
  if (framing === 'chunked') return 'transfer-encoding: chunked\r\n';
  if (!Number.isSafeInteger(framing) || framing < 0) throw new TypeError('not a length that can be sent');
  return `content-length: ${framing}\r\n`;
}

function switching(upgrade: string | undefined): string {
  if (upgrade === undefined) return '';
  if (!isFieldValue(upgrade)) throw new TypeError('not a protocol that can be sent');
  return `connection: Upgrade\r\nupgrade: ${upgrade}\r\n`;
}
