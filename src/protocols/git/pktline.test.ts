import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PeerError } from '../../model/errors.ts';
import {
  delim,
  flush,
  lineText,
  maxPacket,
  type Packet,
  PacketReader,
  packet,
  packetsOf,
  responseEnd,
} from './pktline.ts';

const kinds = ['flush', 'delim', 'end'] as const;
const written = (each: Packet) =>
  each === 'flush' ? flush : each === 'delim' ? delim : each === 'end' ? responseEnd : packet(each);
const anyPacket = fc.oneof(
  fc.constantFrom(...kinds),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);

/** Reads bytes that come in pieces of the given sizes, again and again. */
function read(bytes: Buffer, sizes: readonly number[]): Packet[] {
  const reader = new PacketReader('CLIENT_PROTOCOL');
  const packets: Packet[] = [];
  for (let at = 0, piece = 0; at < bytes.length; piece++) {
    const size = sizes[piece % sizes.length]!;
    reader.push(bytes.subarray(at, at + size));
    for (let next = reader.next(); next !== undefined; next = reader.next()) packets.push(next);
    at += size;
  }
  return packets;
}

describe('pkt-lines', () => {
  it('are read as they were written, cut wherever', () => {
    fc.assert(
      fc.property(
        fc.array(anyPacket),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        (packets, sizes) => {
          const bytes = Buffer.concat(packets.map(written));
          expect(read(bytes, sizes)).toEqual(packets);
          expect(packetsOf(bytes, 'CLIENT_PROTOCOL')).toEqual(packets);
        },
      ),
    );
  });

  it('of any bytes are packets or a PeerError, and never more than there is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
        try {
          const packets = packetsOf(Buffer.from(bytes), 'UPSTREAM_PROTOCOL');
          expect(Buffer.concat(packets.map(written)).length).toBe(bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(PeerError);
        }
      }),
    );
  });

  it.each(['0003', 'fff1', 'ffff', '-001', '+00a', ' 00a', '0x0a', '00 a', 'zzzz', '00a\0'])(
    'have no length %j',
    (length) => {
      expect(() => packetsOf(Buffer.from(`${length}aaaaaa`, 'latin1'), 'CLIENT_PROTOCOL')).toThrow(PeerError);
    },
  );

  it('are as large as they may be, and not larger', () => {
    const largest = Buffer.alloc(maxPacket - 4, 'a');
    expect(packetsOf(packet(largest), 'CLIENT_PROTOCOL')).toEqual([largest]);
    expect(() => packet(Buffer.alloc(maxPacket - 3))).toThrow(RangeError);
  });

  it('may say their length in capitals', () => {
    expect(packetsOf(Buffer.from('000Aabcdef'), 'CLIENT_PROTOCOL')).toEqual([Buffer.from('abcdef')]);
  });

  it('leave what follows them to the taker', () => {
    const reader = new PacketReader('CLIENT_PROTOCOL');
    reader.push(Buffer.concat([packet('a'), flush, Buffer.from('PACK rest')]));
    expect(reader.next()).toEqual(Buffer.from('a'));
    expect(reader.next()).toBe('flush');
    expect(reader.rest()).toEqual(Buffer.from('PACK rest'));
    expect(reader.empty).toBe(true);
  });

  it('hold text without one newline, or no text', () => {
    expect(lineText(Buffer.from('a\n\n'))).toBe('a\n');
    expect(lineText(Buffer.from('ä'))).toBe('ä');
    expect(lineText(Buffer.from([0xff]))).toBeUndefined();
    expect(lineText(Buffer.from('\ufeffa'))).toBe('\ufeffa');
  });
});
