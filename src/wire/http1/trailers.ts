import { BadMessage } from './bad-message.ts';
import { cr, lf } from './characters.ts';
import type { Inbox } from './inbox.ts';
import type { HeadLimits } from './limits.ts';
import { readFields } from './read-fields.ts';

/** The trailer section of one message, bytes and fields, and never more than a head. */
const mostBytes = 8 * 1024;
const mostFields = 50;

/**
 * Takes a trailer section (RFC 9112 §7.1.2) with the empty line that ends it. Undefined while it has not come whole. Throws BadMessage, for a
 * name too that would change how the message was understood (RFC 9110 §6.5.1).
 */
export function readTrailers(inbox: Inbox, limits: HeadLimits): string[] | undefined {
  const { bytes, start } = inbox;
  if (inbox.length < 2) return undefined;
  if (bytes[start] === cr && bytes[start + 1] === lf) {
    inbox.skipTo(start + 2);
    return [];
  }
  const end = inbox.headEnd(Math.min(mostBytes, limits.headBytes));
  if (end === -1) return undefined;
  const text = bytes.toString('latin1', start, end + 2);
  const fields = readFields(bytes, text, start, start, end + 2, Math.min(mostFields, limits.headFields));
  const taken = fields.host ?? fields.length ?? fields.coding ?? fields.connection ?? fields.upgrade ?? fields.expect;
  const { passed } = fields;
  const forbidden = passed.some((name, index) => index % 2 === 0 && !isTrailer(name));
  if (taken !== undefined || forbidden) throw new BadMessage('a trailer that belongs into the head');
  inbox.skipTo(end + 4);
  return passed;
}

/** Whether a field of this name, in lower case, may come after the body. */
export function isTrailer(name: string): boolean {
  return !notTrailers.has(name) && !name.startsWith('if-') && !name.startsWith('access-control-');
}

// Framing, routing, conditions, credentials, and what says how the body is to be read.
const notTrailers: ReadonlySet<string> = new Set(
  `accept-encoding age authorization cache-control connection content-disposition content-encoding content-length content-location
   content-range content-security-policy content-type cookie cookie2 date expect expires forwarded host http2-settings keep-alive
   location max-forwards pragma proxy-authenticate proxy-authorization proxy-connection range retry-after set-cookie set-cookie2
   strict-transport-security te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate
   x-forwarded-for x-forwarded-host x-forwarded-proto x-real-ip x-api-key`.split(/\s+/),
);
