import { randomBytes, timingSafeEqual } from 'node:crypto';
import { type BackendKey, freshKey } from './codec.ts';

/**
 * Cancel keys that the gateway issues: the server's own keys never reach a client, and a key reaches exactly the session
 * it was given to (threat C5).
 */
export class CancelKeys {
  readonly #sessions = new Map<number, { readonly secret: Buffer; readonly cancel: () => void }>();

  issue(version: number, cancel: () => void): BackendKey {
    let key = freshKey(version, randomBytes);
    while (this.#sessions.has(key.processId)) key = freshKey(version, randomBytes);
    this.#sessions.set(key.processId, { secret: key.secret, cancel });
    return key;
  }

  withdraw(key: BackendKey): void {
    this.#sessions.delete(key.processId);
  }

  /** Does nothing for a key that is not known, as PostgreSQL does. */
  cancel(key: BackendKey): void {
    const session = this.#sessions.get(key.processId);
    if (session === undefined || session.secret.length !== key.secret.length) return;
    if (timingSafeEqual(session.secret, key.secret)) session.cancel();
  }
}
