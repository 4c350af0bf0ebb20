import { Refusal } from '../../model/errors.ts';
import { field, type ResponseHead } from '../message.ts';
import { type BodyKind, maskerFor } from './body-kind.ts';
import { codingsOf } from './coding.ts';
import type { ContentType } from './content-type.ts';
import type { BodyRules } from './rules.ts';

/** How one body will be shown; made from the head that announces it. */
export interface BodyPlan {
  readonly kind: BodyKind;
  readonly type: ContentType | undefined;
  /** Rules that apply: none of them reveals. */
  readonly rules: BodyRules;
  /** The codings to take off before looking and put on again after; undefined where the bytes pass as they are. */
  readonly contentEncoding: string | undefined;
  /** Whether the body is looked at, and so may come out different. If not, bytes pass as they are. */
  readonly changes: boolean;
  /** It is looked at, and yet comes out as long as it was: detectors overwrite, they do not cut. */
  readonly sameLength: boolean;
  /** The body is a part of something larger (206). */
  readonly partial: boolean;
}

/**
 * `rules`: those that apply to this reply (`BodyRules.applying`); `detecting`: whether content detectors are on. Throws Refusal
 * MASK_IMPOSSIBLE where it is clear from the head that the body cannot be looked at as it must be.
 */
export function planBody(
  head: Pick<ResponseHead, 'status' | 'fields'>,
  rules: BodyRules,
  detecting: boolean,
): BodyPlan {
  const { kind, type } = maskerFor(field(head.fields, 'content-type'), rules);
  const ruled = rules.list.length > 0;
  const partial = head.status === 206;
  const untouched = { kind, type, rules, contentEncoding: undefined, changes: false, sameLength: false, partial };
  if (bodyless(head.status)) return { ...untouched, changes: ruled || detecting };
  if (!ruled && (!detecting || kind === 'binary' || kind === 'media')) return untouched;
  if (kind === 'binary') throw unseen(type);
  if (partial && (kind !== 'unknown' || ruled)) throw cut();
  const contentEncoding = field(head.fields, 'content-encoding');
  const coded = codingsOf(contentEncoding).length > 0;
  return { ...untouched, contentEncoding, changes: true, sameLength: !ruled && !coded && overwritten.has(kind) };
}

/** What is text as a whole when no rule applies. */
const overwritten: ReadonlySet<BodyKind> = new Set<BodyKind>(['text', 'csv', 'tsv', 'unknown']);

/** The head then speaks of a body that is elsewhere; it is put right all the same. */
function bodyless(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}

export function unseen(type: ContentType | undefined): Refusal {
  const what = type === undefined ? 'of no type that is known' : `of type ${type.type}`;
  return new Refusal(
    'MASK_IMPOSSIBLE',
    `the reply may hold classified values, and a body ${what} cannot be searched for them`,
    {
      advice: 'ask for JSON in UTF-8: `Accept: application/json`',
    },
  );
}

export function cut(): Refusal {
  return new Refusal('MASK_IMPOSSIBLE', 'a part of a body cannot be masked without the rest', {
    advice: 'ask again without the Range field',
  });
}
