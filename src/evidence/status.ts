import { type Control, controls } from './controls.ts';

/**
 * `shown`: there is evidence and nothing speaks against it. `exceptions`: something does. `no events`: nothing happened that it could
 * be shown by. `elsewhere`: a gateway has no part in it, or one too small to show it by.
 */
export interface ControlStatus {
  readonly id: string;
  readonly title: string;
  readonly status: 'shown' | 'exceptions' | 'no events' | 'elsewhere';
  /** Of `shown`: the day from which on nothing speaks against it. Of `exceptions`: when the last one was. */
  readonly since?: string;
  readonly rows: number;
  readonly exceptions: number;
  /** What there is no row of, and what has to come from elsewhere. */
  readonly missing: readonly string[];
}

export interface Facts {
  /** Rows of each population. */
  readonly rows: ReadonlyMap<string, number>;
  /** Of each kind: how many, and the time of the last. Those of severity `info` are no exceptions. */
  readonly exceptions: ReadonlyMap<string, { readonly count: number; readonly last: string }>;
  /** The first day with events. */
  readonly begins: string;
}

export function controlStatuses(facts: Facts): readonly ControlStatus[] {
  return controls.map((control) => statusOf(control, facts));
}

function statusOf({ id, title, populations, exceptions, elsewhere }: Control, facts: Facts): ControlStatus {
  const counted = populations.map((name) => ({ name, rows: facts.rows.get(name) ?? 0 }));
  const rows = counted.reduce((sum, population) => sum + population.rows, 0);
  const found = exceptions.map((kind) => facts.exceptions.get(kind)).filter((kind) => kind !== undefined);
  const count = found.reduce((sum, kind) => sum + kind.count, 0);
  const empty = counted.filter((population) => population.rows === 0).map(({ name }) => `no row in ${name}`);
  const known = { id, title, rows, exceptions: count, missing: [...empty, elsewhere] };
  if (populations.length === 0) return { ...known, status: 'elsewhere' };
  if (count > 0) {
    const last = found
      .map((kind) => kind.last)
      .toSorted()
      .at(-1);
    return { ...known, status: 'exceptions', ...(last === undefined ? {} : { since: last }) };
  }
  if (rows === 0) return { ...known, status: 'no events' };
  return { ...known, status: 'shown', since: facts.begins };
}
