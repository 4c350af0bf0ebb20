import { aboutWords, dictionary, type Meaning, peopleWords, questionWords } from './dictionary.ts';
import type { ValueType } from './value-type.ts';
import { wordsOf } from './words.ts';

interface Entry {
  readonly meaning: Meaning;
  readonly pattern: RegExp;
  /** The same with all that stands before it. */
  readonly upTo: RegExp;
}

/** Names are cut at 200 letters, so that none takes long. */
const entries: readonly Entry[] = dictionary.map((meaning) => {
  const source = `_(?:${longestFirst(meaning.names).map(patternOf).join('|')})_`;
  return { meaning, pattern: new RegExp(source), upTo: new RegExp(`.*${source}`) };
});

/** `born on` before `born`: what is left behind decides whether the name is only about such a thing. */
function longestFirst(names: readonly string[]): readonly string[] {
  return names.toSorted((a, b) => b.length - a.length);
}

function patternOf(name: string): string {
  return name.replace(/^\*/, '[a-z]*').replace(/\*$/, '[a-z]*').replaceAll(/ /g, '_?');
}

/** A name that ends so is a reference to something. */
const keyWords = /_(id|uuid|guid|fk|key|ref)_$/;

/**
 * What the name of a column suggests that it holds; undefined for nothing. Where the name says that it is about such a thing
 * (`password_changed_at`), or the type does not fit, it suggests nothing.
 */
export function nameMeaning(table: string, column: string, type: ValueType): Meaning | undefined {
  const words = wordsOf(column);
  const found = meaningOf(words, type, () => peopleWords.test(wordsOf(table)));
  if (found === undefined) return undefined;
  const { upTo, meaning } = found;
  if (questionWords.test(words)) return undefined;
  // The last words may be part of the thing's own name: `tax_id`, `born_on`, `hiv_status`.
  const rest = words.replace(upTo, '_');
  if (aboutWords.test(rest) || keyWords.test(rest)) return undefined;
  return meaning;
}

function meaningOf(words: string, type: ValueType, ofPeople: () => boolean): Entry | undefined {
  return entries.find(
    ({ pattern, meaning }) =>
      pattern.test(words) && meaning.types.includes(type) && (meaning.ofPeople !== true || ofPeople()),
  );
}
