import { join } from 'node:path';
import type { ObjectFormat } from './push.ts';
import { type Mirror, mirrorName, openMirror } from './quarantine/mirror.ts';

/** The mirrors of this process: one object a repository, for as long as it runs. */
export class Mirrors {
  readonly #open = new Map<string, Promise<Mirror>>();

  /** `folder` is the target's own. Rejects when the mirror cannot be made; the next call tries again. */
  of(folder: string, repository: string, format: ObjectFormat): Promise<Mirror> {
    const path = join(folder, 'mirrors', mirrorName(folder, repository));
    const key = `${path} ${format}`;
    const found = this.#open.get(key);
    if (found !== undefined) return found;
    const opening = openMirror(path, format);
    this.#open.set(key, opening);
    opening.catch(() => this.#open.delete(key));
    return opening;
  }
}
