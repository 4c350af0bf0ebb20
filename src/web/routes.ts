import type { Gateway } from '../gateway/protocol.ts';
import { Refusal } from '../model/errors.ts';
import type { RequestHead } from './message.ts';
import type { WebProtocol } from './protocol.ts';

export interface Destination {
  readonly protocol: WebProtocol;
  /** As the path or the host name says; whether there is such a target is for the login to find out. */
  readonly target: string;
  /** Within the target; begins with `/`. */
  readonly path: string;
  readonly base: string;
}

/** Host names that stand for a target; see `hostsOf`. */
export type Hosts = ReadonlyMap<string, { readonly protocol: WebProtocol; readonly target: string }>;

export function hostsOf(family: readonly WebProtocol[], gateway: Pick<Gateway, 'targets'>): Hosts {
  const hosts = new Map<string, { readonly protocol: WebProtocol; readonly target: string }>();
  for (const protocol of family) {
    if (protocol.hosts === undefined) continue;
    for (const target of gateway.targets(protocol.name)) {
      for (const host of protocol.hosts(target))
        if (!hosts.has(host)) hosts.set(host, { protocol, target: target.name });
    }
  }
  return hosts;
}

/**
 * The target of a request: by a host name that stands for one, otherwise by its path, `/<target>/…` or `/<prefix>/<target>/…`.
 * Names are compared as they are: an escaped one is another name. Throws Refusal TARGET_UNKNOWN where the path names none.
 */
export function destinationOf(
  { target: requested, authority }: RequestHead,
  family: readonly WebProtocol[],
  hosts: Hosts,
): Destination {
  const named = hosts.size === 0 ? undefined : hosts.get(hostOf(authority));
  if (named !== undefined) return { ...named, path: requested.startsWith('/') ? requested : '/', base: '' };
  const [, first = '', second = ''] = (requested.split('?', 1)[0] as string).split('/', 3);
  const prefixed = family.find(({ prefix }) => prefix !== '' && prefix === first);
  const protocol = prefixed ?? family.find(({ prefix }) => prefix === '');
  const target = prefixed === undefined ? first : second;
  if (protocol === undefined || target === '' || !requested.startsWith('/')) {
    throw new Refusal('TARGET_UNKNOWN', 'this path names no target', {
      advice: 'paths begin with the name of a target, such as /<target>/v1/things or /git/<target>/repository.git',
    });
  }
  const base = prefixed === undefined ? `/${first}` : `/${first}/${second}`;
  const rest = requested.slice(base.length);
  return { protocol, target, path: rest.startsWith('/') ? rest : `/${rest}`, base };
}

/** Without the port. */
function hostOf(authority: string): string {
  return authority.replace(/:\d+$/, '');
}
