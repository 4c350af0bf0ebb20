import type { Classification } from '../classification.ts';
import { qualified, type Schema, type SchemaRelation } from '../schema.ts';
import { listed, named } from './candidate.ts';
import type { Copy } from './copies.ts';
import type { Sampled } from './sampler.ts';
import type { Sources } from './sources.ts';
import { valueTypeOf } from './value-type.ts';

export interface Looked {
  readonly missing: readonly { readonly entry: string; readonly meant: string | undefined }[];
  readonly schema: Schema;
  /** What would be classified with the proposals. */
  readonly hypothesis: Classification;
  readonly copies: readonly Copy[];
  readonly sources: Sources;
  readonly sampled: Sampled;
}

const mostOfAKind = 20;

/** What a person should know besides the proposals; one sentence each, worst first. Names, codes and counts only. */
export function proposalWarnings(looked: Looked): string[] {
  const { missing, schema, hypothesis, copies, sources, sampled } = looked;
  return [
    ...some(
      missing.map(
        ({ entry, meant }) =>
          `classify: there is no column ${entry}; nothing is masked by this entry${meant === undefined ? '' : `; did you mean ${meant}?`}`,
      ),
    ),
    ...some(copies.map(copyWarning)),
    ...some(madeOf(schema, hypothesis)),
    ...about(sources.unreadable, 'judged by name only, because the role may not read them'),
    ...about(
      sources.guarded,
      "judged by name only, because a row security policy would run functions of the database's own",
    ),
    ...some(
      sampled.failed.map(
        ({ relation, code }) => `${qualified(relation)} could not be sampled: the server said ${code}`,
      ),
    ),
    ...about(sampled.left, 'judged by name only, because there was no time left to sample them'),
    ...about(
      schema.relations.filter(({ kind }) => kind === 'f'),
      'foreign tables, which are judged by name only',
    ),
  ];
}

function copyWarning({ copy, of }: Copy): string {
  const documents = copy.columns.filter(({ typeOid }) => valueTypeOf(typeOid) === 'document').map(({ name }) => name);
  const within =
    documents.length === 0 ? '' : `; ${listed(documents)} may hold whole rows of it: classify such a column as a whole`;
  return `${qualified(copy)} seems to hold copies of rows of ${qualified(of)}, by its name${within}`;
}

/** Views and the like that show more of classified data than single columns. */
function madeOf({ relations }: Schema, { derived }: Classification): readonly string[] {
  return relations.flatMap(({ oid, schema, name, kind }) => {
    const how = derived.get(oid);
    if (how === undefined) return [];
    const what = kind === 'm' ? 'materialized view' : kind === 'v' ? 'view' : 'relation';
    const keeps = kind === 'm' ? 'keeps a copy of' : 'is made of';
    return [
      `${what} ${qualified({ schema, name })} ${keeps} classified or proposed columns: it ${how.reasons.slice(0, 3).join(', ')}`,
    ];
  });
}

function about(relations: readonly SchemaRelation[], what: string): readonly string[] {
  const distinct = [...new Set(relations)];
  return distinct.length === 0 ? [] : [`${named(distinct)}: ${what}`];
}

function some(warnings: readonly string[]): readonly string[] {
  if (warnings.length <= mostOfAKind) return warnings;
  return [...warnings.slice(0, mostOfAKind), `${warnings.length - mostOfAKind} more of this kind`];
}
