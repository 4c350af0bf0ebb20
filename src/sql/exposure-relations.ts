import type { Catalog } from './catalog.ts';
import { objectResources } from './ddl-objects.ts';
import { clean, type Hidden, type Table, tableNamed } from './hidden.ts';
import { eachChild, type Fields, text } from './node.ts';
import { holdsValues, isSystemName, isSystemSchema } from './system-relations.ts';
import { Unsafe } from './unsafe.ts';

/** What the relations that one command names stand for; remembers those that it makes, and whether any holds something hidden. */
export class Relations {
  touches = false;
  readonly #catalog: Catalog;
  readonly #hidden: Hidden;
  /** Relations that the catalog cannot know, because the session made them. */
  readonly #created: Set<string>;
  readonly #tables = new Map<string, Table | undefined>();

  constructor(catalog: Catalog, hidden: Hidden, created: Iterable<string>) {
    this.#catalog = catalog;
    this.#hidden = hidden;
    this.#created = new Set(created);
  }

  /** One whose rows are read or written. Throws Unsafe for what nobody knows, or whose rows tell by themselves. */
  used(fields: Fields, ctes: ReadonlySet<string>): Table {
    const schema = text(fields.schemaname);
    const name = text(fields.relname) ?? '';
    if (schema === undefined && ctes.has(name)) return clean(name);
    const system = schema === undefined ? isSystemName(name) : isSystemSchema(schema);
    if (holdsValues(name))
      throw new Unsafe(
        `${name} holds copies of values from classified columns or of other people's statements`,
        'ask somebody who may see them',
      );
    const table = this.#named(schema, name);
    if (table !== undefined) {
      if (table.sensitive) this.touches = true;
      if (table.shaped !== undefined) {
        throw new Unsafe(
          `hidden values may decide which rows there are in ${table.shaped}`,
          'read the tables themselves, or ask for a view that only picks columns',
        );
      }
      return table;
    }
    if (system || this.#created.has(name)) return clean(name);
    throw new Unsafe(
      `${schema === undefined ? '' : `${schema}.`}${name} is not a relation that the gateway knows`,
      'check its name; if it is new, try again in a moment',
    );
  }

  /** Code that runs by itself may put anything into the row that RETURNING shows, and say anything in notices and errors. */
  written({ name, runs }: Table, shows: boolean): undefined {
    if (runs === undefined) return undefined;
    this.touches = true;
    const code = runs.functions.slice(0, 3).join(', ');
    if (runs.reads)
      throw new Unsafe(
        `writing to ${name} runs ${code}, which may read classified data`,
        `ask for ${code} to be reviewed, and allowed`,
      );
    if (shows)
      throw new Unsafe(
        `writing to ${name} runs ${code}: nobody knows what RETURNING would show`,
        `leave out RETURNING, or ask for ${code} to be reviewed, and allowed`,
      );
  }

  /** Those with something hidden that a definition or an administrative statement names, without reading their rows. */
  mentioned(kind: string, fields: Fields): readonly Table[] {
    const tables: Table[] = [];
    const add = (schema: string | undefined, name: string | undefined): void => {
      const table = name === undefined ? undefined : this.#named(schema, name);
      if (table?.sensitive === true) tables.push(table);
    };
    const visit = (child: string, inner: Fields): void => {
      if (child === 'RangeVar') add(text(inner.schemaname), text(inner.relname));
      else if (child !== 'SelectStmt') eachChild(child, inner, visit);
    };
    eachChild(kind, fields, visit);
    for (const { type, names } of objectResources(kind, fields)) if (type === 'Table') add(names.at(-2), names.at(-1));
    if (tables.length > 0) this.touches = true;
    return tables;
  }

  /** One with something hidden in this schema. */
  heldBy(schemaName: string | undefined): Table | undefined {
    for (const { schema, name } of this.#catalog.relations) {
      const table = schema === schemaName ? this.#named(schema, name) : undefined;
      if (table?.sensitive === true) return table;
    }
  }

  create(relation: Fields | undefined): undefined {
    const name = text(relation?.relname);
    if (name !== undefined) this.#created.add(name);
  }

  #named(schema: string | undefined, name: string): Table | undefined {
    const key = JSON.stringify([schema, name]);
    if (!this.#tables.has(key)) this.#tables.set(key, tableNamed(this.#catalog, this.#hidden, schema, name));
    return this.#tables.get(key);
  }
}
