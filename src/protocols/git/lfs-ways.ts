import type { Action, BatchAnswer } from './lfs-actions.ts';

const maxWays = 20_000;
/** Where the target does not say how long a way is open, ms. */
const usualMs = 5 * 60_000;

export interface Ways {
  readonly download: Action | undefined;
  readonly upload: Action | undefined;
  readonly verify: Action | undefined;
}

/**
 * Ways to objects that the target has shown one session for one repository, so that a transfer need not ask again. Bounded; what
 * is not here any more is asked for anew.
 */
export class LfsWays {
  readonly #ways = new Map<string, Ways & { readonly until: number }>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  note(operation: 'download' | 'upload', { objects }: BatchAnswer): void {
    if (this.#ways.size > maxWays) this.#ways.clear();
    for (const { oid, actions } of objects) {
      if (actions === undefined) continue;
      const { download, upload, verify } = actions;
      const all = [download, upload, verify].flatMap((action) => action ?? []);
      const until = Math.min(...all.map((action) => this.#end(action)));
      this.#ways.set(`${operation} ${oid}`, { download, upload, verify, until });
    }
  }

  of(operation: 'download' | 'upload', oid: string): Ways | undefined {
    const found = this.#ways.get(`${operation} ${oid}`);
    return found !== undefined && found.until > this.#now() ? found : undefined;
  }

  #end({ expires_in, expires_at }: Action): number {
    if (expires_in !== undefined) return this.#now() + Math.min(expires_in * 1000, usualMs);
    const at = expires_at === undefined ? Number.NaN : Date.parse(expires_at);
    return Math.min(Number.isNaN(at) ? Number.POSITIVE_INFINITY : at, this.#now() + usualMs);
  }
}
