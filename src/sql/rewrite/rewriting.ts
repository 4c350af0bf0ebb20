import type { Catalog, CatalogRelation } from '../catalog.ts';
import { type Fields, fieldsOf, listOf, namesIn, text } from '../node.ts';
import { Unsafe } from '../unsafe.ts';
import type { Use } from './columns.ts';
import type { Naming } from './naming.ts';
import type { MaskedColumn, Protection, Protections } from './protection.ts';
import { quoted, quotedPath } from './quote.ts';
import { type Place, type Replacement, systemColumnLost } from './replacement.ts';
import type { Source } from './scope.ts';
import { Splices } from './splices.ts';
import { Tokens } from './tokens.ts';

/** A mask that looks at a column, as it stands in the text; `expression` is SQL over the columns of `schema.table`. */
export interface ReadingMask {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
  readonly expression: string;
}

export interface RewritingParts {
  readonly catalog: Catalog;
  readonly naming: Naming;
  readonly protections: Protections;
  /** Columns with keyed masks go through the sub-selects, because the text only shows them. */
  readonly keyedPass: boolean;
  /** The query of a view, rewritten. */
  readonly inline: (view: CatalogRelation, definition: string) => string;
}

type Range = Pick<Place, 'start' | 'end'>;

/** What is being done to one text: where in it things are, what goes in their place, and what was read. */
export class Rewriting {
  readonly catalog: Catalog;
  readonly naming: Naming;
  readonly protections: Protections;
  readonly replacements: Replacement[] = [];
  /** Labels of the masked columns that are read, as far as one can see. Never too few. */
  readonly reads = new Set<string>();
  /** Those of them that are more than shown in the RETURNING of the whole statement: they may decide what is written. */
  readonly flows = new Set<string>();
  readonly splices = new Splices();
  readonly protected = new Set<Protection>();
  readonly inline: RewritingParts['inline'];
  readonly #keyedPass: boolean;
  readonly #source: string;
  readonly #bare = new Set<Fields>();
  readonly #stars: { readonly column: Fields; readonly sources: readonly Source[] }[] = [];
  #tokens: Tokens | undefined;

  constructor(source: string, parts: RewritingParts) {
    this.#source = source;
    this.catalog = parts.catalog;
    this.naming = parts.naming;
    this.protections = parts.protections;
    this.inline = parts.inline;
    this.#keyedPass = parts.keyedPass;
  }

  get keyedPass(): boolean {
    return this.#keyedPass;
  }

  passes({ mask }: MaskedColumn): boolean {
    return mask.keyed && this.#keyedPass;
  }

  read({ label }: MaskedColumn, use: Use): undefined {
    this.#note(label, use);
  }

  readSource(source: Source, use: Use): undefined {
    const relation = source.replacement?.protection.relation;
    this.#note(relation === undefined ? source.alias : `${relation.name} (which comes from hidden columns)`, use);
  }

