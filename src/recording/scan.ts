import type { FileHandle } from 'node:fs/promises';
import { decompress } from './compress.ts';
import { RecordingDamaged } from './damaged.ts';
import {
  blockHeadSize,
  decodeFileHead,
  decodeSeal,
  decodeSegmentHeader,
  digestSize,
  fileHeadSize,
  isSeal,
  type RecordingHeader,
  type Seal,
  type SegmentHeader,
  sealSize,
  sha256,
} from './format.ts';

export interface ScannedSegment {
  readonly kind: 'segment';
  readonly number: number;
  readonly frames: number;
  readonly plain: Buffer;
}
export interface ScannedSeal {
  readonly kind: 'seal';
  readonly seal: Seal;
}

/** Reads a recording block by block and believes nothing: each block's digest and its link to the one before are checked before it is used. */
export class Scan {
  readonly #handle: FileHandle;
  readonly #until: number;
  #position = 0;
  #segments = 0;
  #frames = 0;
  #digest: Buffer = Buffer.alloc(0);

  /** `until`: where to stop, for a file that is still being written. */
  constructor(handle: FileHandle, until = Number.MAX_SAFE_INTEGER) {
    this.#handle = handle;
    this.#until = until;
  }

  /** End of the last intact block. */
  get position(): number {
    return this.#position;
  }

  get segments(): number {
    return this.#segments;
  }

  get frames(): number {
    return this.#frames;
  }

  /** Of the last intact block. */
  get digest(): Buffer {
    return this.#digest;
  }

  /** First. Throws RecordingDamaged for segment 0 when this is no recording. */
  async header(): Promise<RecordingHeader> {
    const head = await this.#read(0, fileHeadSize);
    const length = head.length === fileHeadSize ? decodeFileHead(head) : undefined;
    if (length === undefined) throw new RecordingDamaged(0, 'the header is not that of a recording');
    const rest = await this.#read(fileHeadSize, length + digestSize);
    const json = rest.subarray(0, length);
    const digest = rest.subarray(length);
    if (rest.length < length + digestSize || !sha256(head, json).equals(digest)) {
      throw new RecordingDamaged(0, 'the header was changed or cut short');
    }
    this.#digest = digest;
    this.#position = fileHeadSize + length + digestSize;
    return JSON.parse(json.toString()) as RecordingHeader; // as written: its digest says so
  }

  /** The next block; undefined at the end of the bytes. Throws RecordingDamaged. */
  async next(): Promise<ScannedSegment | ScannedSeal | undefined> {
    const head = await this.#read(this.#position, blockHeadSize);
    if (head.length === 0) return undefined;
    if (isSeal(head)) return this.#seal();
    const segment = head.length === blockHeadSize ? decodeSegmentHeader(head) : undefined;
    if (segment === undefined) throw this.#damage('starts with bytes that are no segment');
    return this.#segment(head, segment);
  }

  async #segment(head: Buffer, segment: SegmentHeader): Promise<ScannedSegment> {
    const rest = await this.#read(this.#position + blockHeadSize, segment.storedLength + digestSize);
    if (rest.length < segment.storedLength + digestSize) throw this.#damage('is cut short');
    const payload = rest.subarray(0, segment.storedLength);
    const digest = rest.subarray(segment.storedLength);
    if (!sha256(head, payload).equals(digest)) throw this.#damage('was changed');
    if (segment.number !== this.#segments + 1 || !segment.link.equals(this.#digest)) {
      throw this.#damage('does not follow the one before it');
    }
    const plain = segment.compressed ? await this.#unpack(payload, segment) : payload;
    if (plain.length !== segment.plainLength) throw this.#damage('has another length than it says');
    this.#segments += 1;
    this.#frames += segment.frames;
    this.#digest = digest;
    this.#position += blockHeadSize + segment.storedLength + digestSize;
    return { kind: 'segment', number: segment.number, frames: segment.frames, plain };
  }

  async #unpack(payload: Buffer, segment: SegmentHeader): Promise<Buffer> {
    try {
      return await decompress(payload, segment.plainLength);
    } catch {
      throw this.#damage('cannot be decompressed');
    }
  }

  async #seal(): Promise<ScannedSeal> {
    // One byte more shows whether anything follows.
    const block = await this.#read(this.#position, sealSize + digestSize + 1);
    if (block.length < sealSize + digestSize) throw this.#damage('is a seal that is cut short');
    const digest = block.subarray(sealSize, sealSize + digestSize);
    if (!sha256(block.subarray(0, sealSize)).equals(digest)) throw this.#damage('is a seal that was changed');
    const seal = decodeSeal(block);
    if (!seal.link.equals(this.#digest) || seal.segments !== this.#segments || seal.frames !== this.#frames) {
      throw this.#damage('is a seal that does not fit what is before it');
    }
    if (block.length > sealSize + digestSize) throw this.#damage('stands behind the seal');
    this.#digest = digest;
    this.#position += sealSize + digestSize;
    return { kind: 'seal', seal };
  }

  #damage(what: string): RecordingDamaged {
    const number = this.#segments + 1;
    return new RecordingDamaged(number, `segment ${number} of the recording (byte ${this.#position}) ${what}`);
  }

  /** Up to `size` bytes; fewer only at the end. */
  async #read(position: number, size: number): Promise<Buffer> {
    const wanted = Math.max(0, Math.min(size, this.#until - position));
    const buffer = Buffer.allocUnsafe(wanted);
    let filled = 0;
    while (filled < wanted) {
      const { bytesRead } = await this.#handle.read(buffer, filled, wanted - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }
}
