/** A place in the order, to be filled when it is known what goes there. */
export interface Place {
  fill(action: () => void): void;
  /** Runs something when everything before this place has left, and keeps the place. */
  first(action: () => void): void;
}

interface Entry {
  action: (() => void) | undefined;
  first: (() => void) | undefined;
}

/**
 * Keeps what leaves in the order it came: a command's bytes wait for its intent to be durable (or for a person), and the
 * housekeeping behind it (Sync, Flush, Close) waits with it.
 */
export class Outbox {
  readonly #waiting: Entry[] = [];
  readonly #before: () => void;
  readonly #after: () => void;

  /** `before` and `after` frame the actions of one turn. */
  constructor(before: () => void, after: () => void) {
    this.#before = before;
    this.#after = after;
  }

  get size(): number {
    return this.#waiting.length;
  }

  reserve(): Place {
    const entry: Entry = { action: undefined, first: undefined };
    this.#waiting.push(entry);
    return {
      first: (action) => {
        entry.first = action;
        this.#drain();
      },
      fill: (action) => {
        entry.action = action;
        this.#drain();
      },
    };
  }

  add(action: () => void): void {
    if (this.#waiting.length === 0) action();
    else this.#waiting.push({ action, first: undefined });
  }

  get #ready(): boolean {
    const entry = this.#waiting[0];
    return entry?.action !== undefined || entry?.first !== undefined;
  }

  #drain(): void {
    if (!this.#ready) return;
    this.#before();
    while (this.#ready) {
      const entry = this.#waiting[0]!;
      const { first, action } = entry;
      entry.first = undefined;
      if (first !== undefined) first();
      else {
        this.#waiting.shift();
        action?.();
      }
    }
    this.#after();
  }
}
