import type { Classified } from '../../model/command.ts';
import type { Obligations } from '../../model/decision.ts';
import type { Refusal } from '../../model/errors.ts';

/** What the session must know of a statement text. Shared between equal shapes: never mutate. */
export interface Understood {
  readonly classified: Classified;
  /** Brings rows in by COPY FROM STDIN: the client's next messages are data. */
  readonly copyIn: boolean;
  /** Changes the schema, so that what is known of it is stale afterwards. */
  readonly changesSchema: boolean;
  /** Names classified or derived relations, for some caller: its rows need a description, its errors may quote values. */
  readonly touches: boolean;
  /** SQL-level PREPARE and EXECUTE: names that this text defines or runs. */
  readonly prepares: readonly string[];
  readonly executes: readonly string[];
  maskable(obligations: Obligations): Refusal | undefined;
}

/** Stands for a text that was not understood, which is refused before anybody decides on it. */
export const unread: Understood = {
  classified: {
    verb: 'UNREAD',
    actions: ['administer'],
    resources: [],
    facts: { statements: 0, hasWhere: false, functions: [], verbs: [] },
  },
  copyIn: false,
  changesSchema: false,
  touches: false,
  prepares: [],
  executes: [],
  maskable: () => undefined,
};
