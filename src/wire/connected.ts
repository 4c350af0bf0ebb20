import type { Socket } from 'node:net';

/**
 * Resolves when a socket that is being connected, or a TLS layer over one, has got to `event`; rejects at an error, at the end of the connection, or
 * with the signal's reason.
 */
export function connected(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void) => {
      for (const [name, listener] of listeners) socket.off(name, listener);
      signal.removeEventListener('abort', onAbort);
      finish();
    };
    const listeners: readonly [string, (error?: Error) => void][] = [
      [event, () => settle(resolve)],
      ['error', (error) => settle(() => reject(error))],
      ['close', () => settle(() => reject(new Error('the server hung up')))],
    ];
    const onAbort = () => settle(() => reject(signal.reason));
    for (const [name, listener] of listeners) socket.once(name, listener);
    signal.addEventListener('abort', onAbort, { once: true });
    // Whoever waits no longer must not be killed by a late error; the ones who use the socket listen themselves.
    socket.on('error', () => undefined);
  });
}
