import { Refusal } from '../../model/errors.ts';

/** Work that takes processor and disk, a few at a time; who comes later waits, and not more wait than there is room for. */
export class Places {
  readonly #limit: number;
  readonly #room: number;
  #busy = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number, room: number) {
    this.#limit = limit;
    this.#room = room;
  }

  /** Runs `work` when it is there is a place. Rejects with Refusal LIMIT_EXCEEDED where too many wait, and with the signal's reason. */
  async take<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#busy >= this.#limit) await this.#wait(signal);
    else this.#busy += 1;
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // A place is handed on: `#busy` stays as it is.
      if (next === undefined) this.#busy -= 1;
      else next();
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length >= this.#room) {
      throw new Refusal('LIMIT_EXCEEDED', 'too many pushes are being looked at', { advice: 'push again in a minute' });
    }
    return new Promise((resolve, reject) => {
      const mine = () => {
        signal.removeEventListener('abort', gone);
        resolve();
      };
      const gone = () => {
        this.#waiting.splice(this.#waiting.indexOf(mine), 1);
        reject(signal.reason);
      };
      this.#waiting.push(mine);
      signal.addEventListener('abort', gone, { once: true });
    });
  }
}
