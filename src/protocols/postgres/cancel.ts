import { Permit } from '../../audit/permit.ts';
import type { Target } from '../../model/target.ts';
import { type BackendKey, cancelRequest } from './codec.ts';
import { dial, unavailable } from './dial.ts';
import type { PostgresSettings } from './settings.ts';

export interface CancelOptions {
  readonly target: Target<PostgresSettings>;
  /** The key that this very connection was given. */
  readonly key: BackendKey;
  /** The session's: cancelling its own statement is housekeeping. */
  readonly permit: Permit;
  readonly timeoutMs: number;
}

/**
 * Asks the server, over a connection of its own and as safely as any other, to cancel what the session with this key runs.
 * Resolves when the server has taken the request; it never says whether there was anything to cancel.
 */
export async function cancelUpstream({ target, key, permit, timeoutMs }: CancelOptions): Promise<void> {
  Permit.spend(permit, 'session');
  const { settings } = target;
  const timeout = new AbortController();
  const timer = setTimeout(
    () => timeout.abort(unavailable(settings.address, `it did not take a cancel request within ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    const { socket } = await dial(settings, timeout.signal);
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        socket.destroy();
        reject(timeout.signal.reason);
      };
      timeout.signal.addEventListener('abort', onAbort, { once: true });
      // The server closes without an answer; a reset is as good.
      socket.once('close', () => resolve());
      socket.resume();
      socket.end(cancelRequest(key));
    });
  } finally {
    clearTimeout(timer);
  }
}
