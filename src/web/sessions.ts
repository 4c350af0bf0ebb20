import type { Gateway, Limits, Line } from '../gateway/protocol.ts';
import { Refusal } from '../model/errors.ts';
import type { Session } from '../model/session.ts';

/** Requests of one session at once: what each may keep in memory is bounded, and so has to be how many there are. */
const mostAtOnce = 500;

interface Kept {
  readonly opening: Promise<Line>;
  line: Line | undefined;
  users: number;
  rest: NodeJS.Timeout | undefined;
}

/** A place in a session; the caller leaves it exactly once. */
export interface Entered {
  readonly line: Line;
  leave(): void;
}

/**
 * Requests come one by one and bring their credential each time; a session is what one credential does at one target from one
 * address until it rests (`limits.rest`): a script's next request belongs to the same session. The credential is verified when the
 * session opens, and again when it has expired. Where a session was ended before its time (revoked, terminated by a person), its
 * credential opens no other one for as long as it would have rested, from no address and in no other spelling.
 */
export class WebSessions {
  readonly #kept = new Map<string, Kept>();
  /** Credentials that open nothing for a while, and why. */
  readonly #out = new Map<string, unknown>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Throws what `gateway.login` throws, and Refusal LIMIT_EXCEEDED. The caller leaves exactly once what it has entered. */
  async enter(
    gateway: Gateway,
    protocol: string,
    target: string,
    credential: string,
    client: Session['client'],
  ): Promise<Entered> {
    const key = keyOf(protocol, target, credential, client);
    const whole = wholeOf(protocol, target, credential);
    let kept = this.#kept.get(key);
    if (kept === undefined && this.#out.has(whole)) throw this.#out.get(whole);
    if (kept?.line?.signal.aborted) throw kept.line.signal.reason;
    if (kept?.line !== undefined && kept.line.expiresAt <= this.#now()) {
      this.#drop(key, kept, 'the credential has expired');
      kept = undefined;
    }
    kept ??= this.#open(key, whole, gateway.limits, () => gateway.login(protocol, target, credential, client));
    if (kept.users >= mostAtOnce) {
      throw new Refusal('LIMIT_EXCEEDED', `${mostAtOnce} requests of this session are under way already`, {
        retryAfterMs: 1000,
      });
    }
    kept.users += 1;
    const used = kept;
    try {
      const line = used.line ?? (await used.opening);
      return this.#entered(key, used, line, gateway);
    } catch (error) {
      used.users -= 1;
      throw error;
    }
  }

  /** The same for a session that is open, without waiting; undefined where there is none that can be entered so. */
  enterOpen(
    gateway: Gateway,
    protocol: string,
    target: string,
    credential: string,
    client: Session['client'],
  ): Entered | undefined {
    const key = keyOf(protocol, target, credential, client);
    const kept = this.#kept.get(key);
    const line = kept?.line;
    if (kept === undefined || line === undefined || kept.users >= mostAtOnce) return undefined;
    if (line.signal.aborted || line.expiresAt <= this.#now()) return undefined;
    kept.users += 1;
    return this.#entered(key, kept, line, gateway);
  }

  get size(): number {
    return this.#kept.size;
  }

  #open(key: string, whole: string, limits: Limits, login: () => Promise<Line>): Kept {
    const opening = login();
    const kept: Kept = { opening, line: undefined, users: 0, rest: undefined };
    this.#kept.set(key, kept);
    opening.then(
      (line) => {
        kept.line = line;
        const ended = () => this.#ended(key, whole, kept, line, limits);
        if (line.signal.aborted) ended();
        else line.signal.addEventListener('abort', ended, { once: true });
      },
      () => this.#forget(key, kept),
    );
    return kept;
  }

  #entered(key: string, kept: Kept, line: Line, { limits }: Gateway): Entered {
    return { line, leave: () => this.#leave(key, kept, limits.restMs) };
  }

  #leave(key: string, kept: Kept, restMs: number): void {
    kept.users -= 1;
    if (kept.users > 0 || kept.line === undefined || kept.line.signal.aborted) return;
    if (this.#kept.get(key) !== kept) {
      void kept.line.close('the credential has expired');
      return;
    }
    // Requests follow each other closely: a timer is moved, not made anew, and means nothing while somebody is in.
    if (kept.rest !== undefined) kept.rest.refresh();
    else
      kept.rest = setTimeout(() => kept.users === 0 && this.#drop(key, kept, 'no request for a while'), restMs).unref();
  }

  /** By the gateway, not by us. One that was as old as a session may get makes room for the next. */
  #ended(key: string, whole: string, kept: Kept, line: Line, { restMs, sessionMs }: Limits): void {
    clearTimeout(kept.rest);
    void line.close((line.signal.reason as Error).message);
    if (this.#now() - line.session.startedAt >= sessionMs) this.#forget(key, kept);
    else {
      const { reason } = line.signal;
      this.#out.set(whole, reason);
      kept.rest = setTimeout(() => {
        this.#forget(key, kept);
        if (this.#out.get(whole) === reason) this.#out.delete(whole);
      }, restMs);
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

/** A credential, target and address have one session. */
function keyOf(protocol: string, target: string, credential: string, { address }: Session['client']): string {
  return `${protocol} ${target} ${address} ${credential}`;
}

/**
 * What is one credential however it is written. A JWT's signature is not unique: base64url leaves spare bits, and each ECDSA signature has a
 * twin. What it signs is; nobody without a signature that is right gets as far as having a session.
 */
function wholeOf(protocol: string, target: string, credential: string): string {
  const [head, payload, signature] = credential.split('.', 3);
  return `${protocol} ${target} ${signature === undefined ? credential : `${head}.${payload}`}`;
}
