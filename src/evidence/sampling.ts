import { createHmac } from 'node:crypto';

/** Names the algorithm in a package, for whoever redraws a sample. */
export const samplingAlgorithm =
  'rank(row) = HMAC-SHA-256(key = the seed in UTF-8, message = name of the population, line feed, seq of the row in decimal), in lower-case hex. The sample is the rows of the lowest ranks, lowest first; of equal ranks the one that stands first in the list. In terminated-identities the principal stands in the place of seq.';

export interface Drawn<T> {
  readonly rank: string;
  readonly row: T;
}

/** Draws the `count` rows of the lowest ranks from a population as it passes by. Whoever holds the seed draws the same. */
export class Draw<T> {
  readonly #seed: string;
  readonly #population: string;
  readonly #count: number;
  #drawn: Drawn<T>[] = [];
  #highest = '';

  constructor(seed: string, population: string, count: number) {
    this.#seed = seed;
    this.#population = population;
    this.#count = count;
  }

  add(identity: string, row: () => T): void {
    if (this.#count === 0) return;
    const rank = createHmac('sha256', this.#seed).update(`${this.#population}\n${identity}`).digest('hex');
    if (this.#drawn.length === this.#count && rank >= this.#highest) return;
    this.#drawn.push({ rank, row: row() });
    this.#drawn.sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0));
    this.#drawn.length = Math.min(this.#drawn.length, this.#count);
    this.#highest = this.#drawn.at(-1)?.rank ?? '';
  }

  get drawn(): readonly Drawn<T>[] {
    return this.#drawn;
  }
}
