import { isIPv6 } from 'node:net';

/**
 * A Host value in lower case: a name or address, and a port where there is one. Undefined where it is anything else: empty, a
 * list, with user information, percent-encoded, or with an empty port (RFC 9110 §7.2, narrower).
 */
export function readAuthority(value: string): string | undefined {
  const found = value.length > 262 ? null : /^(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z_.-]+)(?::([0-9]{1,5}))?$/.exec(value);
  if (found === null) return undefined;
  const host = found[1] as string;
  if (host.startsWith('[') && !isIPv6(host.slice(1, -1))) return undefined;
  if (host.startsWith('.') || host.includes('..')) return undefined;
  const port = found[2];
  if (port !== undefined && (Number(port) > 65535 || port.startsWith('0'))) return undefined;
  return value.toLowerCase();
}
