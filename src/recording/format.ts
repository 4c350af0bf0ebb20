import { hash } from 'node:crypto';

/**
 * A recording is a file of
 *
 *     header   "SPRECORD" · u32 version · u32 length · that many bytes of JSON (RecordingHeader) · digest
 *     segment  "SEG1" · u32 number, from 1 · u32 frames · u32 plain length · u32 stored length · u32 flags · link · payload · digest
 *     seal     "SEAL" · u32 flags · u32 segments · u64 frames · u64 bytes shown · link · digest
 *
 * Integers are little endian. A digest is SHA-256 over its block up to there; a link is the digest of the block before. So each
 * digest stands for everything before it, and the seal's for the whole recording: that one goes into the audit log.
 * A payload is frames, compressed with zstd when flag 1 is set. Seal flag 1: closed after a crash, the end may be missing.
 */
export interface RecordingHeader {
  readonly session: string;
  readonly principal: string;
  readonly target: string;
  readonly protocol: string;
  /** ms since the epoch. */
  readonly startedAt: number;
}

export interface SegmentHeader {
  readonly number: number;
  readonly frames: number;
  readonly plainLength: number;
  readonly storedLength: number;
  readonly compressed: boolean;
  readonly link: Buffer;
}

export interface Seal {
  readonly truncated: boolean;
  readonly segments: number;
  readonly frames: number;
  readonly bytes: number;
  readonly link: Buffer;
}

/** Most plain bytes of a segment, so that a reader's memory is bounded whatever a file says. */
export const segmentLimit = 262_144;
export const digestSize = 32;
export const fileHeadSize = 16;
export const headerJsonLimit = 65_536;
export const blockHeadSize = 56;
export const sealSize = 60;

const fileMagic = Buffer.from('SPRECORD');
const segmentMagic = Buffer.from('SEG1');
const sealMagic = Buffer.from('SEAL');
const version = 1;

export function sha256(...parts: Buffer[]): Buffer {
  return hash('sha256', parts.length === 1 ? parts[0]! : Buffer.concat(parts), 'buffer');
}

/** The header with its digest. */
export function encodeHeader(header: RecordingHeader): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const head = Buffer.alloc(fileHeadSize);
  fileMagic.copy(head);
  head.writeUInt32LE(version, 8);
  head.writeUInt32LE(json.length, 12);
  return Buffer.concat([head, json, sha256(head, json)]);
}

/** The length of the JSON, or undefined when these are not the first bytes of a recording. */
export function decodeFileHead(head: Buffer): number | undefined {
  if (!head.subarray(0, 8).equals(fileMagic) || head.readUInt32LE(8) !== version) return undefined;
  const length = head.readUInt32LE(12);
  return length <= headerJsonLimit ? length : undefined;
}

export function encodeSegmentHeader(segment: SegmentHeader): Buffer {
  const head = Buffer.alloc(blockHeadSize);
  segmentMagic.copy(head);
  head.writeUInt32LE(segment.number, 4);
  head.writeUInt32LE(segment.frames, 8);
  head.writeUInt32LE(segment.plainLength, 12);
  head.writeUInt32LE(segment.storedLength, 16);
  head.writeUInt32LE(segment.compressed ? 1 : 0, 20);
  segment.link.copy(head, 24);
  return head;
}

/** Undefined when these bytes start no segment that this version writes. */
export function decodeSegmentHeader(head: Buffer): SegmentHeader | undefined {
  const segment: SegmentHeader = {
    number: head.readUInt32LE(4),
    frames: head.readUInt32LE(8),
    plainLength: head.readUInt32LE(12),
    storedLength: head.readUInt32LE(16),
    compressed: head.readUInt32LE(20) === 1,
    link: head.subarray(24, blockHeadSize),
  };
  const sane =
    segment.plainLength <= segmentLimit && segment.storedLength <= segment.plainLength && head.readUInt32LE(20) <= 1;
  return head.subarray(0, 4).equals(segmentMagic) && sane ? segment : undefined;
}

/** The seal with its digest, and the digest. */
export function encodeSeal(seal: Seal): { readonly bytes: Buffer; readonly digest: Buffer } {
  const block = Buffer.alloc(sealSize);
  sealMagic.copy(block);
  block.writeUInt32LE(seal.truncated ? 1 : 0, 4);
  block.writeUInt32LE(seal.segments, 8);
  block.writeBigUInt64LE(BigInt(seal.frames), 12);
  block.writeBigUInt64LE(BigInt(seal.bytes), 20);
  seal.link.copy(block, 28);
  const digest = sha256(block);
  return { bytes: Buffer.concat([block, digest]), digest };
}

export function isSeal(head: Buffer): boolean {
  return head.subarray(0, 4).equals(sealMagic);
}

export function decodeSeal(block: Buffer): Seal {
  return {
    truncated: block.readUInt32LE(4) !== 0,
    segments: block.readUInt32LE(8),
    frames: Number(block.readBigUInt64LE(12)),
    bytes: Number(block.readBigUInt64LE(20)),
    link: block.subarray(28, sealSize),
  };
}
