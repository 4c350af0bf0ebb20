import type { Gateway, Inspection } from '../../gateway/protocol.ts';
import type { Classified } from '../../model/command.ts';
import { Refusal } from '../../model/errors.ts';
import type { Target } from '../../model/target.ts';
import { createAnalyser } from '../../sql/analyse.ts';
import type { Hidden } from '../../sql/hidden.ts';
import { loadParser } from '../../sql/parse.ts';
import { originsOf, type TargetCatalog } from './catalog.ts';
import { CatalogCache } from './catalog-cache.ts';
import { Rewrites } from './certify/rewrites.ts';
import { type KnownCode, knownCode, type Surroundings, surroundingsOf } from './certify/surroundings.ts';
import type { Origins } from './plan.ts';
import type { PostgresSettings } from './settings.ts';
import { Understanding, type Understood } from './understand.ts';

/** What is known of the schema is asked for again after this long, ms, and not used any more after twice as long. */
const refreshAfterMs = 15_000;
const maxAgeMs = 30_000;
/** A refusal for something unknown asks the server first whether the schema changed, if it was not asked within this, ms. */
const doubtAfterMs = 1000;
const unreachableMs = 5000;
/** Objects that did not come with the server have OIDs from here on (FirstNormalObjectId). */
const firstOwnOid = 16_384;

/** One state per target, made when it is first needed. */
export class TargetStates {
  readonly #states = new Map<string, TargetState>();

  of(target: Target<PostgresSettings>, gateway: Gateway): TargetState {
    const found = this.#states.get(target.name);
    if (found !== undefined) return found;
    const made = new TargetState(target, gateway);
    this.#states.set(target.name, made);
    return made;
  }
}

/** What the gateway makes of one version of a target's schema. */
interface View {
  readonly catalog: TargetCatalog;
  readonly understanding: Understanding;
  readonly origins: Origins | undefined;
  /** Where statements are rewritten: what their certificates are checked against, by what is hidden. */
  readonly code: KnownCode | undefined;
  readonly surroundings: Map<string, Surroundings>;
}

/** What is known of a target, shared by its sessions: its schema, and what statements mean there. */
export class TargetState {
  readonly #catalogs: CatalogCache;
  readonly #classifies: boolean;
  readonly #commandBytes: number;
  readonly #maxSessions: number;
  readonly #warn: (message: string) => void;
  #view: View | undefined;
  #sessions = 0;
  /** Why it was not reachable lately: asking anew for every caller who wants to know would only make it worse. */
  #unreachable: { readonly at: number; readonly inspection: Inspection } | undefined;
  #refreshing = false;
  readonly #allowed: ReadonlySet<string>;
  /** How masks look in the server's trees, by the statement that asked for one: all of one version of the schema. */
  #maskForms: { readonly version: string; readonly forms: Map<string, string> } | undefined;

