import { PeerError } from '../../model/errors.ts';
import type { ObjectFormat } from './push.ts';
import type { Service } from './repository.ts';

/**
 * Capabilities that this room understands (gitprotocol-capabilities, gitprotocol-v2). The others are taken out of what a server
 * offers, so that client and server never agree on something that cannot be seen here.
 *
 * Left out on purpose: `no-done` (a fetch that is held needs a last request that is known as the last), `push-cert` (a signed push
 * certificate covers updates that may be refused one by one), `session-id`, `sideband-all`, `packfile-uris`, `bundle-uri`,
 * `server-option` (words between client and server that nobody can classify).
 */
const offered: Readonly<Record<Service, ReadonlySet<string>>> = {
  'git-upload-pack': new Set([
    'multi_ack',
    'multi_ack_detailed',
    'thin-pack',
    'side-band',
    'side-band-64k',
    'ofs-delta',
    'shallow',
    'deepen-since',
    'deepen-not',
    'deepen-relative',
    'no-progress',
    'include-tag',
    'filter',
    'allow-tip-sha1-in-want',
    'allow-reachable-sha1-in-want',
    'symref',
    'object-format',
    'agent',
  ]),
  'git-receive-pack': new Set([
    'report-status',
    'report-status-v2',
    'delete-refs',
    'quiet',
    'atomic',
    'ofs-delta',
    'side-band-64k',
    'push-options',
    'object-format',
    'agent',
  ]),
};

/** What a client may choose although it is not offered in these words. */
const chosen = new Set(['agent', 'object-format']);

export interface Capability {
  readonly name: string;
  readonly value: string | undefined;
}

export function parseCapabilities(text: string): Capability[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => {
      const at = word.indexOf('=');
      return at < 0 ? { name: word, value: undefined } : { name: word.slice(0, at), value: word.slice(at + 1) };
    });
}

export function formatCapabilities(capabilities: readonly Capability[]): string {
  return capabilities.map(({ name, value }) => (value === undefined ? name : `${name}=${value}`)).join(' ');
}

/** What the client talks to is the gateway; a server's version is nobody's business. */
const ourAgent: Capability = { name: 'agent', value: 'git/sallyport' };

/** What of a server's offer the client gets to see. `keep` decides on what depends on the caller (a symbolic ref's target). */
export function understood(
  service: Service,
  capabilities: readonly Capability[],
  keep: (capability: Capability) => boolean = () => true,
): Capability[] {
  return capabilities
    .filter((capability) => offered[service].has(capability.name) && keep(capability))
    .map((capability) => (capability.name === 'agent' ? ourAgent : capability));
}

/** What a client chose (protocol v0, v1), checked: nothing but what can have been offered to it. Throws PeerError. */
export function choice(service: Service, text: string): ReadonlyMap<string, string | undefined> {
  const choices = new Map<string, string | undefined>();
  for (const { name, value } of parseCapabilities(text)) {
    if (!offered[service].has(name) && !chosen.has(name)) {
      throw new PeerError('CLIENT_PROTOCOL', `the capability ${name.slice(0, 40)} was not offered`);
    }
    choices.set(name, value);
  }
  return choices;
}

/** Objects are named by SHA-1 where nobody says otherwise. Throws PeerError for a format that is none. */
export function objectFormatOf(value: string | undefined, peer: PeerError['kind']): ObjectFormat {
  if (value === undefined || value === 'sha1') return 'sha1';
  if (value === 'sha256') return 'sha256';
  throw new PeerError(peer, 'an object format that is not known');
}

/** Features of commands in a v2 offer that are understood; a command that is not a key here is taken out. */
const v2Commands: Readonly<Record<string, ReadonlySet<string>>> = {
  'ls-refs': new Set(['unborn']),
  fetch: new Set(['shallow', 'filter', 'ref-in-want', 'wait-for-done']),
};

/** One line of a server's v2 offer as the client may see it; undefined where it may not. */
export function understoodV2({ name, value }: Capability): Capability | undefined {
  if (name === 'agent') return ourAgent;
  if (name === 'object-format') return { name, value };
  const features = Object.hasOwn(v2Commands, name) ? v2Commands[name] : undefined;
  if (features === undefined) return undefined;
  const kept = (value ?? '').split(' ').filter((feature) => features.has(feature));
  return { name, value: kept.length === 0 ? undefined : kept.join(' ') };
}
