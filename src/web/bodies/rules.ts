import type { Masks } from '../../gateway/protocol.ts';
import type { MaskMethod } from '../../model/decision.ts';
import { parseJsonPath, type Step, writtenPath } from './json-path.ts';
import { type PathState, pathAutomaton } from './path-automaton.ts';
import { type RuleWord, ruleWords } from './rule-words.ts';

/** A place in a body, and what stands there. */
export interface BodyRule {
  /** See `parseJsonPath`. In forms and tables the path's last name is the name of the field or column. */
  readonly path: string;
  readonly classification: string;
}

/** Rules made ready; for as many bodies as there are, once per target or route. */
export interface BodyRules {
  readonly list: readonly CompiledRule[];
  /** The state of a document's root. */
  readonly root: PathState;
  /** For text that paths cannot be applied to. */
  readonly words: readonly RuleWord[];
  /** The rules that still apply under a policy's methods: all but those whose classification it reveals. */
  applying(masks: Pick<Masks, 'method'>): BodyRules;
}

export interface CompiledRule {
  readonly classification: string;
  readonly steps: readonly Step[];
  /** What masked values are reported under: the path, without positions. */
  readonly field: string;
  /** The path's last name, in lower case; undefined where it ends in, or consists of, wildcards and positions. */
  readonly name: string | undefined;
  /** The last name anywhere in the path, as written. */
  readonly word: string | undefined;
}

/** Throws ConfigError for a path that cannot be read. */
export function bodyRules(rules: readonly BodyRule[]): BodyRules {
  return new Compiled(
    rules.map(({ path, classification }) => {
      const steps = parseJsonPath(path);
      const word = steps.findLast((step) => step.kind === 'name');
      return { classification, steps, field: writtenPath(steps), name: lastName(steps), word: word?.name };
    }),
  );
}

class Compiled implements BodyRules {
  readonly list: readonly CompiledRule[];
  readonly root: PathState;
  readonly words: readonly RuleWord[];
  readonly #subsets = new Map<string, BodyRules>();

  constructor(list: readonly CompiledRule[]) {
    this.list = list;
    this.root = pathAutomaton(list.map(({ steps }) => steps));
    this.words = ruleWords(list);
  }

  applying(masks: Pick<Masks, 'method'>): BodyRules {
    const list = this.list.filter(({ classification }) => masks.method(classification) !== 'reveal');
    if (list.length === this.list.length) return this;
    const key = list.map((rule) => this.list.indexOf(rule)).join();
    let subset = this.#subsets.get(key);
    if (subset === undefined) {
      if (this.#subsets.size >= mostSubsets) this.#subsets.clear();
      subset = new Compiled(list);
      this.#subsets.set(key, subset);
    }
    return subset;
  }
}

const mostSubsets = 64;

/** No path at all: only detectors. */
export const noRules: BodyRules = bodyRules([]);

/** Positions belong to the name before them; a wildcard at the end may be any name. */
function lastName(steps: readonly Step[]): string | undefined {
  const last = steps.findLast(({ kind }) => kind !== 'index');
  return last?.kind === 'name' ? last.name.toLowerCase() : undefined;
}

/** Among several rules for one value the one that shows least decides; among equals the first. */
export function strictest(rules: readonly CompiledRule[], masks: Pick<Masks, 'method'>): CompiledRule {
  const strictness = (rule: CompiledRule) => order.indexOf(masks.method(rule.classification));
  return rules.reduce((best, rule) => (strictness(rule) < strictness(best) ? rule : best));
}

const order: readonly MaskMethod[] = ['null', 'redact', 'token', 'digits', 'partial', 'reveal'];
