import type { Catalog, CatalogRelation } from '../catalog.ts';
import { type Fields, text } from '../node.ts';
import { holdsValues, isSystemName, isSystemSchema } from '../system-relations.ts';
import { Unsafe } from '../unsafe.ts';

/** What a relation's name stands for. */
export type Named =
  /** Nothing hidden is in it, whichever it is. `candidates`: those of the catalog that it may be. */
  | { readonly kind: 'harmless'; readonly candidates: readonly CatalogRelation[]; readonly temporary: boolean }
  /** Exactly this one; `schema`: to be written in front, because the name alone might come to mean another one. */
  | { readonly kind: 'certain'; readonly relation: CatalogRelation; readonly schema?: string };

export interface NamingOptions {
  readonly catalog: Catalog;
  readonly concerns: (relation: CatalogRelation) => boolean;
  /** The schemas that unqualified names are looked up in, in order, as `current_schemas(true)` has them; undefined: not known. */
  readonly searchPath?: readonly string[] | undefined;
  /** Names of temporary relations of this session. */
  readonly temporary?: ReadonlySet<string> | undefined;
  /** Names of other relations that it made and the catalog does not know. */
  readonly created?: ReadonlySet<string> | undefined;
}

/** Finds out which relation a name means. An unqualified name that could mean a protected one is pinned to a schema. */
export class Naming {
  readonly #options: NamingOptions;
  readonly #temporary: Set<string>;
  /** Relations that the session, or an earlier statement of the same text, made: in which schema, nobody knows. */
  readonly #created: Set<string>;
  #pathKnown: boolean;

  constructor(options: NamingOptions) {
    this.#options = options;
    this.#temporary = new Set(options.temporary);
    this.#created = new Set(options.created);
    this.#pathKnown = options.searchPath !== undefined;
  }

  /** An earlier statement of the same text may have changed search_path. */
  forgetPath(): undefined {
    this.#pathKnown = false;
  }

  /** Names of what earlier statements of the same text make. */
  get made(): readonly string[] {
    return [...this.#temporary, ...this.#created];
  }

  create(relation: Fields | undefined): undefined {
    const name = text(relation?.relname);
    if (name === undefined) return;
    if (isTemporaryName(relation)) this.#temporary.add(name);
    else this.#created.add(name);
  }

  isTemporary(fields: Fields): boolean {
    const schema = text(fields.schemaname);
    const name = text(fields.relname) ?? '';
    if (schema !== undefined) return isTemporarySchema(schema);
    return this.#temporary.has(name) && this.#options.catalog.named(name).length === 0;
  }

  /** Throws Unsafe for what nobody knows, or cannot be told. */
  of(fields: Fields): Named {
    const schema = text(fields.schemaname);
    const name = text(fields.relname) ?? '';
    if (holdsValues(name)) {
      throw new Unsafe(
        `${name} holds copies of values from classified columns or of other people's statements`,
        'ask somebody who may see them',
      );
    }
    return schema === undefined ? this.#unqualified(name) : this.#qualified(schema, name);
  }

  #qualified(schema: string, name: string): Named {
    if (isSystemSchema(schema)) return { kind: 'harmless', candidates: [], temporary: false };
    if (isTemporarySchema(schema)) return { kind: 'harmless', candidates: [], temporary: true };
    const relation = this.#options.catalog.named(name).find((one) => one.schema === schema);
    if (relation !== undefined) return { kind: 'certain', relation };
    if (this.#created.has(name)) return { kind: 'harmless', candidates: [], temporary: false };
    throw unknown(`${schema}.${name}`);
  }

  #unqualified(name: string): Named {
    const named = this.#options.catalog.named(name);
    const temporary = this.#temporary.has(name);
    const system = isSystemName(name);
    if (!named.some((one) => this.#options.concerns(one))) {
      if (named.length === 0 && !temporary && !system && !this.#created.has(name)) throw unknown(name);
      const [only] = named;
      if (named.length === 1 && only !== undefined && !temporary && !system && !this.#created.has(name))
        return { kind: 'certain', relation: only };
      return { kind: 'harmless', candidates: named, temporary: temporary && named.length === 0 };
    }
    // Relations of the server's own come first, temporary ones even before them.
    if (temporary || system || this.#created.has(name)) throw ambiguous(name, named);
    const relation = this.#onPath(name, named);
    return { kind: 'certain', relation, schema: relation.schema };
  }

  #onPath(name: string, named: readonly CatalogRelation[]): CatalogRelation {
    const path = this.#pathKnown ? this.#options.searchPath : undefined;
    if (path === undefined) {
      const [only] = named;
      if (named.length === 1 && only !== undefined) return only;
      throw ambiguous(name, named);
    }
    for (const schema of path) {
      if (schema === 'information_schema') break;
      const found = named.find((one) => one.schema === schema);
      if (found !== undefined) return found;
    }
    throw ambiguous(name, named);
  }
}

export function isTemporarySchema(schema: string): boolean {
  return schema === 'pg_temp' || schema.startsWith('pg_temp_');
}

export function isTemporaryName(relation: Fields | undefined): boolean {
  return relation?.relpersistence === 't' || isTemporarySchema(text(relation?.schemaname) ?? '');
}

function unknown(name: string): Unsafe {
  return new Unsafe(
    `${name} is not a relation that the gateway knows`,
    'check its name; if it is new, try again in a moment',
  );
}

function ambiguous(name: string, named: readonly CatalogRelation[]): Unsafe {
  const [one] = named;
  return new Unsafe(
    `the gateway cannot tell which ${name} is meant`,
    `write the schema in front of it: ${one?.schema ?? 'schema'}.${name}`,
  );
}
