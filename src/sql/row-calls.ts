import type { Names } from './names.ts';
import { as, type Fields, fieldsOf, namesIn, text } from './node.ts';

/**
 * `o.f` and `(o).f` call the function `f` with a row where there is no such column. Which it is depends on what the name before
 * the dot stands for, so everything that has a name in a statement is collected first. Levels are not told apart: only what is a
 * column whatever the name stands for is no call.
 */
export class RowCalls {
  readonly #names: Names;
  /** Alias → the columns it certainly has, of each thing that is called so; undefined: nobody knows. */
  readonly #aliases = new Map<string, (ReadonlySet<string> | undefined)[]>();
  /** Of each pair once: there may be many of the same. */
  readonly #suspects = new Map<string, readonly [qualifier: string | undefined, name: string]>();

  constructor(names: Names) {
    this.#names = names;
  }

  /** A relation node, with or without an alias; `known`: it is none of the statement's own WITH queries. */
  relation(fields: Fields, known: boolean): void {
    const name = text(fields.relname) ?? '';
    const alias = fieldsOf(fields.alias);
    const columns =
      known && alias?.colnames === undefined ? this.#names.columnsOf?.(text(fields.schemaname), name) : undefined;
    this.#add(text(alias?.aliasname) ?? name, columns);
  }

  /** Anything else with an alias: a sub-query, a function, a join. */
  other(alias: unknown): void {
    const name = text(fieldsOf(alias)?.aliasname);
    if (name !== undefined) this.#add(name, undefined);
  }

  column(path: readonly string[]): void {
    if (path.length > 1) this.#suspect(path.at(-2), path.at(-1) ?? '');
  }

  /** `(value).name`, `(value)[1].name`. */
  indirection(fields: Fields): void {
    const of = namesIn(as('ColumnRef', fields.arg)?.fields);
    for (const [index, name] of namesIn(fields.indirection).entries())
      this.#suspect(index === 0 && of.length === 1 ? of[0] : undefined, name);
  }

  /** Functions that may have been called, once the whole statement was visited. */
  *found(): Iterable<string> {
    for (const [qualifier, name] of this.#suspects.values()) {
      const owners = qualifier === undefined ? undefined : this.#aliases.get(qualifier);
      if (owners?.every((columns) => columns?.has(name) === true) !== true) yield name;
    }
  }

  #add(alias: string, columns: ReadonlySet<string> | undefined): void {
    const same = this.#aliases.get(alias);
    if (same === undefined) this.#aliases.set(alias, [columns]);
    else same.push(columns);
  }

  #suspect(qualifier: string | undefined, name: string): void {
    if (this.#names.opaqueFunctions?.has(name) === true)
      this.#suspects.set(JSON.stringify([qualifier, name]), [qualifier, name]);
  }
}
