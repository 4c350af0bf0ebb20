import { BlockList, isIPv4, isIPv6 } from 'node:net';

/**
 * Where an address leads. `never`: nothing of ours is there, or something that answers with credentials to whoever asks
 * (link-local, the metadata services of clouds), or nobody can say (translated and tunnelled forms of those).
 */
export type Reach = 'public' | 'internal' | 'loopback' | 'never';

/** The host of a target as the configuration has it. */
export type Host =
  | { readonly kind: 'address'; readonly address: string; readonly reach: Reach }
  | { readonly kind: 'name'; readonly name: string };

/**
 * Reads a host: an IPv4 address of four decimal numbers, an IPv6 address with or without brackets, or a name. Undefined for
 * every other spelling of an address (`127.1`, `0x7f000001`, `2130706433`, `0177.0.0.1`, zone ids), which different programs read
 * differently, and for names that lead to metadata services.
 */
export function readHost(text: string): Host | undefined {
  const bare = /^\[[0-9A-Fa-f:.]+\]$/.test(text) ? text.slice(1, -1) : text;
  if (bare !== text && !isIPv6(bare)) return undefined;
  if (isIPv4(bare) || (isIPv6(bare) && !bare.includes('%'))) {
    return { kind: 'address', address: bare, reach: reachOf(bare) };
  }
  const name = text.toLowerCase().replace(/\.$/, '');
  if (!nameForm.test(name) || metadataNames.has(name)) return undefined;
  // A name that ends in a number is an address to some (URL Standard, “ends in a number checker”).
  if (/(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(name)) return undefined;
  return { kind: 'name', name };
}

const nameForm = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*$/;
const metadataNames: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
  'metadata.tencentyun.com',
  'metadata.platformequinix.com',
]);

/**
 * Whether a connection for `host` may go to `address`, a numeric one that `host` stands for. `internal` is the operator's word that
 * the target is inside; without it only an address written as such, and `localhost`, may lead there.
 */
export function mayConnect(host: Host, address: string, internal: boolean): boolean {
  const reach = reachOf(address);
  if (reach === 'never') return false;
  if (reach === 'public' || internal) return true;
  if (host.kind === 'address') return host.address === address;
  return reach === 'loopback' && host.name === 'localhost';
}

/** Of a numeric address, as a resolver or a socket gives it; `never` for what is none. */
export function reachOf(address: string): Reach {
  if (isIPv4(address)) return reachOf4(address);
  if (!isIPv6(address) || address.includes('%')) return 'never';
  const words = wordsOf(address);
  const embedded = embeddedIn(words);
  if (embedded === 'never') return 'never';
  if (embedded !== undefined) return reachOf4(embedded);
  if (never.check(address, 'ipv6')) return 'never';
  if (loopback.check(address, 'ipv6')) return 'loopback';
  if (internal.check(address, 'ipv6')) return 'internal';
  // The only unicast space in use (RFC 4291 §2.4; IANA, “IPv6 Address Space”).
  return (words[0]! & 0xe000) === 0x2000 ? 'public' : 'never';
}

function reachOf4(address: string): Reach {
  if (never.check(address)) return 'never';
  if (loopback.check(address)) return 'loopback';
  return internal.check(address) ? 'internal' : 'public';
}

/** The IPv4 address that an IPv6 address stands for; `never` where translators disagree about what it stands for. */
function embeddedIn(words: readonly number[]): string | 'never' | undefined {
  const [a, b, c, d, e, f, g, h] = words as [number, number, number, number, number, number, number, number];
  const zeroes = a === 0 && b === 0 && c === 0 && d === 0;
  if (zeroes && e === 0 && f === 0xffff) return dotted(g, h); // IPv4-mapped (RFC 4291 §2.5.5.2)
  if (zeroes && e === 0xffff && f === 0) return 'never'; // IPv4-translated (RFC 2765)
  if (zeroes && e === 0 && f === 0 && (g !== 0 || h > 1)) return 'never'; // IPv4-compatible (RFC 4291 §2.5.5.1)
  // NAT64 (RFC 6052): what is behind the translator is for it to say, except that the well-known prefix has a fixed place.
  if (a === 0x64 && b === 0xff9b) return c === 0 && d === 0 && e === 0 && f === 0 ? publicOrNever(g, h) : 'never';
  if (a === 0x2002) return publicOrNever(b, c); // 6to4 (RFC 3056)
  if (a === 0x2001 && b === 0) return 'never'; // Teredo (RFC 4380)
  if ((e & 0xfdff) === 0 && f === 0x5efe && reachOf4(dotted(g, h)) !== 'public') return 'never'; // ISATAP (RFC 5214)
  return undefined;
}

function publicOrNever(high: number, low: number): string | 'never' {
  const address = dotted(high, low);
  return reachOf4(address) === 'public' ? address : 'never';
}

function dotted(high: number, low: number): string {
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** The eight words of a valid IPv6 address. */
function wordsOf(address: string): readonly number[] {
  const hex = address.replace(/\d+\.\d+\.\d+\.\d+$/, (text) => {
    const [a, b, c, d] = text.split('.').map(Number) as [number, number, number, number];
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [front = '', back] = hex.split('::');
  const read = (text: string) => (text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16)));
  if (back === undefined) return read(front);
  const [before, after] = [read(front), read(back)];
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function list(...subnets: readonly string[]): BlockList {
  const result = new BlockList();
  for (const subnet of subnets) {
    const [address, bits] = subnet.split('/') as [string, string];
    result.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4');
  }
  return result;
}

/** IANA special-purpose registries (RFC 6890), and the metadata services of clouds. */
const never = list(
  '0.0.0.0/8', // this network
  '169.254.0.0/16', // link-local: metadata of most clouds
  '100.100.100.200/32', // metadata, Alibaba Cloud
  '168.63.129.16/32', // wire server, Azure
  '192.0.0.0/24', // protocol assignments; 192.0.0.192 is metadata, Oracle Cloud
  '192.88.99.0/24', // 6to4 relays
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
  '::/128',
  '100::/64', // discard
  'fe80::/10', // link-local
  'fec0::/10', // site-local, abandoned
  'ff00::/8', // multicast
  'fd00:ec2::/32', // metadata and other services of the instance, AWS
  'fd20:ce::254/128', // metadata, Google Cloud
);
const loopback = list('127.0.0.0/8', '::1/128');
const internal = list(
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10', // carriers' own
  '198.18.0.0/15', // benchmarks
  'fc00::/7',
);
