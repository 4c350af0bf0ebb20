import type { ReadCommit } from './commits.ts';
import type { Examination } from './examination.ts';
import type { CommitSummary, Finding, Person } from './findings.ts';
import type { Verified } from './signatures.ts';

/** A commit as the findings speak of it. */
export interface JudgedCommit extends ReadCommit {
  readonly id: string;
  /** Upstream has it already, through another ref. */
  readonly known: boolean;
  /** Its allowed signer; always undefined where no allowed signers are configured. */
  readonly verified: Verified | undefined;
}

/** What the commit itself says. What upstream has already is no news to anybody; only whether it is signed concerns the ref. */
export function commitFindings(judged: JudgedCommit, exam: Examination): Finding[] {
  const { id, commit, secrets, known, verified } = judged;
  const found: Finding[] = [];
  if (!commit.signed) found.push({ name: 'unsigned', commit: id, text: 'no signature' });
  else if (exam.settings.signatures.allowedSigners !== undefined && verified === undefined) {
    found.push({ name: 'unsigned', commit: id, text: 'not by an allowed signer' });
  }
  if (known) return found;
  const stranger = (person: Person, role: string): void => {
    const text = exam.masked(`the ${role} ${person.email} is not the caller`);
    found.push({ name: 'author.mismatch', commit: id, text });
  };
  if (exam.isStranger(commit.author)) stranger(commit.author, 'author');
  if (commit.committer.email !== commit.author.email && exam.isStranger(commit.committer))
    stranger(commit.committer, 'committer');
  for (const secret of secrets) {
    found.push(...exam.secret(secret, { commit: id, text: 'in the message or headers of the commit' }));
  }
  return found;
}

export function summary({ id, commit, known, verified }: JudgedCommit, exam: Examination): CommitSummary {
  const clean = ({ name, email }: Person): Person => ({ name: exam.masked(name), email: exam.masked(email) });
  return {
    id,
    parents: commit.parents,
    author: clean(commit.author),
    committer: clean(commit.committer),
    subject: exam.masked(commit.subject),
    signature: verified !== undefined ? 'verified' : commit.signed ? 'present' : 'none',
    ...(verified === undefined ? {} : { signer: verified.signer }),
    known,
  };
}
