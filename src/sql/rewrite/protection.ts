import type { Catalog, CatalogColumn, CatalogRelation } from '../catalog.ts';
import type { Hidden } from '../hidden.ts';
import { Unsafe } from '../unsafe.ts';
import { type MaskExpression, type MasksOf, maskExpression } from './masks.ts';

export interface MaskedColumn {
  readonly relation: CatalogRelation;
  readonly column: CatalogColumn;
  readonly mask: MaskExpression;
  /** `customers.ssn (pii.ssn)`, for messages. */
  readonly label: string;
}

/** A relation with something in it that the caller may not see. */
export interface Protection {
  readonly relation: CatalogRelation;
  /** By column name. */
  readonly masks: ReadonlyMap<string, MaskedColumn>;
  /** Hidden values decide what a view shows: its own query is put in its place, and rewritten. */
  readonly inlined?: string;
}

/** What the relations of one catalog need for one caller; worked out once. */
export class Protections {
  readonly #catalog: Catalog;
  readonly #hidden: Hidden;
  readonly #masksOf: MasksOf;
  readonly #known = new Map<CatalogRelation, Protection | Unsafe | undefined>();

  constructor(catalog: Catalog, hidden: Hidden, masksOf: MasksOf) {
    this.#catalog = catalog;
    this.#hidden = hidden;
    this.#masksOf = masksOf;
  }

  /** Does it hold, or come from, anything that is hidden? */
  concerns({ columns, derived }: CatalogRelation): boolean {
    const { classifications } = this.#hidden;
    return (
      columns.some(({ classification }) => classification !== undefined && classifications.has(classification)) ||
      derived?.classifications.some((one) => classifications.has(one)) === true
    );
  }

  /** Undefined: nothing in it is hidden. Throws Unsafe for one that cannot be made harmless. */
  of(relation: CatalogRelation): Protection | undefined {
    if (!this.#known.has(relation)) this.#known.set(relation, this.#work(relation));
    const known = this.#known.get(relation);
    if (known instanceof Unsafe) throw known;
    return known;
  }

  #work(relation: CatalogRelation): Protection | Unsafe | undefined {
    if (!this.concerns(relation)) return undefined;
    try {
      return this.#protect(relation);
    } catch (error) {
      if (error instanceof Unsafe) return error;
      throw error;
    }
  }

  #protect(relation: CatalogRelation): Protection {
    const masks = new Map<string, MaskedColumn>();
    for (const column of relation.columns) {
      const { name, classification } = column;
      if (classification === undefined || !this.#hidden.classifications.has(classification)) continue;
      const mask = this.#masksOf(relation, column);
      if (mask === undefined) throw unknownType(relation, name);
      masks.set(name, { relation, column, mask, label: `${relation.name}.${name} (${classification})` });
    }
    const { derived, definition } = relation;
    const from = derived?.classifications.filter((one) => this.#hidden.classifications.has(one)) ?? [];
    if (derived === undefined || from.length === 0) return { relation, masks };
    if (relation.kind === 'v' && definition !== undefined) return { relation, masks, inlined: definition };
    if (derived.plain !== true) {
      throw new Unsafe(
        `hidden values may decide which rows there are in ${relation.name} (comes from ${from.join(', ')})`,
        'read the tables themselves, or ask for a view that only picks columns',
      );
    }
    const names = derived.columns === 'all' ? relation.columns.map(({ name }) => name) : derived.columns;
    for (const column of relation.columns) {
      if (!names.includes(column.name) || column.classification !== undefined) continue;
      if (column.type === undefined) throw unknownType(relation, column.name);
      const classification = from.join(',');
      const mask = maskExpression('null', classification, column.type, this.#catalog.opaqueTypes);
      masks.set(column.name, {
        relation,
        column,
        mask,
        label: `${relation.name}.${column.name} (comes from ${from.join(', ')})`,
      });
    }
    return { relation, masks };
  }
}

function unknownType({ name }: CatalogRelation, column: string): Unsafe {
  return new Unsafe(
    `the gateway does not know how to mask ${name}.${column}`,
    'leave it out, or try again in a moment if it is new',
  );
}
