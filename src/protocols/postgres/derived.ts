import { holdsValues } from '../../sql/system-relations.ts';
import type { Columns, Derived } from './classification.ts';
import { qualified, type Schema } from './schema.ts';
import { isOpaqueBuiltin, trusts } from './trusted-code.ts';
import type { ColumnRead, ViewDefinition } from './view-definition.ts';

interface Entry {
  readonly classifications: Set<string>;
  readonly reasons: Set<string>;
  readonly columns: Set<string>;
  /** Any column may carry it, and it may decide which rows there are. */
  whole: boolean;
}

/** What reads the classified `columns`, or things that read them, and is more than those columns under another name. */
export function follow(
  schema: Schema,
  columns: Columns,
  allowFunctions: ReadonlySet<string>,
): ReadonlyMap<number, Derived> {
  const found = new Follower(schema, columns, allowFunctions);
  while (found.round());
  return found.derived();
}

class Follower {
  readonly #schema: Schema;
  readonly #columns: Columns;
  readonly #found = new Map<number, Entry>();
  readonly #relations: ReadonlyMap<number, Schema['relations'][number]>;

  constructor(schema: Schema, columns: Columns, allowFunctions: ReadonlySet<string>) {
    this.#schema = schema;
    this.#columns = columns;
    this.#relations = new Map(schema.relations.map((relation) => [relation.oid, relation]));
    const everything = new Set([...columns.values()].flatMap((held) => [...held.values()]));
    const code = new Map(schema.functions.map((one) => [one.oid, one]));
    // What a function reads is not in the catalog: what calls one may read anything.
    for (const { relation, function: oid } of schema.ruleCalls) {
      const called = code.get(oid);
      if (called === undefined || !trusts(called, allowFunctions))
        this.#whole(relation, `calls ${called ? qualified(called) : oid}`, everything);
    }
    for (const { relation, name } of schema.ruleBuiltins)
      if (isOpaqueBuiltin(name)) this.#whole(relation, `calls ${name}`, everything);
    for (const { relation, name } of schema.ruleSystemReads)
      if (holdsValues(name)) this.#whole(relation, `reads ${name}, which holds copies of values`, everything);
    for (const { relation, function: oid, name, by, attnum } of schema.writtenCode) {
      if (by !== 'generated') continue;
      const called = code.get(oid);
      if (called === undefined ? !isOpaqueBuiltin(name) : trusts(called, allowFunctions)) continue;
      this.#column(
        relation,
        this.#columnName(relation, attnum),
        `calls ${called ? qualified(called) : name}`,
        everything,
      );
    }
  }

  /** True while something new came up. */
  round(): boolean {
    const before = this.#size;
    for (const definition of this.#schema.definitions.values()) this.#define(definition);
    for (const { relation, rule, reads, column, wholeRow } of this.#schema.ruleReads) {
      if (relation === reads || (rule === '_RETURN' && this.#schema.definitions.has(relation))) continue;
      const classified = this.#columns.get(reads);
      const one = classified?.get(column);
      if (one !== undefined) this.#whole(relation, `reads ${this.#nameOf(reads, column)}`, [one]);
      else if (wholeRow && classified !== undefined)
        this.#whole(relation, `reads rows of ${this.#nameOf(reads)}`, classified.values());
      const through = this.#found.get(reads);
      if (through !== undefined) this.#whole(relation, `reads ${this.#nameOf(reads)}`, through.classifications);
    }
    return this.#size > before;
  }

  derived(): ReadonlyMap<number, Derived> {
    return new Map(
      [...this.#found].map(([oid, { classifications, reasons, columns, whole }]) => [
        oid,
        {
          classifications: [...classifications].sort(),
          columns: whole ? ('all' as const) : [...columns].sort(),
          plain: !whole,
          reasons: [...reasons].sort(),
        },
      ]),
    );
  }

  #define({ view, outputs, chosenBy, relations }: ViewDefinition): void {
    for (const relation of relations) {
      const through = this.#found.get(relation);
      if (through?.whole === true) this.#whole(view, `reads ${this.#nameOf(relation)}`, through.classifications);
    }
    for (const read of chosenBy) {
      const carried = this.#carried(read);
      if (carried.length > 0) this.#whole(view, `chooses rows by ${this.#nameOf(read.relation, read.column)}`, carried);
    }
    for (const { attnum, reads, plain } of outputs) {
      const own = this.#columns.get(view)?.has(attnum) === true;
      for (const read of reads) {
        const carried = this.#carried(read);
        if (carried.length === 0 || (plain && own)) continue;
        this.#column(
          view,
          this.#columnName(view, attnum),
          `reads ${this.#nameOf(read.relation, read.column)}`,
          carried,
        );
      }
    }
  }

  /** Which classifications a column of a relation may have. */
  #carried({ relation, column }: ColumnRead): readonly string[] {
    const held = this.#columns.get(relation);
    const own = column === 0 ? [...(held?.values() ?? [])] : [held?.get(column)].filter((one) => one !== undefined);
    const through = this.#found.get(relation);
    const name = this.#columnName(relation, column);
    const derived =
      through !== undefined && (through.whole || column === 0 || name === undefined || through.columns.has(name));
    return derived ? [...own, ...through.classifications] : own;
  }

  #whole(relation: number, reason: string, classifications: Iterable<string>): void {
    this.#note(relation, reason, classifications).whole = true;
  }

  #column(relation: number, name: string | undefined, reason: string, classifications: Iterable<string>): void {
    const entry = this.#note(relation, reason, classifications);
    if (name === undefined) entry.whole = true;
    else entry.columns.add(name);
  }

  #note(relation: number, reason: string, classifications: Iterable<string>): Entry {
    const entry = this.#found.get(relation) ?? {
      classifications: new Set(),
      reasons: new Set(),
      columns: new Set(),
      whole: false,
    };
    this.#found.set(relation, entry);
    entry.reasons.add(reason);
    for (const one of classifications) entry.classifications.add(one);
    return entry;
  }

  get #size(): number {
    let size = 0;
    for (const { classifications, reasons, columns, whole } of this.#found.values())
      size += classifications.size + reasons.size + columns.size + (whole ? 1 : 0);
    return size;
  }

  #columnName(relation: number, attnum: number): string | undefined {
    return this.#relations.get(relation)?.columns.find((column) => column.attnum === attnum)?.name;
  }

  #nameOf(oid: number, attnum = 0): string {
    const name = qualified(this.#relations.get(oid) ?? { schema: 'oid', name: String(oid) });
    return attnum === 0 ? name : `${name}.${this.#columnName(oid, attnum) ?? attnum}`;
  }
}
