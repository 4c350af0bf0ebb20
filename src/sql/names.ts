/** How the names in a statement are to be understood; see `namesFrom` in catalog.ts. */
export interface Names {
  /**
   * The schemas that an unqualified relation name may mean; each becomes a resource, so that search_path cannot matter.
   * None: the bare name is the resource's id.
   */
  schemasOf(relation: string): readonly string[];
  /** Functions outside pg_catalog that are known to do nothing but compute (of trusted extensions, reviewed ones); unqualified. */
  readonly trustedFunctions?: ReadonlySet<string>;
  /** Names of all other functions outside pg_catalog: an unqualified call of such a name may mean them. */
  readonly opaqueFunctions?: ReadonlySet<string>;
  /** The same of operators and types; see `CatalogSnapshot`. */
  readonly opaqueOperators?: ReadonlySet<string>;
  readonly opaqueTypes?: ReadonlySet<string>;
  /** Columns that a relation of this name certainly has, in whatever schema it is; undefined when nobody knows. */
  columnsOf?(schema: string | undefined, relation: string): ReadonlySet<string> | undefined;
}

export const bareNames: Names = { schemasOf: () => [] };
