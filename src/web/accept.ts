import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Connection } from '../gateway/protocol.ts';
import { handshake } from '../wire/handshake.ts';
import { PacketReader } from '../wire/packets.ts';

export interface Accepted {
  readonly stream: Duplex;
  readonly http: '1' | '2';
  readonly scheme: 'http' | 'https';
}

/** How HTTP/2's preface begins; no method of HTTP/1 is called so (RFC 9113 §11.6). */
const preface = Buffer.from('PRI ');

const encryptedOnly = 'This gateway only takes encrypted connections: use https.\n';
const plaintextRefused = Buffer.from(
  `HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: ${encryptedOnly.length}\r\nconnection: close\r\n\r\n${encryptedOnly}`,
);

/**
 * From an accepted connection to one that speaks HTTP: TLS with ALPN (RFC 7301), or plaintext where that is allowed; HTTP/2 by
 * ALPN, or by its preface (RFC 9113 §3.3). Undefined when the peer gave up, was too slow or was turned away.
 */
export async function accept(connection: Connection, signal: AbortSignal): Promise<Accepted | undefined> {
  const { socket } = connection;
  try {
    const first = await peek(socket, 1, signal);
    if (first === undefined) return gone(socket);
    if (first[0] === 0x16) {
      const secured = await handshake(socket, connection.tls, ['h2', 'http/1.1'], signal);
      return { stream: secured, http: secured.alpnProtocol === 'h2' ? '2' : '1', scheme: 'https' };
    }
    if (!connection.plaintext) {
      socket.end(plaintextRefused);
      setTimeout(() => socket.destroy(), 2000).unref();
      return undefined;
    }
    const start = first[0] === preface[0] ? await peek(socket, preface.length, signal) : first;
    if (start === undefined) return gone(socket);
    return { stream: socket, http: start.equals(preface) ? '2' : '1', scheme: 'http' };
  } catch {
    return gone(socket); // a handshake that failed has told the peer by its alert
  }
}

/** The first `size` bytes, which stay in the stream; undefined when the peer ended before. */
async function peek(socket: Socket, size: number, signal: AbortSignal): Promise<Buffer | undefined> {
  using reader = new PacketReader(socket, signal);
  const bytes = await reader.exactly(size);
  if (bytes !== undefined) socket.unshift(bytes);
  return bytes;
}

function gone(socket: Socket): undefined {
  socket.destroy();
  return undefined;
}
