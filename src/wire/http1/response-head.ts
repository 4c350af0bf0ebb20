import { BadMessage } from './bad-message.ts';
import { cr, lf, space, valueClass } from './characters.ts';
import { connectionOptions, withoutNamed } from './hop-by-hop.ts';
import type { HeadLimits } from './limits.ts';
import { contentLength, type HeadFields, readFields } from './read-fields.ts';

/** How long a response's body is: bytes, in chunks, or until the connection closes. */
export type ResponseLength = number | 'chunked' | 'close';

/** A response's head, as it was read. */
export interface Http1Response {
  readonly status: number;
  /** What goes on to the caller. */
  readonly fields: string[];
  readonly length: ResponseLength;
  /** Content-Length as it was sent, also where no body follows. */
  readonly declared: number | undefined;
  /** Whether the connection may go on afterwards. */
  readonly keepAlive: boolean;
  /** The protocol of a 101, in lower case. */
  readonly upgrade: string | undefined;
}

/**
 * Reads the head of the response to a `method` request that begins at `start` and whose blank line begins at `end` (see Inbox.headEnd).
 * Throws BadMessage, for everything too that another reader of the same bytes could see as a different message.
 */
export function readResponseHead(
  bytes: Buffer,
  start: number,
  end: number,
  method: string,
  limits: HeadLimits,
): Http1Response {
  const to = end + 2;
  const text = bytes.toString('latin1', start, to);
  const line = /^HTTP\/1\.([01]) ([1-5][0-9][0-9])(?=[ \r])/.exec(text.substring(0, 13));
  if (line === null) throw new BadMessage('not a status line');
  let position = start + 12;
  if (bytes[position] === space) while (valueClass[bytes[position] as number] === 1) position++;
  if (bytes[position] !== cr || bytes[position + 1] !== lf)
    throw new BadMessage('a control character in a status line');
  const fields = readFields(bytes, text, start, position + 2, to, limits.headFields);
  return response(line[1] === '1', Number(line[2]), method, fields);
}

function response(is11: boolean, status: number, method: string, head: HeadFields): Http1Response {
  // Some servers call their own framing a matter of the connection, which it is.
  const options = connectionOptions(head.connection, 'transfer-encoding');
  const declared = head.length === undefined ? undefined : contentLength(head.length);
  return {
    status,
    fields: withoutNamed(head.passed, options.names),
    length: bodyLength(is11, status, method, head, declared),
    declared,
    keepAlive: is11 && !options.close,
    upgrade: status === 101 && options.upgrade ? head.upgrade?.toLowerCase() : undefined,
  };
}

/** RFC 9112 §6.3. */
function bodyLength(
  is11: boolean,
  status: number,
  method: string,
  head: HeadFields,
  declared: number | undefined,
): ResponseLength {
  const { coding } = head;
  if (coding !== undefined) {
    if (declared !== undefined) throw new BadMessage('both Transfer-Encoding and Content-Length');
    if (!is11) throw new BadMessage('Transfer-Encoding in HTTP/1.0');
    if (coding.toLowerCase() !== 'chunked') throw new BadMessage('a Transfer-Encoding other than chunked');
  }
  if (status < 200 || status === 204) {
    if (coding !== undefined || (declared ?? 0) !== 0) throw new BadMessage('a body where none can be');
    return 0;
  }
  if (status === 304 || method === 'HEAD') return 0;
  return declared ?? (coding === undefined ? 'close' : 'chunked');
}