  #note(label: string, use: Use): undefined {
    if (use.ignored === true) return;
    this.reads.add(label);
    if (use.shown !== true) this.flows.add(label);
  }

  /** Masks in it that look at their columns. */
  get reading(): readonly ReadingMask[] {
    return [...this.protected].flatMap(({ relation: { schema, name: table }, masks }) =>
      [...masks].flatMap(([column, masked]) =>
        masked.mask.reads && !this.passes(masked)
          ? [{ schema, table, column, expression: masked.mask.sql(quoted(column)) }]
          : [],
      ),
    );
  }

  /** Throws Unsafe for a text in which things are not where the tree says. */
  result(): string {
    this.#writeStars();
    for (const replacement of this.replacements) replacement.splice(this.splices, this.#keyedPass);
    return this.splices.empty ? this.#source : this.splices.applyTo(this.#source);
  }

  // ── places ──

  qualify(relation: Fields, schema: string): undefined {
    this.splices.insert(this.tokens.start(this.#index(relation)), `${quoted(schema)}.`);
  }

  insertBefore(node: Fields, inserted: string): undefined {
    this.splices.insert(this.tokens.start(this.#index(node)), inserted);
  }

  /** The name of a relation, with ONLY and the like; `whole`: `TABLE name`, which is a query by itself. */
  relationRange(relation: Fields): Range & { readonly whole: boolean } {
    const { first, after } = this.#relation(relation);
    const whole = this.tokens.is(first - 1, 'table');
    return { start: this.tokens.start(whole ? first - 1 : first), end: this.tokens.end(after - 1), whole };
  }

  /** The same with the list of columns behind it. */
  relationWithColumns(relation: Fields): Range {
    const { first, after } = this.#relation(relation);
    const end = this.tokens.text(after) === '(' ? (this.tokens.afterBrackets(after) ?? after) : after;
    return { start: this.tokens.start(first), end: this.tokens.end(end - 1) };
  }

  sampleRange(relation: Fields, sample: Fields): NonNullable<Place['sample']> {
    const tokens = this.tokens;
    let after = this.#relation(relation).after;
    const alias = fieldsOf(relation.alias);
    if (alias !== undefined) {
      if (tokens.is(after, 'as')) after += 1;
      after = tokens.afterName(after);
      if (listOf(alias.colnames).length > 0) after = tokens.afterBrackets(after) ?? lost();
    }
    let end = tokens.afterPath(this.#index(sample), namesIn(sample.method).length) ?? lost();
    end = tokens.afterBrackets(end) ?? lost();
    if (sample.repeatable !== undefined) {
      if (!tokens.is(end, 'repeatable')) lost();
      end = tokens.afterBrackets(end + 1) ?? lost();
    }
    return { aliasEnd: tokens.end(after - 1), end: tokens.end(end - 1) };
  }

  /** The schema (and database) in front of a column's table goes away. */
  unqualify(column: Fields, names: number): undefined {
    const first = this.#index(column);
    const dropped = this.tokens.afterPath(first, names - 2) ?? lost();
    if (this.tokens.text(dropped) !== '.') lost();
    this.splices.replace(this.tokens.start(first), this.tokens.end(dropped), '');
  }

  columnRange(column: Fields): Range {
    const first = this.#index(column);
    const after = this.tokens.afterPath(first, listOf(column.fields).length) ?? lost();
    return { start: this.tokens.start(first), end: this.tokens.end(after - 1) };
  }

  /**
   * A column reference becomes a mask. It has to keep its name: `SELECT ssn::text` makes a column `ssn`, and if it did not, a query
   * around it that asks for `ssn` would find the column of the table itself.
   */
  maskReference(column: Fields, { mask }: MaskedColumn, nameless: boolean): undefined {
    const { start, end } = this.columnRange(column);
    const sql = mask.sql(this.#source.slice(start, end));
    const name = quoted(namesIn(column.fields).at(-1) ?? '');
    const bare = this.#bare.has(column) && this.tokens.text(this.#index(column) - 1) !== '(';
    if (bare) this.splices.replace(start, end, `(${sql}) AS ${name}`);
    else this.splices.replace(start, end, nameless ? `(${sql})` : `(SELECT ${sql} AS ${name})`);
  }

  /** A `*` that is an item of a SELECT list by itself, and what it stands for. */
  star(column: Fields, sources: readonly Source[]): undefined {
    this.#stars.push({ column, sources });
  }

  isBare(column: Fields): boolean {
    return this.#bare.has(column);
  }

  /** Where a sub-select has to show system columns, `*` must not: it is written out. */
  #writeStars(): undefined {
    for (const { column, sources } of this.#stars) {
      const shows = sources.find(({ replacement }) => replacement?.showsSystemColumns === true);
      if (shows === undefined) continue;
      const lists = sources.map(({ alias, columns, merged }) =>
        merged === true || alias === '' ? undefined : columns?.map((name) => quotedPath(alias, name)),
      );
      if (lists.includes(undefined)) throw systemColumnLost(shows.alias, 'a system column');
      const { start, end } = this.columnRange(column);
      this.splices.replace(start, end, lists.flat().join(', '));
    }
  }

  /** It is all that an item of a SELECT or RETURNING list has. */
  bareOutput(column: Fields): undefined {
    this.#bare.add(column);
  }

  get tokens(): Tokens {
    this.#tokens ??= new Tokens(this.#source);
    return this.#tokens;
  }

  #relation(relation: Fields): { readonly first: number; readonly after: number } {
    const { tokens } = this;
    let first = this.#index(relation);
    const names = [relation.catalogname, relation.schemaname, relation.relname].filter((name) => name !== undefined);
    if (!this.#says(first, text(names[0]) ?? '')) lost();
    let after = tokens.afterPath(first, names.length) ?? lost();
    if (relation.inh === true) return { first, after: tokens.text(after) === '*' ? after + 1 : after };
    if (tokens.is(first - 1, 'only')) first -= 1;
    else if (tokens.text(first - 1) === '(' && tokens.is(first - 2, 'only') && tokens.text(after) === ')') {
      first -= 2;
      after += 1;
    } else lost();
    return { first, after };
  }

  /** A token is this name; escaped ones are not looked at. */
  #says(index: number, name: string): boolean {
    const token = this.tokens.text(index);
    if (token.startsWith('"')) return token.slice(1, -1).replaceAll('""', '"').startsWith(name);
    return token.toLowerCase().startsWith(name) || /^u$/i.test(token);
  }

  #index(node: Fields): number {
    const { location } = node;
    if (location !== undefined && typeof location !== 'number') lost();
    return this.tokens.at((location as number | undefined) ?? 0) ?? lost();
  }
}

function lost(): never {
  throw new Unsafe('the gateway cannot find its way in the text', 'write names without U& escapes and the like');
}
