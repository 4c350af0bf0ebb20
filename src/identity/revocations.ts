import { Lru } from './lru.ts';

/** Who wants to hear that a proof no longer counts. */
export class Revocations {
  readonly #listeners = new Map<string, Set<() => void>>();
  // For who was let in just before the revocation and starts to listen just after it.
  readonly #recent = new Lru<true>(1000);

  /** Calls `listener` once, when `proofId` is revoked, or soon if it was. The result stops that. */
  on(proofId: string, listener: () => void): () => void {
    const set = this.#listeners.get(proofId) ?? new Set();
    this.#listeners.set(proofId, set);
    // A listener may be given twice; each giving is its own.
    const entry = () => listener();
    set.add(entry);
    if (this.#recent.get(proofId)) queueMicrotask(() => this.revoke(proofId));
    return () => {
      set.delete(entry);
      if (set.size === 0 && this.#listeners.get(proofId) === set) this.#listeners.delete(proofId);
    };
  }

  revoke(proofId: string): void {
    const set = this.#listeners.get(proofId);
    this.#listeners.delete(proofId);
    this.#recent.set(proofId, true);
    for (const listener of set ?? []) listener();
  }

  /** Proofs that somebody listens for. */
  get watched(): readonly string[] {
    return [...this.#listeners.keys()];
  }
}
