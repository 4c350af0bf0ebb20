import { isUtf8 } from 'node:buffer';
import { PeerError, Refusal } from '../../model/errors.ts';
import type { Side } from './message-types.ts';

/**
 * Reads the fields of one message, strictly: nothing past its end, every string terminated, and `done` insists that
 * nothing is left. Any breach is a PeerError of the side that sent it.
 */
export class MessageBody {
  readonly buffer: Buffer;
  at: number;
  readonly end: number;
  readonly #side: Side;
  readonly #name: string;

  /** `start` and `end` enclose the body, without type byte and length. */
  constructor(side: Side, name: string, buffer: Buffer, start: number, end: number) {
    this.#side = side;
    this.#name = name;
    this.buffer = buffer;
    this.at = start;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  byte(): number {
    return this.buffer[this.#skip(1)]!;
  }

  int16(): number {
    return this.buffer.readInt16BE(this.#skip(2));
  }

  uint16(): number {
    return this.buffer.readUInt16BE(this.#skip(2));
  }

  int32(): number {
    return this.buffer.readInt32BE(this.#skip(4));
  }

  uint32(): number {
    return this.buffer.readUInt32BE(this.#skip(4));
  }

  /** The next `length` bytes, not copied. */
  bytes(length: number): Buffer {
    if (length < 0) throw this.broken('has a negative length');
    const start = this.#skip(length);
    return this.buffer.subarray(start, start + length);
  }

  /** A value with its length in front (-1 is null), not copied. */
  value(): Buffer | null {
    const length = this.int32();
    return length === -1 ? null : this.bytes(length);
  }

  /** A terminated string as bytes, without its terminator; not copied. */
  stringBytes(): Buffer {
    const zero = this.buffer.indexOf(0, this.at);
    if (zero === -1 || zero >= this.end) throw this.broken('has a string without an end');
    const bytes = this.buffer.subarray(this.at, zero);
    this.at = zero + 1;
    return bytes;
  }

  /** A terminated string. Text from a client must be UTF-8 (what was decided on must be what runs); a server's is shown as it can be. */
  string(): string {
    const bytes = this.stringBytes();
    return this.#side === 'client' ? strictText(bytes) : bytes.toString('utf8');
  }

  done(): void {
    if (this.at !== this.end) throw this.broken(`has ${this.end - this.at} bytes after its last field`);
  }

  broken(what: string): PeerError {
    return new PeerError(this.#side === 'client' ? 'CLIENT_PROTOCOL' : 'UPSTREAM_PROTOCOL', `${this.#name} ${what}`);
  }

  #skip(length: number): number {
    const start = this.at;
    if (length > this.end - start) throw this.broken('ends before its last field');
    this.at = start + length;
    return start;
  }
}

/** Throws Refusal UNPARSABLE for bytes that are not UTF-8: the message is well-formed, so the connection stays usable. */
export function strictText(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new Refusal('UNPARSABLE', 'the text is not valid UTF-8', { advice: 'send text as UTF-8' });
  return bytes.toString('utf8');
}
