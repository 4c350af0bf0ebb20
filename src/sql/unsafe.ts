import type { HiddenColumn } from './hidden.ts';

/** Ends the walk: why a statement must not run, and what to write instead. */
export class Unsafe extends Error {
  readonly advice: string;
  constructor(reason: string, advice: string) {
    super(reason);
    this.advice = advice;
  }
}

const plainly =
  'select it as a plain column of the outermost SELECT list (it comes back masked), and filter, join or sort on other columns';
export const nameColumns = 'name the columns that you need instead';
export const noCode = 'ask for the function to be reviewed, or do without it';

/** How the rows of a query are used: shown to the client, only counted, or by something else (named for the message). */
export type Use = { readonly shown: true } | { readonly shown: false; readonly counted: boolean; readonly as: string };
export const shown: Use = { shown: true };
export const counted: Use = { shown: false, counted: true, as: 'EXISTS' };
export const usedBy = (what: string): Use => ({ shown: false, counted: false, as: what });

export function misuse(label: string, where: string): Unsafe {
  return new Unsafe(`${label} is hidden from you and must not be used in ${where}`, plainly);
}

/** Throws where there is such a column. */
export function unless(column: HiddenColumn | undefined, where: string): undefined {
  if (column !== undefined) throw misuse(column.label, where);
}

export function unmaskable(column: HiddenColumn, where: string): Unsafe {
  return new Unsafe(
    `${column.label} cannot be masked in ${where}`,
    'leave the column out, or ask for it to be classified itself',
  );
}
