/** The groups that policies speak of, mildest first. A command with several parts has the actions of all of them. */
export const actions = [
  'read',
  'session',
  'export',
  'write',
  'bulkWrite',
  'execute',
  'schemaChange',
  'destroy',
  'administer',
] as const;
export type Action = (typeof actions)[number];

/** Something a command touches, as policy sees it. `id` is unique within its type and target: `public.customers`. */
export interface Resource {
  readonly type: 'Table' | 'Column' | 'Function' | 'Schema' | 'Object' | 'Repository' | 'Ref' | 'Path' | 'Host';
  readonly id: string;
  /** What the command does to it. */
  readonly access: 'read' | 'write' | 'execute';
}

/** One thing a caller asks for, decoded and classified; what is decided on, approved, recorded. Shapes are shared between equal statements: never mutate. */
export interface Classified {
  /** The protocol's own word, in capitals: SELECT, PUSH, EXEC. */
  readonly verb: string;
  /** At least one; sorted mildest first. */
  readonly actions: readonly Action[];
  readonly resources: readonly Resource[];
  /** Further facts for policy (Cedar context): flat, primitive, declared in the policy schema. */
  readonly facts: Facts;
  /**
   * Where a command is several that stand or fall together (the ref updates of a push): each is decided on alone, and the strictest
   * decision is the command's. What stands beside them describes the whole. Absent for a command that is one.
   */
  readonly parts?: readonly Classified[];
}

export interface Facts {
  readonly statements: number;
  /** Every UPDATE and DELETE in the command has a WHERE that compares a column with something. */
  readonly hasWhere: boolean;
  readonly functions: readonly string[];
  readonly verbs: readonly string[];
  /** What an inspection of the command's content found, in the protocol guide's words: `secret`, `path.ci`, `unsigned`. */
  readonly findings?: readonly string[];
  /** Names of what the command carries: `query.limit`, `body.amount`, `body.items[].price`. */
  readonly fields?: readonly string[];
  /** The same with their scalar values: `body.amount=100`. */
  readonly values?: readonly string[];
}

export interface Command {
  readonly classified: Classified;
  /** Exactly what was asked, for approvers, the audit log and the recording. */
  readonly text: string;
  /** Bind values or the like, as text; binary ones as `\x…`. Absent where the protocol has none. */
  readonly parameters?: readonly (string | null)[];
  /** What text and parameters mean depends on (default database, format codes, search_path, …); part of the approval's digest. */
  readonly scope?: string;
  /** What approvers should see besides: follows from the rest, so it is no part of the approval's digest. May be long. */
  readonly preview?: string;
}
