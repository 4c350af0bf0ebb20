import type { GitExit } from './git-process.ts';

/** A git child did not do what it was asked. `limited` says which bound of ours ended it. The complaint may quote hostile names. */
export class GitFailure extends Error {
  override readonly name = 'GitFailure';
  readonly code: number | null;
  readonly limited: GitExit['limited'];
  readonly complaint: string;

  constructor(command: string, exit: GitExit) {
    super(`git ${command}: ${exit.limited ?? `exit ${exit.code}`}`);
    this.code = exit.code;
    this.limited = exit.limited;
    this.complaint = exit.complaint;
  }

  /** It ran out of time, memory or file size rather than finding something wrong. */
  get exhausted(): boolean {
    if (this.limited === 'time') return true;
    if (this.limited !== undefined) return false;
    return this.code === null || /out of memory|mmap failed|file too large|maximum allowed size/i.test(this.complaint);
  }
}
