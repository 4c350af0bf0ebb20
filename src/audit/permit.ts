/**
 * Proof that an intent is durable. Only `audit/` can make one: the constructor is reachable through `issue` alone, and the
 * architecture test lets nothing but the audit log import `issue`. A command's permit is good for one command; a session's
 * is good for the housekeeping of its session (Sync, Terminate, keep-alive), never for a command.
 */
export class Permit {
  readonly #scope: 'command' | 'session';
  #spent = false;
  /** Sequence number of the event that made it. */
  readonly seq: number;

  private constructor(scope: 'command' | 'session', seq: number) {
    this.#scope = scope;
    this.seq = seq;
  }

  /** Throws unless `permit` was issued by the log, is for this scope and, if for a command, has not been spent. */
  static spend(permit: Permit, scope: 'command' | 'session'): void {
    if (!(#scope in permit) || permit.#scope !== scope) throw new TypeError(`not a ${scope} permit`);
    if (scope === 'command') {
      if (permit.#spent) throw new TypeError('permit was spent before');
      permit.#spent = true;
    }
  }

  /** @internal for the audit log. */
  static issue(scope: 'command' | 'session', seq: number): Permit {
    return new Permit(scope, seq);
  }
}
