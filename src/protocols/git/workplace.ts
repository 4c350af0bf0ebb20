import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Line } from '../../gateway/protocol.ts';
import { Refusal } from '../../model/errors.ts';
import { Places } from './places.ts';
import type { ObjectFormat } from './push.ts';
import { type Mirror, mirrorName, openMirror } from './quarantine/mirror.ts';

/** Inspections at once, and how many may wait for one: each is a few processes and their memory. */
const inspections = 4;
const waiting = 100;
/** Pushes of one session at once: each may take as much of the disk as the largest pack. */
const pushesOfOne = 8;

/** Where pushes are looked at: folders and mirrors that outlive requests, and who may work. One a process. */
export class Workplace {
  readonly #mirrors = new Map<string, Promise<Mirror>>();
  readonly #spools = new Map<string, Promise<string>>();
  readonly inspections = new Places(inspections, waiting);
  readonly #pushing = new WeakMap<Line, number>();

  /** Takes a session's push in; the result is called once when it is over. Throws Refusal LIMIT_EXCEEDED. */
  enter(line: Line): () => void {
    const count = this.#pushing.get(line) ?? 0;
    if (count >= pushesOfOne) {
      throw new Refusal('LIMIT_EXCEEDED', `more than ${pushesOfOne} pushes at once`, {
        advice: 'push one after the other',
      });
    }
    this.#pushing.set(line, count + 1);
    return () => void this.#pushing.set(line, (this.#pushing.get(line) ?? 1) - 1);
  }

  /** The mirror of a repository; `folder` is its target's own. Rejects when it cannot be made; the next call tries again. */
  mirror(folder: string, repository: string, format: ObjectFormat): Promise<Mirror> {
    const path = join(folder, 'mirrors', mirrorName(folder, repository));
    return once(this.#mirrors, `${path} ${format}`, () => openMirror(path, format));
  }

  /** A folder for packs on their way; what an earlier process left there is gone. */
  spool(folder: string): Promise<string> {
    const path = join(folder, 'spool');
    return once(this.#spools, path, async () => {
      await rm(path, { recursive: true, force: true });
      await mkdir(path, { recursive: true, mode: 0o700 });
      return path;
    });
  }
}

function once<T>(made: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const found = made.get(key);
  if (found !== undefined) return found;
  const making = make();
  made.set(key, making);
  making.catch(() => made.delete(key));
  return making;
}
