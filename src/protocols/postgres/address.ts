import { BlockList, isIP } from 'node:net';

/** Where a server listens. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** `host`, `host:port`, `[::1]:port` or the absolute path of a Unix socket; undefined for anything else. The port is 5432 unless given. */
export function parseAddress(text: string): Address | undefined {
  if (text.startsWith('/')) return text.includes('\0') ? undefined : { kind: 'unix', path: text };
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || (match?.[1] !== undefined && isIP(host) !== 6)) return undefined;
  const port = match?.[3] === undefined ? 5432 : Number(match[3]);
  return port >= 1 && port <= 65_535 ? { kind: 'tcp', host, port } : undefined;
}

/** As people write it, for messages. */
export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return address.path;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether a numeric address, as a socket reports its peer, is this machine's own. */
export function isLoopback(numeric: string): boolean {
  const plain = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(numeric)?.[1] ?? numeric;
  const family = isIP(plain);
  return family !== 0 && loopback.check(plain, family === 6 ? 'ipv6' : 'ipv4');
}

/** Whether the configuration alone shows that traffic stays on this machine. */
export function staysHere(address: Address): boolean {
  return address.kind === 'unix' || address.host === 'localhost' || isLoopback(address.host);
}
