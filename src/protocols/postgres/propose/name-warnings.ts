import type { Classification } from '../classification.ts';
import { qualified, type Schema } from '../schema.ts';
import { fieldName, inheritedColumns, listed } from './candidate.ts';
import { copiesOf } from './copies.ts';
import { nameMeaning } from './name-meaning.ts';
import { valueTypeOf } from './value-type.ts';

/** A column, as far as its name tells about it. */
export interface NamedColumn {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
  readonly typeOid: number;
}

const mostShown = 10;
const mostCopies = 5;
/** A name has to say this much by itself to be worth an operator's time. */
const worthSaying = 0.8;

/**
 * What an operator should know of a schema by its names alone: columns that nobody classified, copies of classified tables. A few lines,
 * however large it is. Nothing is asked and no value is looked at.
 */
export function nameWarnings(
  schema: Pick<Schema, 'relations' | 'parents'>,
  { columns, derived }: Pick<Classification, 'columns' | 'derived'>,
): readonly string[] {
  const inherited = inheritedColumns(schema);
  const own = schema.relations.flatMap((relation) =>
    relation.kind === 'v' || relation.kind === 'S' || derived.has(relation.oid)
      ? []
      : relation.columns
          .filter(
            ({ attnum, name }) => columns.get(relation.oid)?.has(attnum) !== true && !inherited(relation.oid, name),
          )
          .map(({ name, typeOid }) => ({ schema: relation.schema, table: relation.name, column: name, typeOid })),
  );
  return [...unclassifiedWarnings(own), ...copyWarnings(schema, columns)];
}

/** At most one line on columns of which none is classified. */
export function unclassifiedWarnings(
  columns: Iterable<NamedColumn>,
  classified: (column: NamedColumn) => boolean = () => false,
): readonly string[] {
  const suspects: string[] = [];
  // Large schemas have the same few names over and over.
  const meanings = new Map<string, ReturnType<typeof nameMeaning>>();
  for (const one of columns) {
    const key = `${one.typeOid} ${one.column}`;
    // What a name means only in a table about people is never sure enough, so the table does not matter.
    if (!meanings.has(key)) meanings.set(key, nameMeaning('', one.column, valueTypeOf(one.typeOid)));
    const meaning = meanings.get(key);
    if (meaning === undefined || meaning.confidence < worthSaying || classified(one)) continue;
    suspects.push(fieldName({ schema: one.schema, name: one.table }, one.column));
  }
  if (suspects.length === 0) return [];
  return [
    `not classified, though the name suggests it: ${listed(suspects, mostShown)}; sallyport classify proposes what to add`,
  ];
}

/** Tables that seem to be copies of classified ones, and hold under the same name, or in documents, what is not classified there. */
function copyWarnings(schema: Pick<Schema, 'relations'>, classified: Classification['columns']): readonly string[] {
  const warnings = copiesOf(schema, (oid) => classified.has(oid)).flatMap(({ copy, of }) => {
    const here = classified.get(copy.oid);
    const there = classified.get(of.oid);
    const sensitive = new Set(of.columns.filter(({ attnum }) => there?.has(attnum)).map(({ name }) => name));
    const open = copy.columns
      .filter(
        ({ attnum, name, typeOid }) =>
          here?.has(attnum) !== true && (sensitive.has(name) || valueTypeOf(typeOid) === 'document'),
      )
      .map(({ name }) => name);
    if (open.length === 0) return [];
    return [
      `${qualified(copy)} seems to be a copy of ${qualified(of)}, which is classified; here these are not: ${listed(open)}`,
    ];
  });
  if (warnings.length <= mostCopies) return warnings;
  return [
    ...warnings.slice(0, mostCopies),
    `${warnings.length - mostCopies} more tables seem to be copies of classified ones`,
  ];
}
