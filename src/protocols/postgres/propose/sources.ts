import type { Schema, SchemaRelation } from '../schema.ts';
import type { Candidate } from './candidate.ts';
import type { ValueType } from './value-type.ts';

/** Where values of some columns are to be had. */
export interface Source {
  readonly relation: SchemaRelation;
  readonly schema: string;
  readonly name: string;
  readonly pages: number;
  /** Policies decide which rows there are. */
  readonly rowSecurity: boolean;
  readonly columns: readonly Candidate[];
}

export interface Size {
  readonly pages: number;
  readonly populated: boolean;
  readonly usable: boolean;
}

export interface Sources {
  readonly sources: readonly Source[];
  /** Relations with columns worth a look that the role may not read. */
  readonly unreadable: readonly SchemaRelation[];
  /** Relations that run code of the database's own when they are read. */
  readonly guarded: readonly SchemaRelation[];
}

const columnsAtOnce = 64;
/** Types in which a value can be recognised. */
const looked: ReadonlySet<ValueType> = new Set(['text', 'number', 'document']);

/**
 * Where each candidate is looked at: its own table or materialized view, or the largest partition of a partitioned one. Views and
 * foreign tables are not: reading them may run code, and reach other servers.
 */
export function sourcesOf(
  schema: Schema,
  candidates: readonly Candidate[],
  sizes: ReadonlyMap<number, Size>,
  readable: ReadonlySet<string>,
): Sources {
  const guardedBy = new Set(schema.writtenCode.filter(({ by }) => by === 'policy').map(({ relation }) => relation));
  const sources: Source[] = [];
  const unreadable: SchemaRelation[] = [];
  const guarded: SchemaRelation[] = [];
  for (const [relation, wanted] of Map.groupBy(
    candidates.filter((one) => looked.has(one.type) && one.safe),
    (one) => one.relation,
  )) {
    const keeper = relation.kind === 'p' ? largestPartition(schema, relation, sizes) : relation;
    const size = keeper && sizes.get(keeper.oid);
    if (keeper === undefined || size === undefined || !size.populated) continue;
    const columns = wanted.filter(({ column }) => {
      const attnum = keeper.columns.find(({ name }) => name === column)?.attnum;
      return size.usable && attnum !== undefined && readable.has(`${keeper.oid}.${attnum}`);
    });
    if (columns.length === 0) unreadable.push(relation);
    else if (guardedBy.has(keeper.oid)) guarded.push(relation);
    else
      for (let at = 0; at < columns.length; at += columnsAtOnce) {
        const some = columns.slice(at, at + columnsAtOnce);
        const { schema: inSchema, name, rowSecurity } = keeper;
        sources.push({ relation, schema: inSchema, name, pages: size.pages, rowSecurity, columns: some });
      }
  }
  return { sources, unreadable, guarded };
}

function largestPartition(
  { relations, parents }: Schema,
  { oid }: SchemaRelation,
  sizes: ReadonlyMap<number, Size>,
): SchemaRelation | undefined {
  const childrenOf = Map.groupBy(parents, ({ parent }) => parent);
  const below = new Set([oid]);
  for (const one of below) for (const { child } of childrenOf.get(one) ?? []) below.add(child);
  return relations
    .filter((relation) => relation.kind === 'r' && below.has(relation.oid))
    .reduce<SchemaRelation | undefined>((largest, relation) => {
      const pages = (one: SchemaRelation) => sizes.get(one.oid)?.pages ?? 0;
      return largest === undefined || pages(relation) > pages(largest) ? relation : largest;
    }, undefined);
}
