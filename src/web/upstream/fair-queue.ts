/** What waits, in turns: each source has its own line, and the lines are served one after the other. */
export class FairQueue<T> {
  readonly #lines = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** How many of one source wait. */
  sizeOf(source: string): number {
    return this.#lines.get(source)?.length ?? 0;
  }

  push(source: string, item: T): void {
    const line = this.#lines.get(source);
    if (line === undefined) this.#lines.set(source, [item]);
    else line.push(item);
    this.#size++;
  }

  /** How many could be served where a source has room for so many. */
  ready(roomOf: (source: string) => number): number {
    let ready = 0;
    for (const [source, line] of this.#lines) ready += Math.min(line.length, roomOf(source));
    return ready;
  }

  /** The next in turn whose source has room; the source goes to the end. */
  shift(roomOf: (source: string) => number = unlimited): T | undefined {
    for (const [source, line] of this.#lines) {
      if (roomOf(source) <= 0) continue;
      const item = line.shift() as T;
      this.#lines.delete(source);
      if (line.length > 0) this.#lines.set(source, line);
      this.#size--;
      return item;
    }
    return undefined;
  }

  /** Takes out one that waits no longer. */
  remove(source: string, item: T): void {
    const line = this.#lines.get(source);
    const index = line?.indexOf(item) ?? -1;
    if (line === undefined || index < 0) return;
    line.splice(index, 1);
    if (line.length === 0) this.#lines.delete(source);
    this.#size--;
  }
}

const unlimited = () => Number.POSITIVE_INFINITY;
