/** The end of one session, for all of its requests: one listener on its signal, however many of them are under way. */
export class SessionEnd {
  /** Its reason is a Refusal. */
  readonly signal: AbortSignal;
  /** Places are used again. A Set that is added to and deleted from all the time leaves tables behind that keep each other from being collected. */
  readonly #listeners: ((() => void) | undefined)[] = [];
  readonly #free: number[] = [];

  constructor(signal: AbortSignal) {
    this.signal = signal;
    const ended = () => {
      for (const listener of [...this.#listeners]) listener?.();
    };
    signal.addEventListener('abort', ended, { once: true });
  }

  /** Until it is taken off again, by the number that is returned. Not called for a session that has ended before. */
  add(listener: () => void): number {
    const place = this.#free.pop() ?? this.#listeners.length;
    this.#listeners[place] = listener;
    return place;
  }

  /** Once. */
  remove(place: number): void {
    this.#listeners[place] = undefined;
    this.#free.push(place);
  }
}
