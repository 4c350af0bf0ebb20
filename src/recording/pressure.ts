/** How much is recorded and not yet on the disk, over all sessions of a recorder. */
export class Pressure {
  readonly limit: number;
  #held = 0;
  readonly #waiting = new Set<() => void>();

  constructor(limit: number) {
    this.limit = limit;
  }

  get held(): number {
    return this.#held;
  }

  get over(): boolean {
    return this.#held >= this.limit;
  }

  add(bytes: number): void {
    this.#held += bytes;
  }

  /** Bytes that were written or given up. Asks everybody who waits to look again. */
  release(bytes: number): void {
    this.#held -= bytes;
    if (!this.over) for (const look of [...this.#waiting]) look();
  }

  wait(look: () => void): void {
    this.#waiting.add(look);
  }

  forget(look: () => void): void {
    this.#waiting.delete(look);
  }
}
