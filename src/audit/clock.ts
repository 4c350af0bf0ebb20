/** The log's clock: time never runs backwards in it, whatever the system's clock does. */
export class LogClock {
  readonly #now: () => number;
  #ms: number;
  #text: string;

  /** `floor`: the time of the last event that is in the log. */
  constructor(now: () => number, floor: number) {
    this.#now = now;
    this.#ms = floor;
    this.#text = new Date(floor).toISOString();
  }

  /** ms since the epoch. */
  get ms(): number {
    return this.#ms;
  }

  /** RFC 3339, UTC, ms. Made once a millisecond. */
  time(): string {
    const ms = this.#now();
    if (ms > this.#ms) {
      this.#ms = ms;
      this.#text = new Date(ms).toISOString();
    }
    return this.#text;
  }
}
