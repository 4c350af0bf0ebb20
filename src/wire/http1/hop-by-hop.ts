import { BadMessage } from './bad-message.ts';
import { isToken } from './characters.ts';

/** What a field means to the connection itself. 0: nothing, it goes on to the other end. */
export const meaning = {
  endToEnd: 0,
  dropped: 1,
  host: 2,
  length: 3,
  coding: 4,
  connection: 5,
  upgrade: 6,
  expect: 7,
} as const;

/** Of a name in lower case. By its length first: this is asked for every field of every message. */
export function meaningOf(name: string): number {
  switch (name.length) {
    case 2:
      return name === 'te' ? meaning.dropped : 0;
    case 4:
      return name === 'host' ? meaning.host : 0;
    case 6:
      return name === 'expect' ? meaning.expect : 0;
    case 7:
      return name === 'upgrade' ? meaning.upgrade : 0;
    case 10:
      if (name === 'connection') return meaning.connection;
      return name === 'keep-alive' ? meaning.dropped : 0;
    case 14:
      if (name === 'content-length') return meaning.length;
      return name === 'http2-settings' ? meaning.dropped : 0;
    case 16:
      return name === 'proxy-connection' ? meaning.dropped : 0;
    case 17:
      return name === 'transfer-encoding' ? meaning.coding : 0;
    case 18:
      return name === 'proxy-authenticate' ? meaning.dropped : 0;
    case 19:
      return name === 'proxy-authorization' ? meaning.dropped : 0;
    default:
      return 0;
  }
}

/** What a `Connection` field says (RFC 9110 §7.6.1). */
export interface ConnectionOptions {
  readonly close: boolean;
  readonly keepAlive: boolean;
  readonly upgrade: boolean;
  /** Names of fields that end with this connection and are not so by their nature. */
  readonly names: readonly string[];
}

const nothing: ConnectionOptions = { close: false, keepAlive: false, upgrade: false, names: [] };
const keepAliveOnly: ConnectionOptions = { ...nothing, keepAlive: true };
const closeOnly: ConnectionOptions = { ...nothing, close: true };

/**
 * Reads the `Connection` fields of a message, joined. Throws BadMessage where one names a field that belongs to both ends: who
 * writes that wants something removed on the way that the next one relies on. `tolerated` are excepted.
 */
export function connectionOptions(value: string | undefined, tolerated?: string): ConnectionOptions {
  if (value === undefined) return nothing;
  if (value === 'keep-alive' || value === 'Keep-Alive') return keepAliveOnly;
  if (value === 'close') return closeOnly;
  let [close, keepAlive, upgrade] = [false, false, false];
  const names: string[] = [];
  for (const part of value.split(',')) {
    const option = part.replace(/^[ \t]+|[ \t]+$/g, '').toLowerCase();
    if (option === '') continue;
    if (!isToken(option)) throw new BadMessage('a Connection field that is not a list of names');
    if (option === 'close') close = true;
    else if (option === 'keep-alive') keepAlive = true;
    else if (option === 'upgrade') upgrade = true;
    else if (belongsToBothEnds(option) && option !== tolerated)
      throw new BadMessage('a Connection field names a field that is not the connection’s');
    else names.push(option);
  }
  return { close, keepAlive, upgrade, names };
}

const families = ['accept', 'access-control-', 'content-', 'if-', 'sec-', 'x-forwarded-', 'x-amz-', 'x-goog-'];
const bothEnds: ReadonlySet<string> = new Set(
  `age allow authorization cache-control cookie cookie2 date etag expect expires forwarded from host last-modified location
   max-forwards origin pragma range referer retry-after server set-cookie strict-transport-security transfer-encoding user-agent
   vary via www-authenticate x-api-key x-real-ip`.split(/\s+/),
);

function belongsToBothEnds(name: string): boolean {
  return bothEnds.has(name) || families.some((family) => name.startsWith(family));
}

/** The fields without those that a `Connection` field names. */
export function withoutNamed(fields: string[], names: readonly string[]): string[] {
  if (names.length === 0) return fields;
  const gone = new Set(names);
  const kept: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    if (!gone.has(fields[index] as string)) kept.push(fields[index] as string, fields[index + 1] as string);
  }
  return kept;
}
