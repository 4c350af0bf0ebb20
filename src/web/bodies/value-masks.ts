import type { Masks } from '../../gateway/protocol.ts';
import { Originals } from './originals.ts';
import { type BodyRules, type CompiledRule, strictest } from './rules.ts';

/** How the values that one rule names are masked in one body. */
export interface ValueMask {
  readonly rule: CompiledRule;
  /** The mask where it does not depend on the value: undefined where it does. */
  readonly constant: { readonly text: string | null; readonly json: Buffer } | undefined;
  readonly originals: Originals;
}

/** The rules of one body at work: which decides, what the mask is, and what is reported, once per batch. */
export class ValueMasks {
  readonly #rules: BodyRules;
  readonly #masks: Masks;
  /** Made with the first value that is masked: most bodies have none. */
  #byRule: Map<CompiledRule, ValueMask> | undefined;
  /** By the automaton's own lists, which are few and stay the same objects. */
  #byAccepts: Map<readonly number[], ValueMask> | undefined;

  constructor(rules: BodyRules, masks: Masks) {
    this.#rules = rules;
    this.#masks = masks;
  }

  /** For a value that several rules name, and where rules name what it is part of: the rule that shows least. */
  forPaths(accepts: readonly number[]): ValueMask {
    this.#byAccepts ??= new Map();
    let mask = this.#byAccepts.get(accepts);
    if (mask === undefined) {
      mask = this.#of(
        strictest(
          accepts.map((number) => this.#rules.list[number]!),
          this.#masks,
        ),
      );
      this.#byAccepts.set(accepts, mask);
    }
    return mask;
  }

  /** For a value that is masked by a rule for another reason than its path. */
  forRule(rule: CompiledRule): ValueMask {
    return this.#of(rule);
  }

  /** For a field of a form or a column of a table. Case does not matter, nor where in a document the rules' paths lead. */
  forName(name: string): ValueMask | undefined {
    const plain = name.trim().toLowerCase();
    const rules = this.#rules.list.filter((rule) => rule.name === undefined || rule.name === plain);
    return rules.length === 0 ? undefined : this.#of(strictest(rules, this.#masks));
  }

  /** The mask of `original` as text, which is noted with its `bytes[start, end)`. */
  text(mask: ValueMask, bytes: Buffer, start: number, end: number): string | null {
    mask.originals.add(bytes, start, end);
    if (mask.constant !== undefined) return mask.constant.text;
    return this.#masks.text(mask.rule.classification, bytes.toString('utf8', start, end));
  }

  /** The same as a JSON value: a string, or null. */
  json(mask: ValueMask, bytes: Buffer, start: number, end: number): Buffer {
    if (mask.constant === undefined) return Buffer.from(JSON.stringify(this.text(mask, bytes, start, end)));
    mask.originals.add(bytes, start, end);
    return mask.constant.json;
  }

  /** Reports what was masked since the last call. */
  report(): void {
    if (this.#byRule === undefined) return;
    for (const { rule, originals } of this.#byRule.values()) {
      const { count } = originals;
      if (count > 0) this.#masks.masked(rule.field, rule.classification, count, originals.take());
    }
  }

  #of(rule: CompiledRule): ValueMask {
    this.#byRule ??= new Map();
    let mask = this.#byRule.get(rule);
    if (mask === undefined) {
      const method = this.#masks.method(rule.classification);
      const fixed = method === 'null' || method === 'redact';
      const text = fixed ? this.#masks.text(rule.classification, '') : null;
      const constant = fixed ? { text, json: Buffer.from(JSON.stringify(text)) } : undefined;
      mask = { rule, constant, originals: new Originals() };
      this.#byRule.set(rule, mask);
    }
    return mask;
  }
}
