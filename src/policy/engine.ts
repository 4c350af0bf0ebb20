import { createRequire } from 'node:module';
import type * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import type { CompiledPolicies } from './compile.ts';
import type { Answer, Question } from './question.ts';
import { schemaText } from './schema.ts';

export type Cedar = typeof cedar;

/**
 * A new instance of Cedar. One trap ends an instance for good, so everything that runs Cedar must be able to throw one away.
 * The `require` is new each time, too: an old one would keep every instance it has loaded reachable.
 */
export function loadCedar(): Cedar {
  const require = createRequire(import.meta.url);
  const path = require.resolve('@cedar-policy/cedar-wasm/nodejs');
  delete require.cache[path];
  const instance = require(path) as Cedar;
  delete require.cache[path];
  return instance;
}

/**
 * The instance that decisions are made with. Policies must have been compiled in `isolate.ts` before they come here. A policy set
 * cannot be dropped from an instance, only replaced, so two fixed ids take turns.
 */
export class Engine {
  readonly #load: () => Cedar;
  #cedar: Cedar | undefined;
  #slot: 'A' | 'B' = 'A';
  #active: CompiledPolicies | undefined;
  /** How many instances were thrown away. */
  rebuilt = 0;

  constructor(load: () => Cedar = loadCedar) {
    this.#load = load;
  }

  /**
   * Has the instance take policies, and returns what puts them in force. Throws, and leaves the old ones in force, when it
   * does not take them.
   */
  prepare(policies: CompiledPolicies): () => void {
    const slot = this.#slot === 'A' ? 'B' : 'A';
    try {
      this.#cedar ??= start(this.#load);
      prepare(this.#cedar, slot, policies);
    } catch (error) {
      this.#discard();
      throw error;
    }
    const prepared = this.#cedar;
    return () => {
      // An instance that came in between knows nothing of these policies; the next question makes one that does.
      if (this.#cedar !== prepared) this.#cedar = undefined;
      this.#slot = slot;
      this.#active = policies;
    };
  }

  /** Throws when the instance does; it is then replaced before the next question. */
  ask({ principal, action, resource, context, entities }: Question): Answer {
    if (this.#active === undefined) throw new Error('no policies are in force');
    let answer: cedar.AuthorizationAnswer;
    try {
      if (this.#cedar === undefined) {
        this.#cedar = start(this.#load);
        prepare(this.#cedar, this.#slot, this.#active);
      }
      answer = this.#cedar.statefulIsAuthorized({
        principal,
        action: { type: 'Action', id: action },
        resource,
        context,
        entities: entities as cedar.Entities,
        preparsedPolicySetId: this.#slot,
        preparsedSchemaName: 'sallyport',
        validateRequest: true,
      });
    } catch (error) {
      this.#discard();
      throw error;
    }
    if (answer.type === 'failure') throw new Error(answer.errors[0]?.message ?? 'the request was not understood');
    const { decision, diagnostics } = answer.response;
    return {
      decision,
      policies: diagnostics.reason,
      errors: diagnostics.errors.map(({ policyId, error }) => ({ policy: policyId, message: error.message })),
    };
  }

  #discard(): void {
    this.#cedar = undefined;
    this.rebuilt++;
  }
}

function start(load: () => Cedar): Cedar {
  const instance = load();
  must(instance.preparseSchema('sallyport', schemaText));
  return instance;
}

function prepare(instance: Cedar, slot: string, { policies }: CompiledPolicies): void {
  const staticPolicies = Object.fromEntries(policies.map(({ id, text }) => [id, text]));
  must(instance.preparsePolicySet(slot, { staticPolicies }));
}

function must(answer: cedar.CheckParseAnswer): void {
  if (answer.type === 'failure') throw new Error(answer.errors[0]?.message ?? 'not accepted');
}
