import { maxPacket, packet } from './pktline.ts';

/**
 * Several streams in one (gitprotocol-pack, “side-band-64k”): the first byte of a packet is its band. 1 is what was asked for,
 * 2 is text for people, which git shows behind `remote:` as it comes, 3 is text that ends the conversation.
 */
export type Band = 1 | 2 | 3;

/** Most that one packet carries: LARGE_PACKET_MAX with side-band-64k, 1000 with side-band. */
export const bandLimit = { 'side-band-64k': maxPacket - 5, 'side-band': 1000 - 5 } as const;
export type Sideband = keyof typeof bandLimit;

/** Nothing, to keep a quiet connection alive; receive-pack does the same. */
export const keepAlive = packet(Buffer.from([1]));

export function banded(band: Band, bytes: Buffer, sideband: Sideband): Buffer {
  const limit = bandLimit[sideband];
  const packets: Buffer[] = [];
  for (let from = 0; from < bytes.length; from += limit) {
    packets.push(packet(Buffer.concat([Buffer.from([band]), bytes.subarray(from, from + limit)])));
  }
  return packets.length === 1 ? packets[0]! : Buffer.concat(packets);
}

/** Lines for the person or agent at the other end. Control characters do not reach a terminal. */
export function remoteLines(lines: readonly string[], sideband: Sideband): Buffer {
  const text = lines.map((line) => `${harmless(line)}\n`).join('');
  return banded(2, Buffer.from(text), sideband);
}

/** Text that a terminal shows as it is: nothing that moves, colours, hides or reorders. */
export function harmless(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, (character) => (character === '\t' ? ' ' : '\ufffd'));
}