  constructor(target: Target<PostgresSettings>, gateway: Gateway) {
    this.#commandBytes = gateway.limits.commandBytes;
    this.#allowed = new Set(target.settings.allowFunctions);
    this.#classifies = Object.keys(target.settings.classify).length > 0;
    this.describes = target.settings.detectors || this.#classifies;
    this.#maxSessions = target.settings.maxConnections;
    this.#warn = (reason) =>
      gateway.log('warn', 'postgres: the target’s schema could not be read', { target: target.name, reason });
    this.#catalogs = new CatalogCache({
      target,
      now: Date.now,
      timeoutMs: gateway.limits.loginMs,
      open: async () => {
        const credential = await gateway.credential(target);
        return { ...(await gateway.housekeeping(target)), credential };
      },
    });
  }

  /** Resolves when statements can be understood. Rejects with Refusal UPSTREAM_UNAVAILABLE. */
  async ready(): Promise<void> {
    await loadParser();
    this.#take(await this.#catalogs.get(maxAgeMs));
  }

  /** Undefined while what is known of the schema may be used; otherwise wait: it is being read again. */
  freshen(): Promise<void> | undefined {
    const current = this.#catalogs.current(maxAgeMs);
    if (current === undefined) return this.ready();
    if (current !== this.#view?.catalog) this.#take(current);
    if (this.#catalogs.age > refreshAfterMs) this.#refreshBehind();
    return undefined;
  }

  /** Something may have changed the schema. */
  stale(): void {
    this.#catalogs.stale();
  }

  /** Changes with the schema. */
  get version(): string {
    return this.#current.catalog.version;
  }

  /** What is known of the schema is more than a moment old. */
  get mayBeOld(): boolean {
    return this.#catalogs.age > doubtAfterMs;
  }

  understand(text: string): Understood {
    return this.#current.understanding.of(text);
  }

  /** What a certificate is checked against; undefined where statements are not rewritten. */
  surroundings(hidden: Hidden): Surroundings | undefined {
    const { catalog, code, surroundings } = this.#current;
    if (code === undefined) return undefined;
    let found = surroundings.get(hidden.key);
    if (found === undefined) {
      found = surroundingsOf(catalog, code, hidden);
      surroundings.set(hidden.key, found);
    }
    return found;
  }

  /** Statements that the server certified for somebody, while the schema was what it is. */
  readonly certified = new WeakSet<object>();

  get maskForms(): Map<string, string> {
    const { version } = this;
    if (this.#maskForms?.version !== version) this.#maskForms = { version, forms: new Map() };
    return this.#maskForms.forms;
  }

  /** The fast-path interface: functions by OID, with nothing to read their purpose from. */
  functionCall(oid: number): Understood {
    return this.#current.understanding.functionCall(oid);
  }

  /** Every reply needs a description: for the detectors, to which only text belongs, or because some columns are classified. */
  readonly describes: boolean;

  /** Undefined where nothing at the target is classified. */
  get origins(): Origins | undefined {
    return this.#current.origins;
  }

  async classify(text: string): Promise<Classified> {
    await this.ready();
    return this.understand(text).classified;
  }

  /** Counts a session in; call the result when it ends. Throws Refusal LIMIT_EXCEEDED when the target has as many as it may. */
  enter(): () => void {
    if (this.#sessions >= this.#maxSessions) {
      throw new Refusal('LIMIT_EXCEEDED', `the target has ${this.#maxSessions} sessions open, as many as it may`, {
        advice: 'try again later',
      });
    }
    this.#sessions += 1;
    let left = false;
    return () => {
      if (!left) this.#sessions -= 1;
      left = true;
    };
  }

  async inspect(): Promise<Inspection> {
    if (this.#unreachable !== undefined && Date.now() - this.#unreachable.at < unreachableMs)
      return this.#unreachable.inspection;
    try {
      const { role, warnings } = await this.#catalogs.get(maxAgeMs);
      return { reachable: true, mode: role.mode, warnings };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const inspection = { reachable: false, mode: 'unknown', warnings: [error.message] };
      this.#unreachable = { at: Date.now(), inspection };
      return inspection;
    }
  }

  get #current(): View {
    if (this.#view === undefined) throw new Refusal('UPSTREAM_UNAVAILABLE', 'the target’s schema is not known yet');
    return this.#view;
  }

  #take(catalog: TargetCatalog): void {
    if (this.#view?.catalog === catalog) return;
    const analyser = createAnalyser({ catalog, maxStatementBytes: this.#commandBytes });
    const builtins = this.#classifies ? catalog.schema.details?.builtins : undefined;
    const rewrites = builtins === undefined ? undefined : new Rewrites(catalog, (text) => analyser.statements(text));
    this.#view = {
      catalog,
      understanding: new Understanding(analyser, catalog, rewrites),
      code: builtins === undefined ? undefined : knownCode(catalog, builtins, this.#allowed),
      surroundings: new Map(),
      origins: this.#classifies ? { ...originsOf(catalog), known: knownIn(catalog) } : undefined,
    };
  }

  /** While the server is asked, what is known still serves; only when it gets too old do sessions wait. */
  #refreshBehind(): void {
    if (this.#refreshing) return;
    this.#refreshing = true;
    this.#catalogs
      .refresh()
      .catch((error: unknown) => this.#warn(error instanceof Error ? error.message : String(error)))
      .finally(() => {
        this.#refreshing = false;
      });
  }
}

/** Tables of the system have low numbers; every other has to be in the catalog that was read. */
function knownIn({ relations }: TargetCatalog): (tableOid: number) => boolean {
  const oids = new Set(relations.map(({ oid }) => oid));
  return (tableOid) => tableOid < firstOwnOid || oids.has(tableOid);
}
