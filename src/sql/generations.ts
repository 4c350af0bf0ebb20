/**
 * A bounded map that forgets what has not been asked for lately. Two generations: a lookup is one Map lookup while an entry is
 * young; when the young are full they grow old, and the old that nobody asked for are forgotten.
 */
export class Generations<V> {
  #young = new Map<string, V>();
  #old = new Map<string, V>();
  #size = 0;
  readonly #capacity: number;

  /** `capacity` bounds the sum of the entries' sizes in each generation; it holds at most twice as much. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) {
      this.#old.delete(key);
      this.set(key, old, key.length);
    }
    return old;
  }

  /** `size` in the same unit as the capacity; an entry that is larger than a quarter of it is not kept. */
  set(key: string, value: V, size: number): void {
    const cost = size + 256;
    if (cost > this.#capacity / 4) return;
    if (this.#size + cost > this.#capacity) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#size = 0;
    }
    this.#young.set(key, value);
    this.#size += cost;
  }
}
