import type { WrittenCode } from '../../sql/catalog.ts';
import { isBuiltin } from '../../sql/functions.ts';
import type { Classification } from './classification.ts';
import { firstOwnOid, qualified, type Schema } from './schema.ts';
import { isOpaqueBuiltin, opaqueTypes, trusts } from './trusted-code.ts';

/** How far code that nobody reviewed can be seen through. */
type Reach = 'nothing' | 'its own row' | 'anything';

interface Found {
  readonly functions: Set<string>;
  reads: boolean;
}

/**
 * relation → code that runs when it is written and that may show or copy what is classified: of triggers, defaults, policies, checks,
 * indexes, and of the types of its columns; its own, that of its children and partitions, and, for a view, that of what it shows.
 */
export function writtenCode(
  schema: Schema,
  classification: Classification,
  allowFunctions: ReadonlySet<string>,
): ReadonlyMap<number, WrittenCode> {
  if (classification.columns.size === 0) return new Map();
  const found = new Map<number, Found>();
  const note = (relation: number, functions: Iterable<string>, reads: boolean): void => {
    const entry = found.get(relation) ?? { functions: new Set(), reads: false };
    found.set(relation, entry);
    for (const name of functions) entry.functions.add(name);
    entry.reads ||= reads;
  };
  const code = new Map(schema.functions.map((one) => [one.oid, one]));
  const reaches = new Reaches(schema, classification);
  for (const { relation, function: oid, name } of schema.writtenCode) {
    const own = code.get(oid);
    if (own === undefined && oid < firstOwnOid && !isOpaqueBuiltin(name)) continue;
    if (own !== undefined && trusts(own, allowFunctions)) continue;
    const reach = reaches.of(oid, relation);
    if (reach !== 'nothing') note(relation, [own === undefined ? name : qualified(own)], reach === 'anything');
  }
  // What a cast to one of the server's own types runs, does not run for every value of that type.
  const coded = new Map([...opaqueTypes(schema, allowFunctions)].filter(([oid]) => oid >= firstOwnOid));
  for (const { oid, columns } of schema.relations) {
    const types = columns.map(({ typeOid }) => coded.get(typeOid)).filter((type) => type !== undefined);
    if (types.length > 0)
      note(
        oid,
        types.map((type) => `the type ${qualified(type)}`),
        false,
      );
  }
  spread(schema, found, note);
  return new Map([...found].map(([oid, { functions, reads }]) => [oid, { functions: [...functions].sort(), reads }]));
}

/** Rows of a parent go into its children; those of a view into what it reads. */
function spread(
  schema: Schema,
  found: ReadonlyMap<number, Found>,
  note: (relation: number, functions: Iterable<string>, reads: boolean) => void,
): void {
  const shown = new Map(schema.relations.filter(({ kind }) => kind === 'v').map(({ oid }) => [oid, true]));
  const flows = [
    ...schema.parents.map(({ child, parent }) => [child, parent] as const),
    ...schema.ruleReads
      .filter(({ relation }) => shown.has(relation))
      .map(({ relation, reads }) => [reads, relation] as const),
  ];
  const size = () =>
    [...found.values()].reduce((sum, { functions, reads }) => sum + functions.size + (reads ? 1 : 0), 0);
  for (let before = -1; before < size(); ) {
    before = size();
    for (const [from, to] of flows) {
      const entry = found.get(from);
      if (entry !== undefined && from !== to) note(to, entry.functions, entry.reads);
    }
  }
}

/** Names that a function's text must not hold if it is to be believed to reach nothing classified. */
class Reaches {
  readonly #schema: Schema;
  readonly #classification: Classification;
  readonly #forbidden: ReadonlySet<string>;
  readonly #known = new Map<number, ReadonlySet<string> | undefined>();

  constructor(schema: Schema, classification: Classification) {
    this.#schema = schema;
    this.#classification = classification;
    this.#forbidden = new Set([
      ...schema.relations
        .filter(({ oid }) => classification.columns.has(oid) || classification.derived.has(oid))
        .map(({ name }) => name.toLowerCase()),
      ...schema.functions.map(({ name }) => name.toLowerCase()),
    ]);
  }

  of(oid: number, relation: number): Reach {
    const words = this.#words(oid);
    if (words === undefined) return 'anything';
    const own = this.#schema.relations.find((one) => one.oid === relation);
    for (const word of words)
      if (this.#forbidden.has(word) || dynamic.has(word) || (isBuiltin(word) && isOpaqueBuiltin(word)))
        return 'anything';
    const held = this.#classification.columns.get(relation);
    if (held === undefined) return 'nothing';
    const touches = own?.columns.some(({ attnum, name }) => held.has(attnum) && words.has(name.toLowerCase())) === true;
    return touches || words.has(wholeRow) ? 'its own row' : 'nothing';
  }

  /** The words of a function's text; undefined where it cannot be told from them what it does. */
  #words(oid: number): ReadonlySet<string> | undefined {
    if (this.#known.has(oid)) return this.#known.get(oid);
    const source = this.#schema.sources.get(oid);
    const words =
      source?.text === undefined || !readable.has(source.language) || /u&["']/i.test(source.text)
        ? undefined
        : wordsIn(source.text.toLowerCase());
    this.#known.set(oid, words);
    return words;
  }
}

const readable: ReadonlySet<string> = new Set(['sql', 'plpgsql']);
/** Runs a text that is put together only then. */
const dynamic: ReadonlySet<string> = new Set(['execute']);
const wholeRow = '(row)';

/** Identifiers, also those in quotes; and `wholeRow` where a trigger uses its row for more than single columns or its own result. */
function wordsIn(source: string): ReadonlySet<string> {
  const words = new Set(source.match(/[\p{L}_][\p{L}\p{N}_$]*/gu));
  for (const [, quoted] of source.matchAll(/"((?:[^"]|"")*)"/g)) words.add((quoted ?? '').replaceAll('""', '"'));
  if (/(?<!return\s+)\b(?:new|old)\b(?!\s*\.\s*["\p{L}_])/u.test(source)) words.add(wholeRow);
  return words;
}
