import { Refusal } from '../../model/errors.ts';
import type { Catalog } from '../catalog.ts';
import { type Hidden, hide, hidesAnything } from '../hidden.ts';
import type { Statement } from '../parse.ts';
import { Unsafe } from '../unsafe.ts';
import type { MasksOf } from './masks.ts';
import { Protections } from './protection.ts';
import type { ReadingMask } from './rewriting.ts';
import type { Splice } from './splices.ts';
import { TextRewrite } from './text-rewrite.ts';
import { Views } from './views.ts';

export type { ReadingMask } from './rewriting.ts';

/** What a statement's names mean in the session that runs it. */
export interface SessionNames {
  /** As `current_schemas(true)` has it; undefined: not known, then names that several schemas have must be qualified. */
  readonly searchPath?: readonly string[];
  /** Temporary relations of the session. */
  readonly temporary?: ReadonlySet<string>;
  /** Other relations that the session made and the catalog does not know yet. Masks are not written to them. */
  readonly created?: ReadonlySet<string>;
  /** EXECUTE may pass: what it runs was rewritten when it was prepared. */
  readonly preparedChecked?: boolean;
}

export interface RewriteScope extends SessionNames {
  readonly catalog: Catalog;
  /** The classifications that the caller may not see. */
  readonly hidden: Hidden;
}

export type Rewrite =
  | {
      readonly outcome: 'rewritten' | 'unchanged';
      readonly text: string;
      /** Hidden columns that it reads as masks, as far as one can see; for the record and for people. */
      readonly masked: readonly string[];
      /** Columns with keyed masks stand in the reply as they are: the gateway has to mask them, by their origin. */
      readonly keyedPass: boolean;
      /** It names relations with something hidden in them. */
      readonly touches: boolean;
      readonly hints: readonly string[];
      /** What was changed, in order, at offsets into the UTF-8 of the original text. */
      readonly edits: readonly Splice[];
      /** For a text that is one EXPLAIN, DECLARE, PREPARE, COPY (…), CREATE TABLE AS or SELECT INTO: the query in it, rewritten. */
      readonly inner?: string;
      /** Masks that look at the column, as they stand in the text. */
      readonly reading: readonly ReadingMask[];
    }
  | { readonly outcome: 'refused'; readonly reason: string; readonly advice: string };

/** `rewriteStatement` for many statements of one caller: what is known of relations is worked out once. */
export interface Rewriter {
  rewrite(text: string, statements: readonly Statement[], session?: SessionNames): Rewrite;
}

/**
 * Makes a text harmless: each relation with something hidden in it becomes a sub-select in which hidden columns are masks of the same
 * type, so that whatever the statement does it only ever meets masks. Names in what is put in are qualified; the rest of the text
 * stays as it is. What cannot be done surely is refused. Never throws.
 */
export function rewriteStatement(
  source: string,
  statements: readonly Statement[],
  scope: RewriteScope,
  masksOf: MasksOf,
): Rewrite {
  return createRewriter(scope.catalog, scope.hidden, masksOf).rewrite(source, statements, scope);
}

export function createRewriter(catalog: Catalog, hidden: Hidden, masksOf: MasksOf): Rewriter {
  const protections = new Protections(catalog, hidden, masksOf);
  const keyed = hide(keyedClassifications(catalog, hidden, masksOf));
  const parts = { catalog, hidden, protections, keyed, views: new Views(catalog, protections) };
  return {
    rewrite(source, statements, session = {}) {
      if (!hidesAnything(catalog, hidden)) return unchanged(source);
      try {
        return new TextRewrite(source, statements, parts, session).run();
      } catch (error) {
        if (error instanceof Unsafe) return { outcome: 'refused', reason: error.message, advice: error.advice };
        if (error instanceof Refusal)
          return { outcome: 'refused', reason: error.message, advice: error.details.advice ?? 'simplify it' };
        return {
          outcome: 'refused',
          reason: 'the statement is too complex to be followed',
          advice: 'simplify it or split it',
        };
      }
    },
  };
}

function unchanged(source: string): Rewrite {
  return {
    outcome: 'unchanged',
    text: source,
    masked: [],
    keyedPass: false,
    touches: false,
    hints: [],
    edits: [],
    reading: [],
  };
}

function keyedClassifications(catalog: Catalog, hidden: Hidden, masksOf: MasksOf): ReadonlySet<string> {
  const keyed = new Set<string>();
  for (const relation of catalog.relations)
    for (const column of relation.columns)
      if (column.classification !== undefined && hidden.classifications.has(column.classification))
        if (masksOf(relation, column)?.keyed === true) keyed.add(column.classification);
  return keyed;
}
