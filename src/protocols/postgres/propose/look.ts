import { type Classification, classify } from '../classification.ts';
import type { QueryConnection, Row } from '../query-connection.ts';
import { firstOwnOid, readable, readSchema, type Schema } from '../schema.ts';
import type { PostgresSettings } from '../settings.ts';
import { type Candidate, inheritedColumns, keyOf } from './candidate.ts';
import type { Reference } from './lineage.ts';
import { baseTypes, references, sizes } from './queries.ts';
import { type Size, type Sources, sourcesOf } from './sources.ts';
import { isArray, valueTypeOf } from './value-type.ts';

/** What there is to look at. */
export interface Known {
  readonly schema: Schema;
  readonly classification: Classification;
  readonly references: readonly Reference[];
  readonly candidates: readonly Candidate[];
  readonly sources: Sources;
}

/** Type of a domain's values, or of those that behave like another type's; undefined where that is code of its own. */
type BaseOf = (typeOid: number) => number | undefined;

/** Columns whose privileges are asked for at once. */
const columnsAtOnce = 5000;

/** Everything but the samples, over one connection that is closed then. */
export async function look(connection: QueryConnection, settings: PostgresSettings, timeoutMs: number): Promise<Known> {
  try {
    const schema = await readSchema(connection, timeoutMs, ({ relations }) =>
      relations.filter(({ kind }) => kind === 'v' || kind === 'm').map(({ oid }) => oid),
    );
    const ask = (sql: string) => connection.run(sql, timeoutMs);
    const sized = new Map<number, Size>((await ask(sizes)).map(readSize));
    const bases = new Map((await ask(baseTypes)).map(([type, base]) => [Number(type), Number(base)]));
    const referred = (await ask(references)).map(readReference);
    const columns = schema.relations
      .filter(({ kind }) => kind === 'r' || kind === 'm')
      .flatMap(({ oid, columns: of }) => of.map(({ attnum }) => ({ oid, attnum })));
    const mayRead = new Set<string>();
    for (let at = 0; at < columns.length; at += columnsAtOnce)
      for (const one of await readable(connection, columns.slice(at, at + columnsAtOnce), timeoutMs)) mayRead.add(one);
    const classification = classify(schema, settings.classify, new Set(settings.allowFunctions));
    const candidates = candidatesOf(schema, classification, (typeOid) =>
      typeOid < firstOwnOid ? typeOid : bases.get(typeOid),
    );
    const sources = sourcesOf(schema, candidates, sized, mayRead);
    return { schema, classification, references: referred, candidates, sources };
  } finally {
    connection.close();
  }
}

function readSize([oid, pages, populated, usable]: Row): readonly [number, Size] {
  return [Number(oid), { pages: Number(pages), populated: populated === 't', usable: usable === 't' }];
}

function readReference([relation, column, to, toColumn]: Row): Reference {
  return { from: keyOf(Number(relation), Number(column)), to: keyOf(Number(to), Number(toColumn)) };
}

/** Columns that are not classified and do not hold the data of another that could be: a partition's, a generated one's. */
function candidatesOf(schema: Schema, { columns }: Classification, baseOf: BaseOf): readonly Candidate[] {
  const inherited = inheritedColumns(schema);
  return schema.relations.flatMap((relation) => {
    if (relation.kind === 'S') return [];
    const here = columns.get(relation.oid);
    return relation.columns
      .filter(({ attnum, name }) => here?.has(attnum) !== true && !inherited(relation.oid, name))
      .map(({ attnum, name, typeOid }) => {
        const base = baseOf(typeOid);
        const type = valueTypeOf(base ?? typeOid);
        return { relation, attnum, column: name, type, array: isArray(base ?? typeOid), safe: base !== undefined };
      });
  });
}
