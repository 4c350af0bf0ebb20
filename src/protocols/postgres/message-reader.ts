import { PeerError } from '../../model/errors.ts';
import type { Caps, Side } from './message-types.ts';

/** What `MessageReader.next` found. */
export const Found = {
  /** Nothing complete; feed more. */
  Nothing: 0,
  /** A whole message: `buffer[start..end)`, type byte and length included. */
  Message: 1,
  /** The 5 header bytes of a large message: `buffer[start..end)`; its body follows in pieces. `remaining` counts the body. */
  LargeHeader: 2,
  /** The next bytes of a large message's body: `buffer[start..end)`. It was the last piece when `remaining` is 0. */
  LargePiece: 3,
} as const;
export type Found = (typeof Found)[keyof typeof Found];

const nothing = Buffer.alloc(0);

/**
 * Splits a stream into messages. Feed it a chunk, then call `next` until it finds nothing:
 *
 *     reader.feed(chunk);
 *     while (reader.next() !== Found.Nothing) handle(reader.type, reader.buffer, reader.start, reader.end);
 *
 * Whole messages in a chunk are not copied: `buffer` is the chunk itself, and messages that are neighbours in it have
 * neighbouring ranges. Only a message that a chunk cuts is gathered in a buffer of its own. What `next` shows holds
 * until the next call. `next` throws PeerError at an unknown type, a length below 4 or above the type's cap; the reader must
 * not be used after that.
 */
export class MessageReader {
  /** The type byte of what was found. */
  type = 0;
  buffer: Buffer = nothing;
  start = 0;
  end = 0;
  /** Bytes of a large message's body that have not been shown. */
  remaining = 0;

  readonly #side: Side;
  readonly #caps: Caps;
  readonly #largeOver: number;
  /** Unread: `#chunk[#at..)`. */
  #chunk: Buffer = nothing;
  #at = 0;
  /** A message that the last chunk cut: `#partial[0..#have)`, and its whole size once the header is known (otherwise 0). */
  #partial: Buffer = nothing;
  #have = 0;
  #size = 0;

  /** `largeOver`: messages of a streamed type whose length is above this come in pieces. */
  constructor(side: Side, caps: Caps, largeOver: number = 2 ** 20) {
    this.#side = side;
    this.#caps = caps;
    this.#largeOver = largeOver;
  }

  /** The chunk before it must have been read to its end. Keeps `chunk` until then; the caller must not reuse its memory. */
  feed(chunk: Buffer): void {
    if (this.#at < this.#chunk.length) throw new Error('the chunk before has not been read to its end');
    this.#chunk = chunk;
    this.#at = 0;
  }

  next(): Found {
    if (this.remaining > 0) return this.#piece();
    if (this.#have > 0) return this.#complete();
    const chunk = this.#chunk;
    const at = this.#at;
    const left = chunk.length - at;
    if (left < 5) return left === 0 ? this.#release() : this.#keep();
    const type = chunk[at]!;
    const length = (chunk[at + 1]! << 24) | (chunk[at + 2]! << 16) | (chunk[at + 3]! << 8) | chunk[at + 4]!;
    this.#check(type, length);
    if (this.#isLarge(type, length)) {
      this.#at = at + 5;
      return this.#large(type, length, chunk, at);
    }
    if (left <= length) return this.#keep();
    this.type = type;
    this.buffer = chunk;
    this.start = at;
    this.end = this.#at = at + 1 + length;
    return Found.Message;
  }

  /** True when no message is cut: a peer may hang up here. */
  get atBoundary(): boolean {
    return this.remaining === 0 && this.#have === 0 && this.#at === this.#chunk.length;
  }

  /** Takes what has not been read, for whoever reads this stream next. */
  rest(): Buffer {
    if (this.remaining > 0) throw new Error('a large message is being read');
    const rest = Buffer.concat([this.#partial.subarray(0, this.#have), this.#chunk.subarray(this.#at)]);
    this.#drop();
    this.#chunk = nothing;
    this.#at = 0;
    return rest;
  }

  #check(type: number, length: number): void {
    const cap = this.#caps.length[type]!;
    if (length >= 4 && length <= cap) return;
    const name = type > 0x20 && type < 0x7f ? `“${String.fromCharCode(type)}”` : `0x${type.toString(16)}`;
    if (cap === 0) throw this.#error(`a ${this.#side} sends no message of type ${name}`);
    throw this.#error(`a message of type ${name} claims a length of ${length}; 4 to ${cap} are allowed`);
  }

  #isLarge(type: number, length: number): boolean {
    return length > this.#largeOver && this.#caps.streamed[type] === 1;
  }

  #large(type: number, length: number, buffer: Buffer, start: number): Found {
    this.type = type;
    this.buffer = buffer;
    this.start = start;
    this.end = start + 5;
    this.remaining = length - 4;
    return Found.LargeHeader;
  }

  #piece(): Found {
    const size = Math.min(this.remaining, this.#chunk.length - this.#at);
    if (size === 0) return this.#release();
    this.buffer = this.#chunk;
    this.start = this.#at;
    this.end = this.#at += size;
    this.remaining -= size;
    return Found.LargePiece;
  }

  /** Starts gathering a message that this chunk cuts. */
  #keep(): Found {
    const left = this.#chunk.length - this.#at;
    this.#size = left < 5 ? 0 : 1 + this.#chunk.readInt32BE(this.#at + 1);
    this.#gather(left);
    return this.#release();
  }

  /** All is read: an idle connection holds on to no chunk. */
  #release(): Found {
    this.#chunk = nothing;
    this.#at = 0;
    this.buffer = nothing;
    this.start = this.end = 0;
    return Found.Nothing;
  }

  /** Goes on gathering; shows the message when it is whole. */
  #complete(): Found {
    if (this.#have < 5) {
      this.#gather(5 - this.#have);
      if (this.#have < 5) return this.#release();
      const type = this.#partial[0]!;
      const length = this.#partial.readInt32BE(1);
      this.#check(type, length);
      if (this.#isLarge(type, length)) {
        const header = this.#partial;
        this.#drop();
        return this.#large(type, length, header, 0);
      }
      this.#size = 1 + length;
    }
    this.#gather(this.#size - this.#have);
    if (this.#have < this.#size) return this.#release();
    this.type = this.#partial[0]!;
    this.buffer = this.#partial;
    this.start = 0;
    this.end = this.#size;
    this.#drop();
    return Found.Message;
  }

  /** Moves up to `wanted` bytes from the chunk; memory grows with what arrived, never with what a header claims. */
  #gather(wanted: number): void {
    const taken = Math.min(wanted, this.#chunk.length - this.#at);
    const needed = this.#have + taken;
    if (needed > this.#partial.length) {
      const room = Math.max(needed, Math.min(this.#size, needed * 2), 5);
      const grown = Buffer.allocUnsafeSlow(room);
      this.#partial.copy(grown, 0, 0, this.#have);
      this.#partial = grown;
    }
    this.#chunk.copy(this.#partial, this.#have, this.#at, this.#at + taken);
    this.#have = needed;
    this.#at += taken;
  }

  #drop(): void {
    this.#partial = nothing;
    this.#have = 0;
    this.#size = 0;
  }

  #error(message: string): PeerError {
    return new PeerError(this.#side === 'client' ? 'CLIENT_PROTOCOL' : 'UPSTREAM_PROTOCOL', message);
  }
}
