import { createHash } from 'node:crypto';

export interface ThrottleOptions {
  /** Failures that an address may have within `windowMs`. */
  readonly failures: number;
  readonly windowMs: number;
  readonly now: () => number;
}

const mostAddresses = 10_000;
const mostKnown = 2_000;

/**
 * Slows down whoever tries credentials that do not work: per address, so that neither the verifier nor the audit log is kept
 * busy. Credentials that worked before pass (and are verified all the same), so that one caller cannot lock out the others
 * behind its address. Memory is bounded: the oldest entries give way.
 */
export class Throttle {
  readonly #options: ThrottleOptions;
  readonly #failed = new Map<string, { count: number; until: number }>();
  readonly #known = new Set<string>();

  constructor(options: ThrottleOptions) {
    this.#options = options;
  }

  /** How long this address has to wait with a credential that never worked, ms; 0 when it may try. */
  wait(address: string, credential: string | undefined): number {
    const entry = this.#failed.get(network(address));
    if (entry === undefined || entry.count < this.#options.failures) return 0;
    const left = entry.until - this.#options.now();
    if (left <= 0) return 0;
    return credential !== undefined && this.#known.has(digest(credential)) ? 0 : left;
  }

  failed(address: string): void {
    const key = network(address);
    const now = this.#options.now();
    const entry = this.#failed.get(key);
    const fresh = entry === undefined || entry.until <= now;
    this.#failed.delete(key);
    this.#failed.set(
      key,
      fresh ? { count: 1, until: now + this.#options.windowMs } : { count: entry.count + 1, until: entry.until },
    );
    evict(this.#failed, mostAddresses);
  }

  worked(credential: string): void {
    const key = digest(credential);
    this.#known.delete(key);
    this.#known.add(key);
    evict(this.#known, mostKnown);
  }
}

/** One IPv6 host has a whole /64 to call from. */
export function network(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
  if (!plain.includes(':')) return plain;
  const [head = '', tail] = plain.replace(/%.*$/, '').split('::', 2);
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...new Array<string>(zeros).fill('0'), ...right];
  return `${groups.slice(0, 4).join(':')}::/64`;
}

function digest(credential: string): string {
  return createHash('sha256').update(credential).digest('base64');
}

function evict(entries: Map<string, unknown> | Set<string>, most: number): void {
  if (entries.size <= most) return;
  const [oldest] = entries.keys();
  if (oldest !== undefined) entries.delete(oldest);
}
