import type { FileChange } from './changes.ts';
import { folded } from './confusable.ts';
import type { Finding } from './findings.ts';

/**
 * Files and folders of one commit that are the same on systems that ignore case, as an attack needs that writes through a link: `A` a
 * link, `a/file` written through it (CVE-2024-32002). Looks at what the commit changes, not at the rest of its tree.
 */
export class Twins {
  readonly #seen = new Map<string, string>();

  /** The finding where the path, or a folder of it, is the twin of one that was asked about before. */
  of({ commit, path, mode }: FileChange): readonly Finding[] {
    if (mode === '000000') return [];
    for (let at = path.indexOf('/'); ; at = path.indexOf('/', at + 1)) {
      const name = at < 0 ? path : path.slice(0, at);
      const key = /^[ -~]*$/.test(name) ? name.toLowerCase() : folded(name);
      const twin = this.#seen.get(key);
      if (twin === undefined) this.#seen.set(key, name);
      else if (twin !== name)
        return [{ name: 'path.confusable', text: 'differs from another path by case or look', commit, path }];
      if (at < 0) return [];
    }
  }
}
