import type { FileChange } from './changes.ts';
import { type ContentReport, secretsIn } from './contents.ts';
import type { Examination } from './examination.ts';
import type { Finding } from './findings.ts';
import { pathFindings } from './path-findings.ts';
import { dangerousAttributes, dangerousModules, escapingLink } from './special-files.ts';

const mostSpecialBytes = 256 * 1024;
const mostRemembered = 200;
const nothing: readonly Finding[] = [];

/** Judges changed files, each with what its content was found to hold. */
export class ChangeFindings {
  readonly #exam: Examination;
  readonly #contents: ReadonlyMap<string, ContentReport>;
  readonly #judged = new Map<FileChange, readonly Finding[]>();
  /** Secrets of older versions, by blob. */
  readonly #older = new Map<string, Promise<ReadonlySet<string>>>();

  constructor(exam: Examination, contents: ReadonlyMap<string, ContentReport>) {
    this.#exam = exam;
    this.#contents = contents;
  }

  /** The same change comes with every ref that its commit comes to, and is judged once. */
  async of(change: FileChange, known: boolean): Promise<readonly Finding[]> {
    const judged = this.#judged.get(change) ?? (await this.#judge(change, known));
    this.#judged.set(change, judged.length === 0 ? nothing : judged);
    return judged;
  }

  /** Where upstream has the commit already, only what its paths mean for this ref is told. */
  async #judge(change: FileChange, known: boolean): Promise<Finding[]> {
    const { commit } = change;
    const path = this.#exam.masked(change.path);
    const found: Finding[] = pathFindings(change, this.#exam.rules).map((finding) => ({ ...finding, path }));
    if (change.mode === '000000' || change.mode === '160000') return found;
    const special = this.#special(change, path);
    if (special !== undefined) found.push(...(await special));
    if (known) return found;
    found.push(...this.#exam.secretsOf(change.path, { commit, text: 'in a file name', path }));
    const report = this.#contents.get(change.id);
    if (report === undefined) return found;
    const bytes = `${report.size} bytes`;
    if (report.size >= this.#exam.settings.largeFile) found.push({ name: 'file.large', text: bytes, commit, path });
    if (report.binary) found.push({ name: 'file.binary', text: bytes, commit, path });
    if (report.program !== undefined) found.push({ name: 'file.executable', text: report.program, commit, path });
    for (const secret of report.secrets) {
      const findings = this.#exam.secret(secret, { path: change.path, commit, line: secret.line });
      if (findings.length === 0 || (await this.#stoodBefore(change, `${secret.rule}\0${secret.secret}`))) continue;
      found.push(...findings.map((finding) => ({ ...finding, path })));
    }
    return found;
  }

  /** What is in contents that no commit changes a file to: below tags of trees and blobs. */
  elsewhere(changes: readonly FileChange[]): Finding[] {
    const changed = new Set(changes.map(({ id }) => id));
    const found: Finding[] = [];
    for (const [id, report] of this.#contents) {
      if (changed.has(id)) continue;
      const path = `blob ${id}`;
      for (const secret of report.secrets) found.push(...this.#exam.secret(secret, { path, line: secret.line }));
      if (report.size >= this.#exam.settings.largeFile)
        found.push({ name: 'file.large', text: `${report.size} bytes`, path });
      if (report.program !== undefined) found.push({ name: 'file.executable', text: report.program, path });
    }
    return found;
  }

  /** Files that git itself obeys, and links; undefined for all others. */
  #special(change: FileChange, path: string): Promise<Finding[]> | undefined {
    const name = change.path.slice(change.path.lastIndexOf('/') + 1).toLowerCase();
    const special =
      change.mode === '120000' || name === '.gitmodules' || name === '.gitattributes' || name === '.lfsconfig';
    return special ? this.#readSpecial(change, name, path) : undefined;
  }

  async #readSpecial({ mode, path: exact, id, commit }: FileChange, file: string, path: string): Promise<Finding[]> {
    const bytes = (await this.#exam.reader.head(id, mostSpecialBytes + 1)) ?? Buffer.alloc(0);
    const content = bytes.toString('utf8');
    const long = bytes.length > mostSpecialBytes ? 'too long to be looked at' : undefined;
    const [name, text] =
      mode === '120000'
        ? (['symlink.escape', long ?? escapingLink(exact, content)] as const)
        : file === '.gitmodules'
          ? (['modules.dangerous', long ?? dangerousModules(content)] as const)
          : file === '.lfsconfig'
            ? (['attributes.dangerous', 'says where large files come from'] as const)
            : (['attributes.dangerous', long ?? dangerousAttributes(content)] as const);
    return text === undefined ? [] : [{ name, text: this.#exam.masked(text), commit, path }];
  }

  /** Whether the file held the secret before: in its parent, or in one of them where it is a merge. */
  async #stoodBefore(change: FileChange, key: string): Promise<boolean> {
    for (const [i, id] of change.oldIds.entries()) {
      if (/^0+$/.test(id) || change.oldModes[i] === '160000') continue;
      let older = this.#older.get(id);
      if (older === undefined) {
        const { reader, search, settings } = this.#exam;
        older = secretsIn(reader, id, search, settings.secrets.entropy);
        if (this.#older.size >= mostRemembered) this.#older.clear();
        this.#older.set(id, older);
      }
      if ((await older).has(key)) return true;
    }
    return false;
  }
}
