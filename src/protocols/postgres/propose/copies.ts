import type { Schema, SchemaRelation } from '../schema.ts';
import { wordsOf } from './words.ts';

/** Words that make the name of a copy from that of a table, before or behind it; or that name a schema of copies. */
const copyWords =
  /_(audit|audits|audited|history|hist|log|logs|archive|archived|archiv|backup|bak|copy|old|versions?|snapshot|snapshots|shadow|staging|stage|tmp|temp|deleted|changes|changelog|journal|protokoll|historie|verlauf|sicherung|kopie|events)(?=_)/g;

/** A table that seems to hold what another holds, by their names. */
export interface Copy {
  readonly copy: SchemaRelation;
  readonly of: SchemaRelation;
}

/** `customers_audit`, `log_customer`, `history.customers` beside `customers`, where `sensitive` says that the original matters. */
export function copiesOf(
  { relations }: Pick<Schema, 'relations'>,
  sensitive: (relation: number) => boolean,
): readonly Copy[] {
  const tables = relations.filter(({ kind }) => kind === 'r' || kind === 'p' || kind === 'f' || kind === 'm');
  const originals = new Map<string, SchemaRelation>();
  // The same schema counts for more than another, so it is asked for first.
  for (const table of tables) {
    if (!sensitive(table.oid)) continue;
    for (const key of [`${table.schema}\0${stem(wordsOf(table.name))}`, stem(wordsOf(table.name))])
      if (!originals.has(key)) originals.set(key, table);
  }
  return tables.flatMap((copy) => {
    const words = wordsOf(copy.name);
    const without = words.replace(copyWords, '');
    const elsewhere = without === words && wordsOf(copy.schema).search(copyWords) >= 0;
    if (without === '_' || (without === words && !elsewhere)) return [];
    const key = stem(without);
    const of = originals.get(`${copy.schema}\0${key}`) ?? originals.get(key);
    return of === undefined || of.oid === copy.oid ? [] : [{ copy, of }];
  });
}

/** Singular and plural are one; so is `_2024_01`. */
function stem(words: string): string {
  return words.replace(/(_\d+)+_$/, '_').replace(/(?:en|es|s|n)?_$/, '_');
}
