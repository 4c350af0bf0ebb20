/** Lets those who wait for a request in this process know at once that it may have changed. */
export class Wakeups {
  readonly #listeners = new Map<string, Set<() => void>>();

  wake(id: string): void {
    for (const woken of this.#listeners.get(id) ?? []) woken();
  }

  /** Listens from now on: a wake-up between two waits is not lost. End it when done. */
  listen(id: string): Listening {
    const listeners = this.#listeners.get(id) ?? new Set();
    this.#listeners.set(id, listeners);
    let rung = false;
    let ring: (() => void) | undefined;
    const woken = () => {
      rung = true;
      ring?.();
    };
    listeners.add(woken);
    return {
      async next(ms, signal) {
        if (!rung && !signal.aborted && ms > 0) {
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, ms);
            signal.addEventListener('abort', woken);
            ring = () => {
              clearTimeout(timer);
              resolve();
            };
          });
          signal.removeEventListener('abort', woken);
          ring = undefined;
        }
        rung = false;
      },
      end: () => {
        listeners.delete(woken);
        if (listeners.size === 0 && this.#listeners.get(id) === listeners) this.#listeners.delete(id);
      },
    };
  }

  /** Requests that somebody waits for. */
  get size(): number {
    return this.#listeners.size;
  }
}

export interface Listening {
  /** Resolves when woken since the last call, after `ms`, or when the signal fires, whichever is first. Leaves no timer behind. */
  next(ms: number, signal: AbortSignal): Promise<void>;
  end(): void;
}
