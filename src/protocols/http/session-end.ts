/** The end of one session, for all of its requests: one listener on its signal, however many of them are under way. */
export class SessionEnd {
  /** Its reason is a Refusal. */
  readonly signal: AbortSignal;
  readonly #listeners = new Set<() => void>();

  constructor(signal: AbortSignal) {
    this.signal = signal;
    const ended = () => {
      for (const listener of [...this.#listeners]) listener();
    };
    signal.addEventListener('abort', ended, { once: true });
  }

  /** Until it is taken off again. Not called for a session that has ended before. */
  add(listener: () => void): void {
    this.#listeners.add(listener);
  }

  remove(listener: () => void): void {
    this.#listeners.delete(listener);
  }
}
