import { Refusal } from '../../model/errors.ts';
import { nothing } from './masker.ts';
import type { RuleWord } from './rule-words.ts';
import type { CompiledRule } from './rules.ts';

/**
 * A net for text that rules cannot be applied to: notices where a name from a rule's path stands as the name of something, as in data
 * embedded in a page, in a string, or behind a prefix (`"ssn":`, `\"ssn\":`, `&quot;ssn&quot;:`, `{ssn:`, `<ssn>`).
 */
export class ClassifiedWords {
  readonly #words: readonly RuleWord[];
  #tail: Buffer = nothing;

  constructor(words: readonly RuleWord[]) {
    this.#words = words;
  }

  /** The rule whose name names something in a text; undefined for none. */
  find(text: Buffer): CompiledRule | undefined {
    for (const { rule, bytes: word, named } of this.#words) {
      for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
        if (named.test(text.toString('latin1', Math.max(0, at - before), at + word.length + after))) return rule;
      }
    }
    return undefined;
  }

  /** A text by itself. Throws Refusal MASK_IMPOSSIBLE; also for NUL bytes: whatever that is, it is no text with ASCII in it. */
  look(text: Buffer): void {
    if (text.includes(0)) throw unsearchable('it holds NUL bytes');
    if (this.find(text) !== undefined) {
      throw unsearchable('a classified name stands in text, where its value cannot be told from the rest');
    }
  }

  /** The next bytes of a text that comes in pieces; the same. */
  see(bytes: Buffer): void {
    const text = this.#tail.length === 0 ? bytes : Buffer.concat([this.#tail, bytes]);
    this.look(text);
    const longest = Math.max(0, ...this.#words.map(({ bytes: word }) => word.length));
    this.#tail = Buffer.from(text.subarray(Math.max(0, text.length - before - longest - after)));
  }
}

const before = 24;
const after = 32;

export function unsearchable(why: string): Refusal {
  return new Refusal(
    'MASK_IMPOSSIBLE',
    `the reply may hold classified values, and cannot be searched for them: ${why}`,
    { advice: 'ask for JSON in UTF-8: `Accept: application/json`' },
  );
}
