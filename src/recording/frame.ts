import type { RecordedFrame } from '../gateway/protocol.ts';

/**
 * Frames in a segment: u32 exchange · u32 length · u8 kind · u48 ms since the session's start · bytes. A frame never crosses a segment:
 * longer replies and what is sent become several frames, longer requests are marked as going on in the next frame and read back as one.
 */
export const frameHeadSize = 15;

export const Request = 1;
export const Reply = 2;
/** A request whose rest follows. */
export const RequestPart = 3;
/** What the caller sends after a request. */
export const Sent = 4;
export type FrameKind = typeof Request | typeof Reply | typeof RequestPart | typeof Sent;

export function writeFrameHead(
  into: Buffer,
  at: number,
  exchange: number,
  kind: FrameKind,
  ms: number,
  length: number,
): void {
  into.writeUInt32LE(exchange, at);
  into.writeUInt32LE(length, at + 4);
  into[at + 8] = kind;
  into.writeUIntLE(ms, at + 9, 6);
}

/** Most bytes of one request put together from its parts. */
const requestLimit = 268_435_456;

/** Takes segments apart, in order. */
export class FrameParser {
  #parts: Buffer[] = [];
  #size = 0;

  /** The frames that end in this segment. `count` counts those in it; returns undefined when the segment does not add up. */
  parse(plain: Buffer, count: number): RecordedFrame[] | undefined {
    const frames: RecordedFrame[] = [];
    let at = 0;
    for (let i = 0; i < count; i++) {
      if (at + frameHeadSize > plain.length) return undefined;
      const end = at + frameHeadSize + plain.readUInt32LE(at + 4);
      const kind = plain[at + 8]!;
      if (end > plain.length || ((kind === Reply || kind === Sent) && this.#size > 0)) return undefined;
      const bytes = plain.subarray(at + frameHeadSize, end);
      const frame = { exchange: plain.readUInt32LE(at), at: plain.readUIntLE(at + 9, 6) };
      at = end;
      if (kind === Reply) frames.push({ ...frame, direction: 'reply', bytes });
      else if (kind === Sent) frames.push({ ...frame, direction: 'sent', bytes });
      else if (kind === Request) frames.push({ ...frame, direction: 'request', bytes: this.#whole(bytes) });
      else if (kind !== RequestPart || !this.#keep(bytes)) return undefined;
    }
    return at === plain.length ? frames : undefined;
  }

  #keep(part: Buffer): boolean {
    this.#parts.push(part);
    this.#size += part.length;
    return this.#size <= requestLimit;
  }

  #whole(last: Buffer): Buffer {
    if (this.#parts.length === 0) return last;
    const whole = Buffer.concat([...this.#parts, last]);
    this.#parts = [];
    this.#size = 0;
    return whole;
  }
}
