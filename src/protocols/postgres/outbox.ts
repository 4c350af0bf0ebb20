/** A place in the order, to be filled when it is known what goes there. */
export interface Place {
  fill(action: () => void): void;
}

/**
 * Keeps what leaves in the order it came: a command's bytes wait for its intent to be durable (or for a person), and the
 * housekeeping behind it (Sync, Flush, Close) waits with it.
 */
export class Outbox {
  readonly #waiting: { action: (() => void) | undefined }[] = [];
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
    const entry: { action: (() => void) | undefined } = { action: undefined };
    this.#waiting.push(entry);
    return {
      fill: (action) => {
        entry.action = action;
        this.#drain();
      },
    };
  }

  add(action: () => void): void {
    if (this.#waiting.length === 0) action();
    else this.#waiting.push({ action });
  }

  #drain(): void {
    if (this.#waiting[0]?.action === undefined) return;
    this.#before();
    for (let action = this.#waiting[0]?.action; action !== undefined; action = this.#waiting[0]?.action) {
      this.#waiting.shift();
      action();
    }
    this.#after();
  }
}
