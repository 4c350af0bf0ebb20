import { createServer, type Server, type Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Gateway, Protocol } from './protocol.ts';

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: () => SecureContext;
  /** Allow plaintext from loopback addresses. */
  readonly plaintext: boolean;
  /** More open connections than this are refused at once. */
  readonly maxConnections: number;
}

export interface Listener {
  readonly address: { readonly host: string; readonly port: number };
  /** Stops accepting; open connections end with their sessions. Resolves when the last is gone or was cut after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Accepts connections for one protocol. Rejects when the address cannot be listened on. */
export async function listen(protocol: Protocol, gateway: Gateway, options: ListenerOptions): Promise<Listener> {
  const sockets = new Set<Socket>();
  const closing = new AbortController();
  const server = createServer({ noDelay: true, keepAlive: true, pauseOnConnect: false }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // A reset by the peer is the end of its connection, which `serve` notices by 'close'; it must not end the process.
    socket.on('error', () => socket.destroy());
    const connection = {
      socket,
      tls: options.tls(),
      plaintext: options.plaintext && isLoopback(socket.remoteAddress),
      closing: closing.signal,
    };
    protocol.serve(connection, gateway).catch((error: unknown) => {
      gateway.log('error', `${protocol.name}: connection ended by an internal error`, {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
      socket.destroy();
    });
  });
  server.maxConnections = options.maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', (error) => gateway.log('error', `${protocol.name}: listener`, { error: error.message }));
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : options.port;
  return { address: { host: options.host, port }, close: (graceMs) => shut(server, sockets, closing, graceMs) };
}

async function shut(
  server: Server,
  sockets: ReadonlySet<Socket>,
  closing: AbortController,
  graceMs: number,
): Promise<void> {
  closing.abort();
  const gone = new Promise<void>((resolve) => server.close(() => resolve()));
  const cut = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, graceMs);
  await gone;
  clearTimeout(cut);
}

/** 127.0.0.0/8, ::1, and the IPv4-mapped forms of the former. */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && (address === '::1' || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(address));
}
