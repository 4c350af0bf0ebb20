import { readFileSync } from 'node:fs';
import { type Catalog, type CatalogRelation, catalogOf } from '../catalog.ts';
import { type Hidden, hide } from '../hidden.ts';

interface ShopFile {
  readonly hidden: readonly string[];
  readonly relations: readonly (Omit<CatalogRelation, 'columns'> & { readonly columns: string })[];
  readonly opaqueFunctions: readonly string[];
  readonly opaqueOperators: readonly string[];
  readonly opaqueTypes: readonly string[];
  readonly trustedFunctions: readonly string[];
  readonly trustedOperators: readonly string[];
}

const file = JSON.parse(readFileSync(new URL('./shop.json', import.meta.url), 'utf8')) as ShopFile;

/** The catalog of a small shop, for tests: `name` or `name:classification`, in order. */
export const shop: Catalog = catalogOf({
  version: 'shop',
  relations: file.relations.map((relation) => ({
    ...relation,
    columns: relation.columns.split(' ').map((column, index) => {
      const [name = '', classification] = column.split(':');
      return { name, attnum: index + 1, typeOid: 25, ...(classification === undefined ? {} : { classification }) };
    }),
  })),
  opaqueFunctions: new Set(file.opaqueFunctions),
  opaqueOperators: new Set(file.opaqueOperators),
  opaqueTypes: new Set(file.opaqueTypes),
  trustedFunctions: new Set(file.trustedFunctions),
  trustedOperators: new Set(file.trustedOperators),
});

export const shopHidden: Hidden = hide(file.hidden);
