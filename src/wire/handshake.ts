import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { PeerError } from '../model/errors.ts';

/**
 * The server's side of a TLS handshake on an accepted connection; one of `protocols` is agreed on by ALPN where the client offers
 * any (RFC 7301). Throws PeerError CLIENT_PROTOCOL, or the signal's reason; the socket is of no use then.
 */
export function handshake(
  socket: Socket,
  secureContext: SecureContext,
  protocols: readonly string[],
  signal: AbortSignal,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const tls = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: [...protocols] });
    const failed = () =>
      reject(signal.aborted ? (signal.reason as Error) : new PeerError('CLIENT_PROTOCOL', 'the TLS handshake failed'));
    const aborted = () => {
      socket.destroy();
      failed();
    };
    signal.addEventListener('abort', aborted, { once: true });
    tls.once('error', failed);
    tls.once('close', failed);
    tls.once('secure', () => {
      signal.removeEventListener('abort', aborted);
      tls.off('error', failed);
      tls.off('close', failed);
      tls.on('error', () => tls.destroy());
      // As Node's own TLS server does before it hands a socket on: its HTTP/2 waits for ever otherwise.
      (tls as TLSSocket & { secureConnecting: boolean }).secureConnecting = false;
      tls.setNoDelay(true);
      resolve(tls);
    });
  });
}
