/** Waits between tries, ms. */
export interface Backoff {
  readonly firstMs: number;
  readonly mostMs: number;
}

export const usualBackoff: Backoff = { firstMs: 500, mostMs: 60_000 };
/** A receiver's own wish counts up to this, ms. */
const longestWish = 300_000;

/**
 * How long to wait after so many failures in a row (1 for the first): doubling, and of that a random part between half and all,
 * so that gateways that lost the same receiver do not come back at once. `random` is in [0, 1).
 */
export function delayAfter(failures: number, random: number, wishMs: number | undefined, backoff: Backoff): number {
  const step = Math.min(backoff.mostMs, backoff.firstMs * 2 ** Math.min(30, failures - 1));
  const own = step / 2 + (step / 2) * random;
  return Math.max(own, Math.min(longestWish, wishMs ?? 0));
}
