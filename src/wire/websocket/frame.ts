import { PeerError } from '../../model/errors.ts';

/**
 * A frame of a WebSocket (RFC 6455 §5), unmasked. The frames of one message follow each other, with control frames between them at
 * most; `first` and `fin` are its ends. A frame that is larger than a piece comes as several, as any intermediary may cut it (§5.4).
 */
export interface Frame {
  readonly kind: 'text' | 'binary' | 'close' | 'ping' | 'pong';
  readonly first: boolean;
  readonly fin: boolean;
  readonly payload: Buffer;
}

/** Who sends: a client masks what it sends, a server must not (§5.1). */
export type Sender = 'client' | 'server';

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** A peer broke the protocol. The connection ends, with `closeCode` as the last word to the peer (§7.4). */
export class WebSocketFault extends PeerError {
  readonly closeCode: 1002 | 1007 | 1009;

  constructor(sender: Sender, closeCode: 1002 | 1007 | 1009, what: string) {
    super(sender === 'client' ? 'CLIENT_PROTOCOL' : 'UPSTREAM_PROTOCOL', `WebSocket: ${what}`);
    this.closeCode = closeCode;
  }
}

/** Codes that may be in a Close frame (§7.4; IANA, “WebSocket Close Code Number Registry”). */
export function mayClose(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}
