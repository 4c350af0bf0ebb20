import type { Target } from '../model/target.ts';
import { uuidv7 } from '../model/uuid.ts';
import type { AuditPort } from './ports.ts';
import type { Housekeeping, HousekeepingPurpose } from './protocol.ts';

interface Deps {
  readonly audit: AuditPort;
  readonly policy: { readonly version: string };
  readonly now: () => number;
}

const principal = 'sallyport:gateway';

/** The gateway's own sessions with its targets. They are in the log like anybody's: before anything is sent, and when they are over. */
export class HousekeepingSessions {
  readonly #deps: Deps;
  readonly #stopping = new AbortController();
  readonly #open = new Set<(reason: string) => void>();
  readonly #ending = new Set<Promise<unknown>>();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async open(target: Target, purpose: HousekeepingPurpose = 'catalog'): Promise<Housekeeping> {
    const { audit, policy, now } = this.#deps;
    const session = uuidv7(now());
    const permit = await audit.openSession({
      type: 'session.started',
      session,
      principal,
      principalName: 'the gateway itself',
      principalKind: 'gateway',
      target: target.name,
      protocol: target.protocol,
      client: { address: 'local' },
      purpose,
      policy: policy.version,
    });
    const end = (reason: string) => {
      if (!this.#open.delete(end)) return;
      // A log that cannot take this is closed by recovery at the next start.
      const ended = audit
        .record({ type: 'session.ended', session, principal, target: target.name, reason })
        .catch(() => undefined)
        .finally(() => this.#ending.delete(ended));
      this.#ending.add(ended);
    };
    this.#open.add(end);
    return { permit, signal: this.#stopping.signal, end };
  }

  /** Ends all of them. */
  async close(): Promise<void> {
    this.#stopping.abort(new Error('the gateway is stopping'));
    for (const end of this.#open) end('the gateway is stopping');
    await Promise.all(this.#ending);
  }
}
