import { PeerError } from '../../model/errors.ts';

/**
 * pkt-line (gitprotocol-common, “pkt-line Format”): four hex digits of length, themselves included, then that much less four bytes.
 * Three lengths below four stand for themselves: flush, and in protocol v2 delimiter and response-end.
 */
export type Packet = Buffer | 'flush' | 'delim' | 'end';

/** Largest whole packet (LARGE_PACKET_MAX). */
export const maxPacket = 65520;
const maxPayload = maxPacket - 4;

export const flush = Buffer.from('0000');
export const delim = Buffer.from('0001');
export const responseEnd = Buffer.from('0002');

/** One packet. Throws RangeError when it does not fit. */
export function packet(payload: Buffer | string): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  if (bytes.length > maxPayload) throw new RangeError('too much for one packet');
  const whole = Buffer.allocUnsafe(4 + bytes.length);
  whole.write((bytes.length + 4).toString(16).padStart(4, '0'), 'latin1');
  bytes.copy(whole, 4);
  return whole;
}

/** The length of the packet that starts at `at` as it was sent; negative where these four bytes are no length. */
export function packetLength(bytes: Buffer, at: number): number {
  let length = 0;
  for (let index = at; index < at + 4; index++) {
    const digit = hexDigit(bytes[index] as number);
    if (digit < 0) return -1;
    length = length * 16 + digit;
  }
  return length === 3 || length > maxPacket ? -1 : length;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Text of a line, without the one newline that may end it. Undefined where it is not UTF-8. */
export function lineText(payload: Buffer): string | undefined {
  const end = payload.length > 0 && payload[payload.length - 1] === 0x0a ? payload.length - 1 : payload.length;
  try {
    return utf8.decode(payload.subarray(0, end));
  } catch {
    return undefined;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Packets out of bytes that come cut anywhere. Holds no more than one packet that is not complete yet. Payloads are views of what
 * was pushed wherever one chunk held them whole.
 */
export class PacketReader {
  readonly #peer: PeerError['kind'];
  #held: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(peer: PeerError['kind']) {
    this.#peer = peer;
  }

  /** All that `next` handed out before has to be used or copied by now only if the source reuses its buffers. */
  push(chunk: Buffer): void {
    const rest = this.#held.length - this.#at;
    this.#held = rest === 0 ? chunk : Buffer.concat([this.#held.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** Undefined while the next one is not complete. Throws PeerError for a length that is none. */
  next(): Packet | undefined {
    const left = this.#held.length - this.#at;
    if (left < 4) return undefined;
    const length = packetLength(this.#held, this.#at);
    if (length < 0) throw new PeerError(this.#peer, 'a packet says a length that is none');
    if (length < 3) {
      this.#at += 4;
      return length === 0 ? 'flush' : length === 1 ? 'delim' : 'end';
    }
    if (left < length) return undefined;
    const payload = this.#held.subarray(this.#at + 4, this.#at + length);
    this.#at += length;
    return payload;
  }

  /** What has not been read as packets; from here on it is the taker's. */
  rest(): Buffer {
    const rest = this.#held.subarray(this.#at);
    this.#held = Buffer.alloc(0);
    this.#at = 0;
    return rest;
  }

  /** Whether nothing is left over: the stream may end here. */
  get empty(): boolean {
    return this.#held.length === this.#at;
  }
}

/** All packets of a message that is whole. Throws PeerError where the last one is cut short. */
export function packetsOf(bytes: Buffer, peer: PeerError['kind']): Packet[] {
  const reader = new PacketReader(peer);
  reader.push(bytes);
  const packets: Packet[] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next()) packets.push(next);
  if (!reader.empty) throw new PeerError(peer, 'the last packet is cut short');
  return packets;
}
