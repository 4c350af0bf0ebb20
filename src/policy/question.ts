import type { AskedAction } from './schema.ts';

/** Cedar's JSON forms, as far as we use them. */
export interface EntityRef {
  readonly type: string;
  readonly id: string;
}
export type CedarValue = string | number | boolean | string[] | { __entity: EntityRef };

export interface Entity {
  readonly uid: EntityRef;
  readonly attrs: Readonly<Record<string, string | readonly string[]>>;
  readonly parents: readonly EntityRef[];
  readonly tags?: Readonly<Record<string, string>>;
}

/** One question to Cedar. `entities` holds only what the question is about: their number is what a question costs. */
export interface Question {
  readonly principal: EntityRef;
  readonly action: AskedAction;
  readonly resource: EntityRef;
  readonly context: Record<string, CedarValue>;
  readonly entities: readonly Entity[];
}

export interface Answer {
  readonly decision: 'allow' | 'deny';
  /** The policies that determined it; none when no permit applied. */
  readonly policies: readonly string[];
  /** Policies that could not be evaluated. Cedar skips them; a gate must not. */
  readonly errors: readonly { readonly policy: string; readonly message: string }[];
}

export type Ask = (question: Question) => Answer;
