import type { Gateway, Inspection, Line } from '../../gateway/protocol.ts';
import { ConfigError } from '../../model/errors.ts';
import type { Target } from '../../model/target.ts';
import { readHost } from '../../web/upstream/addresses.ts';
import { openUpstream } from '../../web/upstream/upstream.ts';
import { type Authorization, Authorizations } from './authorization.ts';
import type { GitSettings } from './settings.ts';
import { type Connections, GitUpstream, noBody } from './upstream.ts';

/** One configured target: the connections to it, and what the gateway is to it. */
export class GitTarget {
  readonly #target: Target<GitSettings>;
  readonly #connections: Connections;
  readonly #authorizations: Authorizations;
  readonly #storage = new Map<string, Connections>();
  /** A credential is fetched once a session. */
  readonly #ofLine = new WeakMap<Line, Promise<Authorization | undefined>>();

  /** Throws ConfigError for an address that cannot be dialled. */
  constructor(target: Target<GitSettings>) {
    const { name, settings } = target;
    const { scheme, host, port } = settings.address;
    const dialled = readHost(host);
    if (dialled === undefined) throw new ConfigError(`targets.${name}.address: ${host} is no host that can be dialled`);
    const { http, tls, internal } = settings;
    this.#target = target;
    this.#connections = openUpstream({ name, scheme, host: dialled, port, http, tls, internal });
    this.#authorizations = new Authorizations(settings, { now: Date.now, fetch: globalThis.fetch });
  }

  /** The way to the target for one session. */
  upstream(line: Line, gateway: Gateway): GitUpstream {
    const { settings } = this.#target;
    return new GitUpstream(
      this.#connections,
      settings.address,
      () => this.#authorization(line, gateway),
      line.session.id,
      (origin) => this.#elsewhere(origin),
    );
  }

  async inspect(gateway: Gateway): Promise<Inspection> {
    const { address, credential, authentication } = this.#target.settings;
    const housekeeping = await gateway.housekeeping(this.#target);
    const found = Promise.withResolvers<{ reachable: boolean; warnings: string[] }>();
    const call = this.#connections.housekeeping(
      housekeeping.permit,
      {
        method: 'GET',
        target: `${address.basePath}/`,
        authority: address.authority,
        scheme: address.scheme,
        fields: ['user-agent', 'git/sallyport', 'accept', '*/*'],
        body: noBody,
      },
      {
        informed: () => undefined,
        head: () => found.resolve({ reachable: true, warnings: [] }),
        data: () => undefined,
        end: () => undefined,
        fail: (error) => found.resolve({ reachable: false, warnings: [error.message] }),
        switched: (_, tunnel) => tunnel.abort(),
      },
    );
    const { reachable, warnings } = await found.promise;
    call.cancel();
    housekeeping.end('looked at');
    if (address.scheme === 'http') warnings.push('the way to the server is not encrypted');
    return { reachable, mode: credential === undefined ? 'without a credential' : `as ${authentication}`, warnings };
  }

  /** Connections to where the target may keep LFS objects; undefined for everywhere else. */
  #elsewhere(origin: string): Connections | undefined {
    const { name, settings } = this.#target;
    if (!settings.lfsStorage.includes(origin)) return undefined;
    let connections = this.#storage.get(origin);
    if (connections === undefined) {
      const url = new URL(origin);
      const host = readHost(url.hostname);
      if (host === undefined) return undefined;
      const port = url.port === '' ? 443 : Number(url.port);
      const { tls, internal } = settings;
      const trust = tls.ca === undefined ? {} : { tls: { ca: tls.ca } };
      connections = openUpstream({
        name: `${name} (LFS storage)`,
        scheme: 'https',
        host,
        port,
        http: 'auto',
        internal,
        ...trust,
      });
      this.#storage.set(origin, connections);
    }
    return connections;
  }

  #authorization(line: Line, gateway: Gateway): Promise<Authorization | undefined> {
    const ask = () => this.#authorizations.of(() => gateway.credential(this.#target));
    // Installation tokens are kept, and renewed, where they are made.
    if (this.#target.settings.authentication === 'githubApp') return ask();
    let opened = this.#ofLine.get(line);
    if (opened === undefined) {
      opened = ask();
      this.#ofLine.set(line, opened);
      opened.catch(() => this.#ofLine.delete(line)); // The next request tries again.
    }
    return opened;
  }
}
