import type { AuditEvent } from '../model/event.ts';

type Failed = AuditEvent & { readonly type: 'auth.failed' };

export interface FailedLoginsDeps {
  /** Resolves when it is on disk. */
  readonly record: (event: Failed) => Promise<unknown>;
  /** Told when a summary could not be recorded. */
  readonly warn: (message: string) => void;
  readonly now: () => number;
}

/** So many failures of one address in one minute have an event of their own; those beyond are counted. */
export const singleFailures = 30;
const windowMs = 60_000;
/** Addresses that are counted at once; beyond, the oldest one's count is recorded early. */
const mostAddresses = 10_000;

interface Window {
  readonly since: number;
  failures: number;
  /** What the first uncounted one was: the summary is told like it. */
  readonly first: Failed;
}

/**
 * Failed logins, in the log: whoever has no token at all can make any number of them, and the log shall not grow with it. Each is recorded while
 * they are few; then one event a minute and address says how many more there were (`count`). Nobody is locked out: behind one address may be many.
 */
export class FailedLogins {
  readonly #deps: FailedLoginsDeps;
  readonly #windows = new Map<string, Window>();
  readonly #timer: NodeJS.Timeout;

  constructor(deps: FailedLoginsDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => this.sweep(), windowMs / 4);
    this.#timer.unref();
  }

  /** Resolves when the failure is recorded, or counted. Rejects when it cannot be recorded. */
  async record(peer: string, event: Failed): Promise<void> {
    let window = this.#windows.get(peer);
    if (window !== undefined && this.#deps.now() - window.since >= windowMs) {
      this.#end(peer, window);
      window = undefined;
    }
    if (window === undefined) {
      window = { since: this.#deps.now(), failures: 0, first: event };
      this.#windows.set(peer, window);
      if (this.#windows.size > mostAddresses) this.#endOldest();
    }
    window.failures += 1;
    if (window.failures <= singleFailures) await this.#deps.record(event);
  }

  /** Records the counts of minutes that are over. */
  sweep(): void {
    const now = this.#deps.now();
    for (const [peer, window] of this.#windows) if (now - window.since >= windowMs) this.#end(peer, window);
  }

  /** Records all counts. */
  close(): void {
    clearInterval(this.#timer);
    for (const [peer, window] of this.#windows) this.#end(peer, window);
  }

  #endOldest(): void {
    for (const [peer, window] of this.#windows) {
      this.#end(peer, window);
      return;
    }
  }

  #end(peer: string, { failures, first }: Window): void {
    this.#windows.delete(peer);
    const count = failures - singleFailures;
    if (count <= 0) return;
    const { audience } = first;
    const event: Failed = {
      type: 'auth.failed',
      reason: 'more failures of the same address within a minute, counted',
      ...(audience === undefined ? {} : { audience }),
      peer,
      count,
    };
    this.#deps.record(event).catch((error: unknown) => {
      this.#deps.warn(`failed logins could not be recorded: ${error instanceof Error ? error.message : String(error)}`);
    });
  }
}
