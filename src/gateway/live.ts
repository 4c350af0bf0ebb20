import { Refusal } from '../model/errors.ts';
import type { Session } from '../model/session.ts';

/** The sessions that are open on this node, and the means to end them. */
export class LiveSessions {
  readonly #open = new Map<string, { readonly session: Session; readonly controller: AbortController }>();

  /** The signal fires when the session must end; its reason is a Refusal. */
  add(session: Session): AbortController {
    const controller = new AbortController();
    this.#open.set(session.id, { session, controller });
    return controller;
  }

  remove(id: string): void {
    this.#open.delete(id);
  }

  has(id: string): boolean {
    return this.#open.has(id);
  }

  get size(): number {
    return this.#open.size;
  }

  /** False when no such session is open here. */
  end(id: string, reason: string): boolean {
    const entry = this.#open.get(id);
    entry?.controller.abort(new Refusal('SESSION_ENDED', reason));
    return entry !== undefined;
  }

  /** `refusal` is what their callers read. Those that are ending already keep their own reason. */
  endAll(refusal: Refusal): void {
    for (const { controller } of [...this.#open.values()]) controller.abort(refusal);
  }
}
