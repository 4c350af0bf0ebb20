import { createHash, type Hash } from 'node:crypto';
import { PeerError } from '../../model/errors.ts';
import { packetLength } from './pktline.ts';

const packSignature = 0x5041434b; // “PACK”

/**
 * Looks at an answer of upload-pack on its way: where the pack is, how long, its digest, how many objects it says it has. The
 * bytes go on as they came; nothing is copied.
 */
export class PackWatch {
  readonly #hash: Hash = createHash('sha256');
  readonly #head = Buffer.alloc(4);
  #headAt = 0;
  #left = 0;
  #first = false;
  #band = 0;
  #raw = false;
  readonly #start = Buffer.alloc(12);
  readonly #reveals: (text: string) => boolean;
  #text = '';
  /** Bytes of the pack. */
  bytes = 0;
  /** The target reported an error instead of sending everything. */
  failed = false;

  /** `reveals` tells whether words of the target's hold what nobody may see. */
  constructor(reveals: (text: string) => boolean) {
    this.#reveals = reveals;
  }

  /** Throws PeerError where the answer is no packets, or would tell what nobody may see: this chunk must not go on then. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#raw) {
        this.#pack(chunk.subarray(at));
        return;
      }
      at = this.#left === 0 ? this.#header(chunk, at) : this.#payload(chunk, at);
    }
  }

  /** Throws PeerError where the answer ended in the middle of a packet. */
  end(): void {
    if (!this.#raw && (this.#left > 0 || this.#headAt > 0)) throw broken('ended in the middle of a packet');
  }

  /** Objects that the pack says it has; 0 where there was none. */
  get objects(): number {
    return this.bytes >= 12 && this.#start.readUInt32BE(0) === packSignature ? this.#start.readUInt32BE(8) : 0;
  }

  /** SHA-256 of the pack, hex; once, at the end. */
  digest(): string {
    return this.#hash.digest('hex');
  }

  #header(chunk: Buffer, from: number): number {
    const taken = Math.min(4 - this.#headAt, chunk.length - from);
    chunk.copy(this.#head, this.#headAt, from, from + taken);
    this.#headAt += taken;
    if (this.#headAt < 4) return from + taken;
    this.#headAt = 0;
    if (this.#head.readUInt32BE(0) === packSignature) {
      this.#raw = true;
      this.#pack(Buffer.from(this.#head));
      return from + taken;
    }
    const length = packetLength(this.#head, 0);
    if (length < 0) throw broken('holds a packet without a length');
    this.#left = Math.max(0, length - 4);
    this.#first = this.#left > 0;
    return from + taken;
  }

  #payload(chunk: Buffer, from: number): number {
    const to = Math.min(chunk.length, from + this.#left);
    this.#left -= to - from;
    let start = from;
    if (this.#first) {
      this.#first = false;
      this.#band = chunk[from] as number;
      // Lines begin with a letter: an error with E, everything else with another one. Bands are 1, 2 and 3.
      if (this.#band === 3 || this.#band === 0x45) this.failed = true;
      start += 1;
    }
    if (to > start) {
      if (this.#band === 1) this.#pack(chunk.subarray(start, to));
      else this.#words(chunk.subarray(start, to));
    }
    return to;
  }

  /** Text may be cut anywhere, so the end of what came before counts. */
  #words(bytes: Buffer): void {
    const text = this.#text + bytes.toString('latin1');
    if (this.#reveals(text)) throw broken('tells what the gateway proves itself with');
    this.#text = text.slice(-4096);
  }

  #pack(bytes: Buffer): void {
    if (this.bytes < 12) bytes.copy(this.#start, this.bytes, 0, Math.min(bytes.length, 12 - this.bytes));
    this.bytes += bytes.length;
    this.#hash.update(bytes);
  }
}

function broken(how: string): PeerError {
  return new PeerError('UPSTREAM_PROTOCOL', `the target's answer ${how}`);
}
