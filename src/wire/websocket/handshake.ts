import { createHash, randomBytes } from 'node:crypto';

/** A fresh `Sec-WebSocket-Key` (RFC 6455 §4.1). */
export function websocketKey(): string {
  return randomBytes(16).toString('base64');
}

/** Whether it is 16 bytes in base64, in the one way to write them. */
export function isWebsocketKey(key: string): boolean {
  const bytes = Buffer.from(key, 'base64');
  return bytes.length === 16 && bytes.toString('base64') === key;
}

/** The `Sec-WebSocket-Accept` that answers a key (§4.2.2): the server understood what it was asked. */
export function websocketAccept(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}
