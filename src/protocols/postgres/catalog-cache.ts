import type { Housekeeping } from '../../gateway/protocol.ts';
import { Refusal } from '../../model/errors.ts';
import type { Target, TargetCredential } from '../../model/target.ts';
import { loadCatalog, type TargetCatalog } from './catalog.ts';
import { QueryConnection } from './query-connection.ts';
import { readVersion } from './schema.ts';
import type { PostgresSettings } from './settings.ts';

export interface CatalogCacheDeps {
  readonly target: Target<PostgresSettings>;
  /** A durable session of the gateway's own with the target, and what it logs in with. */
  open(): Promise<Housekeeping & { readonly credential: TargetCredential }>;
  /** ms; only differences count. */
  readonly now: () => number;
  /** For each question, ms. */
  readonly timeoutMs: number;
}

/**
 * What is known of one target's schema, read over a connection of the gateway's own that stays open. Fails closed: when
 * the server cannot be asked whether the schema is still the same, nothing is served.
 */
export class CatalogCache {
  readonly #deps: CatalogCacheDeps;
  #connection: QueryConnection | undefined;
  /** Ends the connection's session in the log. */
  #end: ((reason: string) => void) | undefined;
  #catalog: TargetCatalog | undefined;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #running: Promise<TargetCatalog> | undefined;
  /** Goes up when the catalog is known to be out of date. */
  #epoch = 0;
  #closed = new AbortController();
  #listens = false;

  constructor(deps: CatalogCacheDeps) {
    this.#deps = deps;
  }

  /** What was read, if it was checked within `maxAgeMs`; at once, for the data path. */
  current(maxAgeMs: number): TargetCatalog | undefined {
    return this.age <= maxAgeMs ? this.#catalog : undefined;
  }

  /** ms since the server last said that this is its schema; infinite when it never did, or `stale` was called since. */
  get age(): number {
    return this.#deps.now() - this.#checkedAt;
  }

  /** As `current`, but asks the server when that is too old. Callers share one question. Rejects when the server cannot be asked. */
  async get(maxAgeMs: number): Promise<TargetCatalog> {
    return this.current(maxAgeMs) ?? this.refresh();
  }

  /** The schema has changed, or may have: what is served from now on was asked for from now on. */
  stale(): void {
    this.#epoch += 1;
    this.#checkedAt = Number.NEGATIVE_INFINITY;
  }

  /** Asks the server now; reads everything anew only if its version is another. */
  refresh(): Promise<TargetCatalog> {
    this.#running ??= this.#ask().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  close(): void {
    this.#closed.abort(new Error('the catalog cache is closed'));
    this.#drop('the gateway is stopping');
    this.stale();
  }

  #drop(reason: string): void {
    this.#connection?.close();
    this.#connection = undefined;
    this.#end?.(reason);
    this.#end = undefined;
  }

  async #ask(): Promise<TargetCatalog> {
    for (let attempt = 1; ; attempt++) {
      const epoch = this.#epoch;
      const askedAt = this.#deps.now();
      const catalog = await this.#read();
      // Something changed while the server answered: its answer may be from before.
      if (epoch !== this.#epoch) {
        this.#closed.signal.throwIfAborted();
        if (attempt === 5)
          throw new Refusal('UPSTREAM_UNAVAILABLE', 'the schema of the target changes faster than it can be read');
        continue;
      }
      this.#catalog = catalog;
      this.#checkedAt = askedAt;
      return catalog;
    }
  }

  async #read(): Promise<TargetCatalog> {
    const connection = await this.#connected();
    try {
      const { timeoutMs, target } = this.#deps;
      const version = await readVersion(connection, timeoutMs);
      return this.#catalog?.version === version
        ? this.#catalog
        : await loadCatalog(connection, target, timeoutMs, this.#catalog);
    } catch (error) {
      this.#drop('the server did not answer as it should');
      throw error;
    }
  }

  async #connected(): Promise<QueryConnection> {
    if (this.#connection?.usable) return this.#connection;
    this.#drop('the connection was lost');
    const { target, timeoutMs } = this.#deps;
    const { permit, credential, signal, end } = await this.#deps.open();
    // pg_catalog alone: nothing that a user made can stand in for what our questions name.
    const startup = {
      application_name: 'sallyport catalog',
      search_path: 'pg_catalog',
      default_transaction_read_only: 'on',
      statement_timeout: String(timeoutMs),
    };
    const options = { target, permit, credential, startup, timeoutMs };
    const stopping = AbortSignal.any([this.#closed.signal, signal]);
    try {
      this.#connection = await QueryConnection.open({ ...options, signal: stopping });
    } catch (error) {
      end('the server could not be reached');
      throw error;
    }
    this.#end = end;
    if (!this.#listens) signal.addEventListener('abort', () => this.close(), { once: true });
    this.#listens = true;
    return this.#connection;
  }
}
