/**
 * A time limit that is moved all the time: once or more for each message. Moving it later costs a look at the clock; the timer behind it
 * is set anew only when it fires too early, or has to fire sooner.
 */
export class Deadline {
  readonly #passed: () => void;
  #at = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = 0;

  constructor(passed: () => void) {
    this.#passed = passed;
  }

  /** `passed` runs in `ms`, unless this is called again or cleared before. */
  set(ms: number): void {
    const now = performance.now();
    this.#at = now + ms;
    if (this.#timer !== undefined) {
      if (this.#timerAt <= this.#at) return;
      clearTimeout(this.#timer);
    }
    this.#arm(now);
  }

  get running(): boolean {
    return this.#at !== Number.POSITIVE_INFINITY;
  }

  clear(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }

  /** For good. */
  stop(): void {
    this.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(now: number): void {
    this.#timerAt = this.#at;
    // A timer may fire a fraction of a millisecond early.
    this.#timer = setTimeout(this.#fired, Math.max(1, Math.ceil(this.#at - now))).unref();
  }

  readonly #fired = () => {
    this.#timer = undefined;
    if (!this.running) return;
    const now = performance.now();
    if (now < this.#at) this.#arm(now);
    else {
      this.clear();
      this.#passed();
    }
  };
}
