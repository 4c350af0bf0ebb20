import type { Catalog, CatalogRelation } from '../catalog.ts';
import { parse } from '../parse.ts';
import { Unsafe } from '../unsafe.ts';
import { Naming } from './naming.ts';
import type { Protections } from './protection.ts';
import { type ReadingMask, Rewriting } from './rewriting.ts';
import { noCtes } from './scope.ts';
import { Walk } from './walk.ts';

/** Views inside views, and how long a statement may become by them. */
const maxDepth = 16;
export const maxLength = 1 << 19;

export interface RewrittenView {
  readonly text: string;
  /** Masks in it that look at their columns; those of views inside it too. */
  readonly reading: readonly ReadingMask[];
}

/** What views that are read by their own queries become; each is rewritten once. */
export class Views {
  readonly #catalog: Catalog;
  readonly #protections: Protections;
  readonly #known = new Map<CatalogRelation, RewrittenView>();

  constructor(catalog: Catalog, protections: Protections) {
    this.#catalog = catalog;
    this.#protections = protections;
  }

  /** Throws Unsafe for one that cannot be made harmless. */
  of(view: CatalogRelation, definition: string, depth = 0): RewrittenView {
    let known = this.#known.get(view);
    if (known === undefined) {
      known = this.#rewrite(view, definition, depth);
      this.#known.set(view, known);
    }
    return known;
  }

  #rewrite({ name }: CatalogRelation, definition: string, depth: number): RewrittenView {
    if (depth > maxDepth) throw new Unsafe(`views are nested too deep behind ${name}`, 'read the tables themselves');
    const source = definition.replace(/;\s*$/, '');
    const [statement, ...more] = parse(source);
    if (statement === undefined || statement.kind !== 'SelectStmt' || more.length > 0)
      throw new Unsafe(`the gateway cannot read the definition of ${name}`, 'read the tables themselves');
    const [catalog, protections] = [this.#catalog, this.#protections];
    const reading: ReadingMask[] = [];
    const rewriting = new Rewriting(source, {
      catalog,
      protections,
      // It came from the server with every name of a relation qualified.
      naming: new Naming({ catalog, concerns: (one) => protections.concerns(one) }),
      keyedPass: false,
      inline: (view, query) => {
        const inner = this.of(view, query, depth + 1);
        reading.push(...inner.reading);
        return inner.text;
      },
    });
    new Walk(rewriting).select(statement.fields, undefined, noCtes, { where: 'a view' });
    const text = rewriting.result();
    if (text.length > maxLength) throw tooLong();
    return { text, reading: distinct([...reading, ...rewriting.reading]) };
  }
}

export function distinct(masks: readonly ReadingMask[]): readonly ReadingMask[] {
  return [...new Map(masks.map((one) => [JSON.stringify([one.schema, one.table, one.column]), one])).values()];
}

export function tooLong(): Unsafe {
  return new Unsafe('the statement becomes too long with the views that it reads', 'read the tables themselves');
}
