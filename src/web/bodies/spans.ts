/** Pairs of start and end offsets in a row, as `ValuesOf` gives them. Kept for reuse. */
export class Spans {
  #offsets = unused;
  #count = 0;

  /** How many pairs. */
  get size(): number {
    return this.#count / 2;
  }

  add(start: number, end: number): void {
    if (this.#count === this.#offsets.length) {
      const grown = new Uint32Array(Math.max(smallest, this.#offsets.length * 2));
      grown.set(this.#offsets);
      this.#offsets = grown;
    }
    this.#offsets[this.#count++] = start;
    this.#offsets[this.#count++] = end;
  }

  start(index: number): number {
    return this.#offsets[index * 2]!;
  }

  end(index: number): number {
    return this.#offsets[index * 2 + 1]!;
  }

  get offsets(): Uint32Array {
    return this.#offsets.subarray(0, this.#count);
  }

  clear(): void {
    this.#count = 0;
    if (this.#offsets.length > mostKept) this.#offsets = unused;
  }
}

/** Most are made for nothing: one body in many has numbers as long as a card's. */
const unused = new Uint32Array(0);
const smallest = 64;
const mostKept = 1024 * 1024;
