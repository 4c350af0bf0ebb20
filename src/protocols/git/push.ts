/** What a push asks for, decoded; nothing of it has been believed yet. */
export interface Push {
  /** `group/repo`, without `.git`; see repository.ts. */
  readonly repository: string;
  readonly objectFormat: ObjectFormat;
  /** In the order of the request; no ref twice. */
  readonly updates: readonly RefUpdate[];
  /** The client's pack, spooled to disk exactly as it came; absent where the push brings none (deletions only). */
  readonly pack?: { readonly file: string; readonly bytes: number; readonly sha256: string };
  /** Push options, as sent. */
  readonly options: readonly string[];
  /** All updates or none. */
  readonly atomic: boolean;
}

export type ObjectFormat = 'sha1' | 'sha256';

/** One line of the command list. `old` is what upstream says the ref is now: a claim that differs has been refused before. */
export interface RefUpdate {
  /** A well-formed full name below `refs/`; see ref-name.ts. */
  readonly ref: string;
  /** Lower-case hex of the format's length; undefined where the ref does not exist yet. */
  readonly old: string | undefined;
  /** Undefined where the ref is deleted. */
  readonly new: string | undefined;
}

/** What an update does; computed by the inspection, never taken from the client. */
export type UpdateKind = 'create' | 'fastForward' | 'force' | 'delete' | 'tagCreate' | 'tagMove' | 'tagDelete';

/** A ref as upstream has it. */
export interface Ref {
  readonly name: string;
  readonly id: string;
  /** Of an annotated tag: what it finally points to. */
  readonly peeled?: string;
  /** Of a symbolic ref: the ref it stands for. */
  readonly target?: string;
}
