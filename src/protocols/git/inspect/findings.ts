import type { Refusal } from '../../../model/errors.ts';
import type { UpdateKind } from '../push.ts';

/**
 * What an inspection can find, as policy sees it in `context.findings`. `path.<name>` comes from the names in the settings' path
 * rules, so it is open.
 */
export const findingNames = {
  hidden: 'the pack brings objects that no update of the push reaches',
  'too-large-to-inspect': 'a bound was reached before everything had been looked at',
  secret: 'something that looks like a credential is added',
  'author.mismatch':
    "an author or committer is not the caller, by the e-mail that the caller's identity provider vouches for",
  unsigned: 'a commit or tag bears no signature, or none by an allowed signer',
  submodule: 'a submodule is added or changed',
  'symlink.escape': 'a symbolic link points out of the tree',
  'path.confusable': 'a path looks like another one, or like one that git treats specially',
  'attributes.dangerous': '.gitattributes makes git run a filter or hides changes',
  'modules.dangerous': '.gitmodules holds an address or path that has been used for attacks',
  'file.large': 'a file is larger than the settings allow',
  'file.binary': 'a file is not text',
  'file.executable': 'a file is a compiled program',
  'ref.namespace': 'the ref is neither a branch nor a tag',
  'ref.invalid': 'the ref has no well-formed name',
  'ref.symref': 'the ref is a symbolic one: the update would change another',
  'ref.confusable': 'the ref differs from another one only by case or look',
  'ref.type': 'the ref would point to something that such a ref never points to',
} as const;

export type FindingName = keyof typeof findingNames | `path.${string}`;

/** One finding, for people. Texts may come from anybody: whoever shows them makes them harmless first (see visible.ts). Never holds a secret. */
export interface Finding {
  readonly name: FindingName;
  /** What it is about, in a few words. */
  readonly text: string;
  readonly commit?: string;
  readonly path?: string;
  /** Counted from 1. */
  readonly line?: number;
  /** Of a secret: which rule found it. */
  readonly rule?: string;
  /** Of a secret: SHA-256 of rule, path and secret; the settings' `secrets.ignore` takes it. */
  readonly fingerprint?: string;
}

export interface Person {
  readonly name: string;
  readonly email: string;
}

export interface CommitSummary {
  readonly id: string;
  readonly parents: readonly string[];
  readonly author: Person;
  readonly committer: Person;
  readonly subject: string;
  /** What stands in the commit; `verified` and `signer` only where allowed signers are configured and one of them signed. */
  readonly signature: 'none' | 'present' | 'verified';
  readonly signer?: string;
  /** Upstream has it already, through another ref; it is new to this one. */
  readonly known: boolean;
}

/** What an update changes in total. */
export interface Change {
  /** Diffstat and diff, cut to the budget, secrets masked. Hostile. */
  readonly text: string;
  /** Of the whole, as git wrote it. `bytes` is a lower bound when `complete` is false. */
  readonly bytes: number;
  readonly sha256: string;
  /** False where git was stopped before the end. */
  readonly complete: boolean;
}

export interface UpdateFindings {
  readonly ref: string;
  readonly kind: UpdateKind;
  /** Words for policy, each once. */
  readonly findings: readonly string[];
  readonly details: readonly Finding[];
  /** Commits that are new to the ref, oldest first; at most `shownCommits` of them. */
  readonly commits: readonly CommitSummary[];
  readonly commitCount: number;
  /** Commits that the ref no longer reaches (force, delete); at most 10,000 are counted. */
  readonly lost: number;
  readonly change: Change | undefined;
  /** Set where the update is refused whatever policy says. */
  readonly refusal?: Refusal;
}

export interface PushFindings {
  /** In the order of the push. */
  readonly updates: readonly UpdateFindings[];
  /** Words for policy about the whole push: they hold for each update. */
  readonly findings: readonly string[];
  readonly details: readonly Finding[];
  /** Ids of hidden objects, at most 100; `hiddenCount` counts all. */
  readonly hidden: readonly string[];
  readonly hiddenCount: number;
  readonly objects: number;
  readonly bytes: number;
  /** Set where the whole push is refused whatever policy says. */
  readonly refusal?: Refusal;
}

/** As many commits as a push's findings list for each ref; all of them are inspected. */
export const shownCommits = 200;
