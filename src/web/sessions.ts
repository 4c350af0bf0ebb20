import type { Gateway, Limits, Line } from '../gateway/protocol.ts';
import type { Session } from '../model/session.ts';

interface Kept {
  readonly opening: Promise<Line>;
  line: Line | undefined;
  users: number;
  rest: NodeJS.Timeout | undefined;
}

/**
 * Requests come one by one and bring their credential each time; a session is what one credential does at one target from one
 * address until it rests (`limits.rest`): a script's next request belongs to the same session. The credential is verified when the
 * session opens, and again when it has expired. Where a session was ended before its time (revoked, terminated by a person), its
 * credential opens no other one for as long as it would have rested.
 */
export class WebSessions {
  readonly #kept = new Map<string, Kept>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Throws what `gateway.login` throws. The caller leaves exactly once what it has entered. */
  async enter(
    gateway: Gateway,
    protocol: string,
    target: string,
    credential: string,
    client: Session['client'],
  ): Promise<{ readonly line: Line; leave(): void }> {
    const key = `${protocol} ${target} ${client.address} ${credential}`;
    let kept = this.#kept.get(key);
    if (kept?.line?.signal.aborted) throw kept.line.signal.reason;
    if (kept?.line !== undefined && kept.line.expiresAt <= this.#now()) {
      this.#drop(key, kept, 'the credential has expired');
      kept = undefined;
    }
    kept ??= this.#open(key, gateway.limits, () => gateway.login(protocol, target, credential, client));
    clearTimeout(kept.rest);
    kept.users += 1;
    const used = kept;
    try {
      const line = used.line ?? (await used.opening);
      return { line, leave: () => this.#leave(key, used, gateway.limits.restMs) };
    } catch (error) {
      used.users -= 1;
      throw error;
    }
  }

  get size(): number {
    return this.#kept.size;
  }

  #open(key: string, limits: Limits, login: () => Promise<Line>): Kept {
    const opening = login();
    const kept: Kept = { opening, line: undefined, users: 0, rest: undefined };
    this.#kept.set(key, kept);
    opening.then(
      (line) => {
        kept.line = line;
        const ended = () => this.#ended(key, kept, line, limits);
        if (line.signal.aborted) ended();
        else line.signal.addEventListener('abort', ended, { once: true });
      },
      () => this.#forget(key, kept),
    );
    return kept;
  }

  #leave(key: string, kept: Kept, restMs: number): void {
    kept.users -= 1;
    if (kept.users > 0 || kept.line === undefined || kept.line.signal.aborted) return;
    if (this.#kept.get(key) !== kept) {
      void kept.line.close('the credential has expired');
      return;
    }
    kept.rest = setTimeout(() => this.#drop(key, kept, 'no request for a while'), restMs);
    kept.rest.unref();
  }

  /** By the gateway, not by us. One that was as old as a session may get makes room for the next. */
  #ended(key: string, kept: Kept, line: Line, { restMs, sessionMs }: Limits): void {
    clearTimeout(kept.rest);
    void line.close((line.signal.reason as Error).message);
    if (this.#now() - line.session.startedAt >= sessionMs) this.#forget(key, kept);
    else {
      kept.rest = setTimeout(() => this.#forget(key, kept), restMs);
      kept.rest.unref();
    }
  }

  /** Nobody enters it any more. It closes now, or, where only its credential has expired, when the last request is done. */
  #drop(key: string, kept: Kept, reason: string): void {
    clearTimeout(kept.rest);
    this.#forget(key, kept);
    const { line } = kept;
    if (line !== undefined && kept.users === 0) void line.close(reason);
  }

  #forget(key: string, kept: Kept): void {
    if (this.#kept.get(key) === kept) this.#kept.delete(key);
  }
}
