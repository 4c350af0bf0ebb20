/** Ends the walk: why a statement must not run, and what to write instead. */
export class Unsafe extends Error {
  readonly advice: string;
  constructor(reason: string, advice: string) {
    super(reason);
    this.advice = advice;
  }
}

export const plainly =
  'select it as a plain column of the outermost SELECT list (it comes back masked), and filter, join or sort on other columns';
export const nameColumns = 'name the columns that you need instead';
export const noCode = 'ask for the function to be reviewed, or do without it';

/** How the rows of a query are used: shown to the client, only counted, or by something else (named for the message). */
export type Use = { readonly shown: true } | { readonly shown: false; readonly counted: boolean; readonly as: string };
export const shown: Use = { shown: true };
export const counted: Use = { shown: false, counted: true, as: 'EXISTS' };
export const usedBy = (what: string): Use => ({ shown: false, counted: false, as: what });
