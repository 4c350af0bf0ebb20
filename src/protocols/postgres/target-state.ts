import type { Gateway, Inspection } from '../../gateway/protocol.ts';
import type { Classified } from '../../model/command.ts';
import { Refusal } from '../../model/errors.ts';
import type { Target } from '../../model/target.ts';
import { combine, describeStatement, type StatementInfo } from '../../sql/classify.ts';
import { loadParser, parse } from '../../sql/parse.ts';
import { type ColumnOrigins, originsOf, type TargetCatalog } from './catalog.ts';
import { CatalogCache } from './catalog-cache.ts';
import type { PostgresSettings } from './settings.ts';
import type { Understood } from './understand.ts';

/** How old what is known of the schema may be before the server is asked again, ms. */
const maxCatalogAgeMs = 30_000;

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

/** What is known of a target, shared by its sessions: its schema, and what statements mean there. */
export class TargetState {
  readonly #target: Target<PostgresSettings>;
  readonly #catalog: CatalogCache;
  readonly #classifies: boolean;
  readonly #understood = new Map<string, Understood>();

  constructor(target: Target<PostgresSettings>, gateway: Gateway) {
    this.#target = target;
    this.#classifies = Object.keys(target.settings.classify).length > 0;
    this.#catalog = new CatalogCache({
      target,
      now: Date.now,
      timeoutMs: gateway.limits.loginMs,
      open: async () => {
        const [permit, credential] = await Promise.all([gateway.housekeeping(target), gateway.credential(target)]);
        return { permit, credential };
      },
    });
  }

  async ready(): Promise<void> {
    await loadParser();
    if (this.#classifies) await this.#catalog.get(maxCatalogAgeMs);
  }

  get origins(): ColumnOrigins | undefined {
    return undefined;
  }

  understand(text: string): Understood {
    let known = this.#understood.get(text);
    if (known === undefined) {
      const infos = parse(text).map((statement) => describeStatement(statement));
      known = understood(infos);
      if (this.#understood.size > 10_000) this.#understood.clear();
      this.#understood.set(text, known);
    }
    return known;
  }

  withPrepared(understood: Understood, _prepared: ReadonlyMap<string, Understood>): Understood {
    return understood;
  }

  functionCall(oid: number): Understood {
    return {
      classified: {
        verb: 'FUNCTION CALL',
        actions: ['execute'],
        resources: [{ type: 'Function', id: `oid:${oid}`, access: 'execute' }],
        facts: { statements: 1, hasWhere: false, functions: [`oid:${oid}`], verbs: ['FUNCTION CALL'] },
      },
      copyIn: false,
      changesSchema: false,
      touches: false,
      prepares: [],
      executes: [],
      maskable: () => undefined,
    };
  }

  freshen(_understood: Understood): Promise<void> | undefined {
    return undefined;
  }

  stale(): void {
    this.#catalog.stale();
  }

  async classify(text: string): Promise<Classified> {
    await this.ready();
    return this.understand(text).classified;
  }

  async inspect(): Promise<Inspection> {
    try {
      const { role, warnings } = await this.#catalog.get(maxCatalogAgeMs);
      return { reachable: true, mode: role.mode, warnings };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { reachable: false, mode: 'unknown', warnings: [error.message] };
    }
  }
}

function understood(infos: readonly StatementInfo[]): Understood {
  return {
    classified: combine(infos),
    copyIn: infos.some(({ kind }) => kind === 'copyIn'),
    changesSchema: infos.some(({ changesCatalog }) => changesCatalog),
    touches: false,
    prepares: infos.filter(({ kind, name }) => kind === 'prepare' && name !== undefined).map(({ name }) => name!),
    executes: infos.filter(({ kind, name }) => kind === 'execute' && name !== undefined).map(({ name }) => name!),
    maskable: () => undefined,
  };
}

export type { TargetCatalog };
export { originsOf };
