import { BadMessage } from './bad-message.ts';
import { cr, lf, valueClass } from './characters.ts';
import type { Inbox } from './inbox.ts';
import type { HeadLimits } from './limits.ts';
import { readTrailers } from './trailers.ts';

/** A chunk's size has at most these many hexadecimal digits: 16 TiB, and no rounding. */
const mostDigits = 11;
/** Pieces smaller than this are put together: a chunk per word is one piece per read, not many. */
const small = 2048;

const states = { size: 0, extension: 1, sizeEnd: 2, data: 3, dataEnd: 4, trailers: 5, done: 6 } as const;

/**
 * Takes the chunked coding (RFC 9112 §7.1) off a body, however it is cut. Line ends are CRLF, sizes are digits alone. Chunk extensions
 * mean nothing to us and are dropped, up to `extensionBytes` a message; with 0 they are refused.
 */
export class ChunkReader {
  /** Set when `done`. */
  trailers: string[] = [];
  #state: number = states.size;
  #size = 0;
  #digits = 0;
  #extensionBytes: number;
  readonly #limits: HeadLimits;

  constructor(limits: HeadLimits, extensionBytes: number) {
    this.#limits = limits;
    this.#extensionBytes = extensionBytes;
  }

  get done(): boolean {
    return this.#state === states.done;
  }

  /** The next piece of the body; undefined when there is none in the inbox. Takes nothing behind the end of the message. Throws BadMessage. */
  read(inbox: Inbox): Buffer | undefined {
    let pieces: Buffer[] | undefined;
    let first: Buffer | undefined;
    while (inbox.length > 0 && this.#state !== states.done) {
      if (this.#state !== states.data) {
        if (!this.#framing(inbox)) break;
        continue;
      }
      if (first !== undefined && Math.min(this.#size, inbox.length) >= small) break;
      const piece = inbox.take(this.#size);
      this.#size -= piece.length;
      if (this.#size === 0) this.#state = states.dataEnd;
      if (first === undefined) {
        first = piece;
        if (piece.length >= small) break;
      } else if (pieces === undefined) pieces = [first, piece];
      else pieces.push(piece);
    }
    return pieces === undefined ? first : Buffer.concat(pieces);
  }

  /** Reads what lies between data. False when more has to arrive. */
  #framing(inbox: Inbox): boolean {
    if (this.#state === states.trailers) return this.#trailers(inbox);
    const { bytes, end } = inbox;
    let position = inbox.start;
    while (position < end && this.#state < states.data) this.#sizeLine(bytes[position++] as number);
    while (position < end && this.#state === states.dataEnd) {
      const code = bytes[position++] as number;
      if (code !== (this.#digits === 0 ? cr : lf)) throw new BadMessage('a chunk longer than its size');
      if (this.#digits++ === 1) this.#next(states.size);
    }
    inbox.skipTo(position);
    return true;
  }

  #sizeLine(code: number): void {
    if (this.#state === states.sizeEnd) {
      if (code !== lf) throw new BadMessage('a chunk size without its line end');
      this.#next(this.#size === 0 ? states.trailers : states.data);
    } else if (code === cr && this.#digits > 0) this.#state = states.sizeEnd;
    else if (this.#state === states.extension) {
      if (valueClass[code] === 0) throw new BadMessage('a control character in a chunk extension');
      if (--this.#extensionBytes < 0) throw new BadMessage('too many chunk extensions');
    } else if (code === semicolon && this.#digits > 0) {
      if (--this.#extensionBytes < 0) throw new BadMessage('a chunk extension');
      this.#state = states.extension;
    } else {
      const digit = hexDigit(code);
      if (digit === -1 || ++this.#digits > mostDigits) throw new BadMessage('not a chunk size');
      this.#size = this.#size * 16 + digit;
    }
  }

  #next(state: number): void {
    this.#state = state;
    this.#digits = 0;
  }

  #trailers(inbox: Inbox): boolean {
    const trailers = readTrailers(inbox, this.#limits);
    if (trailers === undefined) return false;
    this.trailers = trailers;
    this.#state = states.done;
    return true;
  }
}

const semicolon = 59;

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
