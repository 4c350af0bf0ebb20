import { crc32 } from 'node:zlib';

/** Largest entry, as tlog-tiles' entry bundles can hold it (their length prefix has 16 bits). */
export const maxEntryBytes = 65_535;
/** Frame header: length and CRC-32 of the payload, big endian, 32 bits each. A length of zero ends a segment. */
export const frameHeaderBytes = 8;
/** Segment header; see `encodeSegmentHeader`. Frames follow it. */
export const segmentHeaderBytes = 64;

const magic = Buffer.from('SPAUDIT1');

/** What a segment continues: the log's counters when its first frame was written. */
export interface SegmentHeader {
  readonly segment: number;
  readonly firstEntry: number;
  readonly firstSeq: number;
  /** No event in it is older than this. ms since the epoch. */
  readonly time: number;
}

/** A place in the log: a segment's number and a byte offset in it, always between two frames. */
export interface Position {
  readonly segment: number;
  readonly offset: number;
}

/** The log's bytes are not what was written: torn, damaged or changed. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
  readonly at: Position;

  constructor(message: string, at: Position) {
    super(message);
    this.at = at;
  }
}

/** Checksum of a payload, seeded with its length so that a wrong length cannot go with a right payload. */
export function frameChecksum(payload: Uint8Array): number {
  return crc32(payload, payload.length);
}

/** Fills in the header of the frame whose payload is `buffer[start + frameHeaderBytes, end)`. */
export function sealFrame(buffer: Buffer, start: number, end: number): void {
  const payload = buffer.subarray(start + frameHeaderBytes, end);
  buffer.writeUInt32BE(payload.length, start);
  buffer.writeUInt32BE(frameChecksum(payload), start + 4);
}

/** magic, segment, first entry, first seq, time (u64 each), padding, CRC-32 of all before it. */
export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(segmentHeaderBytes);
  magic.copy(bytes);
  bytes.writeBigUInt64BE(BigInt(header.segment), 8);
  bytes.writeBigUInt64BE(BigInt(header.firstEntry), 16);
  bytes.writeBigUInt64BE(BigInt(header.firstSeq), 24);
  bytes.writeBigUInt64BE(BigInt(header.time), 32);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, segmentHeaderBytes - 4)), segmentHeaderBytes - 4);
  return bytes;
}

/** Undefined when the bytes are not a segment's header: a spare, one torn on its first write, or a changed one. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < segmentHeaderBytes || !bytes.subarray(0, 8).equals(magic)) return undefined;
  const sum = crc32(bytes.subarray(0, segmentHeaderBytes - 4));
  if (sum !== bytes.readUInt32BE(segmentHeaderBytes - 4)) return undefined;
  return {
    segment: Number(bytes.readBigUInt64BE(8)),
    firstEntry: Number(bytes.readBigUInt64BE(16)),
    firstSeq: Number(bytes.readBigUInt64BE(24)),
    time: Number(bytes.readBigUInt64BE(32)),
  };
}
