import { connect, type TLSSocket } from 'node:tls';
import type { BareGateway } from '../../support/gateway.ts';

/** A TLS connection to the gateway that says what it is told, byte for byte. */
export interface RawCaller {
  readonly socket: TLSSocket;
  say(text: string | Buffer): void;
  /** Resolves with everything heard so far once `until` matches it, or the connection has ended. */
  heard(until: RegExp): Promise<string>;
  end(): void;
}

export async function rawCaller(gateway: BareGateway): Promise<RawCaller> {
  const { hostname, port } = new URL(gateway.http);
  const socket = connect({ host: hostname, port: Number(port), ca: gateway.ca, servername: 'localhost' });
  let text = '';
  let over = false;
  const waiting = new Set<() => void>();
  const tell = () => {
    for (const look of waiting) look();
  };
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    tell();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    over = true;
    tell();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  return {
    socket,
    say: (bytes) => void socket.write(bytes),
    heard: (until) =>
      new Promise((resolve) => {
        const look = () => {
          if (!over && !until.test(text)) return;
          waiting.delete(look);
          resolve(text);
        };
        waiting.add(look);
        look();
      }),
    end: () => socket.destroy(),
  };
}
