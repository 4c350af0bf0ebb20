import { Unsafe } from '../unsafe.ts';
import type { Protection } from './protection.ts';
import { quoted, quotedPath } from './quote.ts';
import type { Splices } from './splices.ts';

/** Where a protected relation is named in FROM. */
export interface Place {
  /** UTF-16 positions of what goes: the name, with ONLY and its brackets. */
  readonly start: number;
  readonly end: number;
  readonly only: boolean;
  /** It is `TABLE name`: a query rather than a part of FROM. */
  readonly whole: boolean;
  /** Its columns have new names. */
  readonly renamed: boolean;
  /** To be written behind, where nothing in the text gives it a name. */
  readonly alias?: string;
  /** TABLESAMPLE: the alias in the text goes (up to `aliasEnd`), and comes again behind the clause. */
  readonly sample?: { readonly aliasEnd: number; readonly end: number };
}

/** A protected relation that becomes a sub-select. What it must show besides its columns comes up later in the statement. */
export class Replacement {
  readonly protection: Protection;
  readonly #place: Place;
  /** Its query, already rewritten, where it is a view that is read by its definition. */
  readonly #inlined: string | undefined;
  /** Names of the columns that the statement reads. */
  readonly #used: ReadonlySet<string>;
  readonly #system = new Set<string>();
  #starred = false;
  #all: boolean;

  constructor(protection: Protection, place: Place, used: ReadonlySet<string>, inlined?: string) {
    this.protection = protection;
    this.#place = place;
    this.#used = used;
    this.#inlined = inlined;
    // A list of new names goes by position.
    this.#all = place.renamed;
  }

  /** Every column at once is asked for somewhere: it must have its own columns and no other. */
  star(): undefined {
    this.#starred = true;
    this.#all = true;
  }

  /** Every column is asked for by a `*` that can be written out. */
  all(): undefined {
    this.#all = true;
  }

  get showsSystemColumns(): boolean {
    return this.#system.size > 0;
  }

  systemColumn(name: string): undefined {
    this.#system.add(name);
  }

  /** `keyedPass`: columns with keyed masks are handed through for the gateway to mask. */
  splice(splices: Splices, keyedPass: boolean): undefined {
    const { relation } = this.protection;
    const [system] = this.#system;
    if (system !== undefined && (this.#starred || this.#inlined !== undefined)) {
      throw systemColumnLost(relation.name, system);
    }
    const { start, end, only, whole, alias, sample } = this.#place;
    const columns = selectList(this.protection, keyedPass, this.#all ? undefined : this.#used);
    const list = [...columns, ...[...this.#system].map(quoted)].join(', ');
    const from = this.#inlined === undefined ? `${only ? 'ONLY ' : ''}${tableSql(this.protection)}` : this.#view();
    const behind = alias === undefined ? '' : ` AS ${alias}`;
    if (sample === undefined) {
      splices.replace(start, end, `${whole ? 'SELECT * FROM ' : ''}(${selected(list)} FROM ${from})${behind}`);
      return;
    }
    splices.replace(start, sample.aliasEnd, `(${selected(list)} FROM ${from}`);
    splices.insert(sample.end, `)${behind}`);
  }

  #view(): string {
    const { relation } = this.protection;
    const columns = relation.columns.map(({ name }) => quoted(name)).join(', ');
    return `(${this.#inlined}) AS ${quoted(relation.name)} (${columns})`;
  }
}

export function systemColumnLost(relation: string, column: string): Unsafe {
  return new Unsafe(
    `${column} of ${relation} cannot be read beside all of its columns at once`,
    'name the columns that you need instead of *, or leave it out',
  );
}

export function tableSql({ relation }: Protection): string {
  return quotedPath(relation.schema, relation.name);
}

/** A query may show no column at all. */
function selected(list: string): string {
  return list === '' ? 'SELECT' : `SELECT ${list}`;
}

/**
 * Each column under its own name, as itself or as its mask; only those in `used`, so that whoever may not read the others needs not.
 * Unqualified: behind a dot a missing one would be a call with the row.
 */
export function selectList(
  { relation, masks }: Protection,
  keyedPass: boolean,
  used?: ReadonlySet<string>,
): readonly string[] {
  return relation.columns.flatMap(({ name }) => {
    if (used?.has(name) === false) return [];
    const mask = masks.get(name)?.mask;
    if (mask === undefined || (mask.keyed && keyedPass)) return [quoted(name)];
    return [`${mask.sql(quoted(name))} AS ${quoted(name)}`];
  });
}
