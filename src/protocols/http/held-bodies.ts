import { Refusal } from '../../model/errors.ts';

export interface HeldLimits {
  /** Of all callers together, bytes. */
  readonly bytes: number;
  /** Of one principal, bytes. */
  readonly bytesOfOne: number;
}

const heldLimits: HeldLimits = { bytes: 128 * 1024 * 1024, bytesOfOne: 32 * 1024 * 1024 };

/** Room for the long bodies of requests that wait for a person: memory that a caller could otherwise have as much of as it has connections. */
export class HeldBodies {
  readonly #limits: HeldLimits;
  readonly #of = new Map<string, number>();
  #all = 0;

  constructor(limits: HeldLimits = heldLimits) {
    this.#limits = limits;
  }

  /** Room for so many bytes; what is returned gives it back, once. Throws Refusal LIMIT_EXCEEDED where there is none. */
  take(principal: string, bytes: number): () => void {
    const own = this.#of.get(principal) ?? 0;
    if (this.#all + bytes > this.#limits.bytes || own + bytes > this.#limits.bytesOfOne) {
      throw new Refusal('LIMIT_EXCEEDED', 'too many long requests wait for an approval already', {
        retryAfterMs: 15_000,
        advice: 'wait until those that are waiting are decided on, or send shorter ones',
      });
    }
    this.#add(principal, bytes);
    let given = false;
    return () => {
      if (!given) this.#add(principal, -bytes);
      given = true;
    };
  }

  #add(principal: string, bytes: number): void {
    this.#all += bytes;
    const own = (this.#of.get(principal) ?? 0) + bytes;
    if (own === 0) this.#of.delete(principal);
    else this.#of.set(principal, own);
  }
}
