import { randomFillSync } from 'node:crypto';
import { type Frame, mayClose, opcodes } from './frame.ts';
import { mask } from './mask.ts';

/** Fills a buffer with bytes that nobody can foresee. */
export type Random = (bytes: Buffer) => void;

const bySystem: Random = (bytes) => void randomFillSync(bytes);

/**
 * A frame as bytes. Towards a server it is masked, with a fresh key each time: proxies on the way must not be talked into anything by
 * what a message says (RFC 6455 §10.3).
 */
export function encodeFrame(frame: Frame, to: 'client' | 'server', random: Random = bySystem): Buffer {
  const { length } = frame.payload;
  const extended = length > 65_535 ? 8 : length > 125 ? 2 : 0;
  const masked = to === 'server';
  const start = 2 + extended + (masked ? 4 : 0);
  const bytes = Buffer.allocUnsafe(start + length);
  bytes[0] = (frame.fin ? 0x80 : 0) | (frame.first ? opcodes[frame.kind] : opcodes.continuation);
  bytes[1] = (masked ? 0x80 : 0) | (extended === 8 ? 127 : extended === 2 ? 126 : length);
  if (extended === 2) bytes.writeUInt16BE(length, 2);
  if (extended === 8) bytes.writeBigUInt64BE(BigInt(length), 2);
  frame.payload.copy(bytes, start);
  if (masked) {
    const key = bytes.subarray(start - 4, start);
    random(key);
    mask(bytes.subarray(start), key);
  }
  return bytes;
}

/** A Close frame. Throws RangeError for a code that may not be sent; a long reason is cut at a character. */
export function closeFrame(code: number, reason = ''): Frame {
  if (!mayClose(code)) throw new RangeError(`${code} is no code of a Close frame`);
  const text = Buffer.from(reason);
  let end = Math.min(text.length, 123);
  while (end < text.length && end > 0 && (text[end]! & 0xc0) === 0x80) end--;
  const payload = Buffer.concat([Buffer.from([code >> 8, code & 255]), text.subarray(0, end)]);
  return { kind: 'close', first: true, fin: true, payload };
}
