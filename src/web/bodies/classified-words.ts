import { Refusal } from '../../model/errors.ts';
import { nothing } from './masker.ts';
import type { BodyRules } from './rules.ts';

/**
 * A net for text that rules cannot be applied to: notices where a name from a rule's path stands as the name of something, as in data
 * embedded in a page or behind a prefix (`"ssn":`, `\"ssn\":`, `&quot;ssn&quot;:`, `{ssn:`, `<ssn>`). Such text is withheld.
 */
export class ClassifiedWords {
  readonly #words: readonly { readonly bytes: Buffer; readonly named: RegExp }[];
  readonly #reach: number;
  #tail: Buffer = nothing;

  constructor(rules: BodyRules) {
    const words = new Set(rules.list.flatMap(({ word }) => (word === undefined || word === '' ? [] : [word])));
    this.#words = [...words].map((word) => {
      const bytes = Buffer.from(word);
      const text = bytes.toString('latin1').replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
      const mark = String.raw`(?:\\{0,8}["'\`]|&quot;|&#34;|&#x22;)`;
      const named = new RegExp(
        String.raw`${mark}${text}${mark}\s{0,16}[:=]|[{,]\s{0,16}${text}\s{0,16}:|<${text}[\s/>]`,
      );
      return { bytes, named };
    });
    this.#reach = before + after + Math.max(0, ...this.#words.map(({ bytes }) => bytes.length));
  }

  /** The next bytes of the text. Throws Refusal MASK_IMPOSSIBLE. */
  see(bytes: Buffer): void {
    if (this.#words.length === 0) return;
    const text = this.#tail.length === 0 ? bytes : Buffer.concat([this.#tail, bytes]);
    this.look(text);
    this.#tail = Buffer.from(text.subarray(Math.max(0, text.length - this.#reach)));
  }

  /** A text by itself. Refuses NUL bytes, too: whatever that is, it is no text with ASCII in it. */
  look(text: Buffer): void {
    if (text.includes(0)) throw hidden('it holds NUL bytes');
    for (const { bytes: word, named } of this.#words) {
      for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
        if (named.test(text.toString('latin1', Math.max(0, at - before), at + word.length + after))) {
          throw hidden('a classified name stands in text, where its value cannot be told from the rest');
        }
      }
    }
  }
}

const before = 24;
const after = 32;

function hidden(why: string): Refusal {
  return new Refusal(
    'MASK_IMPOSSIBLE',
    `the reply may hold classified values, and cannot be searched for them: ${why}`,
    {
      advice: 'ask for JSON in UTF-8: `Accept: application/json`',
    },
  );
}
