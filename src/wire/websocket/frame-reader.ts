import { isUtf8 } from 'node:buffer';
import { type Frame, mayClose, opcodes, type Sender, WebSocketFault } from './frame.ts';
import { mask } from './mask.ts';
import { Utf8Check } from './utf8.ts';

export interface FrameLimits {
  /** Largest message, bytes. */
  readonly messageBytes: number;
  /** A frame with more is handed out in pieces of so many bytes. */
  readonly pieceBytes: number;
}

export const frameLimits: FrameLimits = { messageBytes: 64 * 1024 * 1024, pieceBytes: 64 * 1024 };

const kinds = new Map<number, Frame['kind']>([
  [opcodes.text, 'text'],
  [opcodes.binary, 'binary'],
  [opcodes.close, 'close'],
  [opcodes.ping, 'ping'],
  [opcodes.pong, 'pong'],
]);
/** Two bytes, eight of a long length, four of a key. */
const maxHeader = 14;

/** A frame whose payload has not all come. */
interface Open {
  readonly kind: Frame['kind'];
  /** The frame begins a message, or is one of its own. */
  readonly first: boolean;
  readonly fin: boolean;
  readonly length: number;
  readonly key: Buffer | undefined;
  /** Payload bytes that were handed out. */
  given: number;
  /** The piece that is being collected. */
  piece: Buffer;
  filled: number;
}

/**
 * Turns bytes into frames, strictly (RFC 6455 §5): no reserved bits, since no extension is ever agreed to; control frames short and whole;
 * lengths in their shortest form; masked by clients, and by nobody else; texts in UTF-8. Holds at most one piece.
 */
export class FrameReader {
  readonly #sender: Sender;
  readonly #limits: FrameLimits;
  readonly #header = Buffer.alloc(maxHeader);
  #headerBytes = 0;
  #open: Open | undefined;
  /** The message that has begun and not ended, and how long it is so far. */
  #message: 'text' | 'binary' | undefined;
  #messageBytes = 0;
  readonly #utf8 = new Utf8Check();
  #closed = false;
  #fault: WebSocketFault | undefined;

  constructor(sender: Sender, limits: FrameLimits = frameLimits) {
    this.#sender = sender;
    this.#limits = limits;
  }

  /** What the sender did wrong. The frames before it have been handed out; nothing follows. */
  get fault(): WebSocketFault | undefined {
    return this.#fault;
  }

  /** The sender has sent its Close frame. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The frames that these bytes complete. Payloads may be views of `chunk`, which is unmasked in place. */
  read(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    let at = 0;
    while (this.#fault === undefined && at < chunk.length) {
      if (this.#open === undefined) at = this.#readHeader(chunk, at);
      if (this.#open !== undefined && this.#fault === undefined) at = this.#readPayload(this.#open, chunk, at, frames);
    }
    return frames;
  }

  #readHeader(chunk: Buffer, from: number): number {
    if (this.#closed) return this.#fail(1002, 'bytes behind the Close frame');
    let at = from;
    while (at < chunk.length) {
      this.#header[this.#headerBytes++] = chunk[at++]!;
      if (this.#headerBytes === 2 && !this.#mayBegin()) return at;
      if (this.#headerBytes >= 2 && this.#headerBytes === this.#headerSize()) {
        this.#begin();
        return at;
      }
    }
    return at;
  }

  #headerSize(): number {
    const second = this.#header[1]!;
    const short = second & 0x7f;
    return 2 + (short === 127 ? 8 : short === 126 ? 2 : 0) + (second & 0x80 ? 4 : 0);
  }

  /** What the first two bytes can already tell. */
  #mayBegin(): boolean {
    const [first, second] = [this.#header[0]!, this.#header[1]!];
    const opcode = first & 0x0f;
    const wrong = (what: string) => {
      this.#fail(1002, what);
      return false;
    };
    if ((first & 0x70) !== 0) return wrong('a reserved bit is set');
    if (opcode !== opcodes.continuation && !kinds.has(opcode)) return wrong('an unknown opcode');
    if (((second & 0x80) !== 0) !== (this.#sender === 'client')) {
      return wrong(this.#sender === 'client' ? 'a client’s frame without a mask' : 'a server’s frame with a mask');
    }
    if (opcode >= 8) {
      if ((first & 0x80) === 0) return wrong('a control frame in fragments');
      if ((second & 0x7f) > 125) return wrong('a control frame of more than 125 bytes');
      if (opcode === opcodes.close && (second & 0x7f) === 1) return wrong('a Close frame with half a code');
      return true;
    }
    if (opcode === opcodes.continuation && this.#message === undefined) return wrong('a continuation of nothing');
    if (opcode !== opcodes.continuation && this.#message !== undefined) return wrong('a message within a message');
    return true;
  }

  /** The header is complete. */
  #begin(): void {
    const header = this.#header;
    const size = this.#headerBytes;
    this.#headerBytes = 0;
    const opcode = header[0]! & 0x0f;
    const short = header[1]! & 0x7f;
    const length = short === 127 ? Number(header.readBigUInt64BE(2)) : short === 126 ? header.readUInt16BE(2) : short;
    if ((short === 126 && length < 126) || (short === 127 && length < 65_536)) {
      this.#fail(1002, 'a length that is not in its shortest form');
      return;
    }
    if (opcode < 8) {
      if (length > this.#limits.messageBytes - this.#messageBytes) {
        this.#fail(1009, `a message of more than ${this.#limits.messageBytes} bytes`);
        return;
      }
      this.#messageBytes += length;
    }
    const kind = kinds.get(opcode) ?? (this.#message as 'text' | 'binary');
    if (opcode < 8) this.#message = kind as 'text' | 'binary';
    this.#open = {
      kind,
      first: opcode !== opcodes.continuation,
      fin: (header[0]! & 0x80) !== 0,
      length,
      key: header[1]! & 0x80 ? Buffer.from(header.subarray(size - 4, size)) : undefined,
      given: 0,
      piece: empty,
      filled: 0,
    };
  }

  #readPayload(open: Open, chunk: Buffer, from: number, frames: Frame[]): number {
    let at = from;
    for (;;) {
      const want = Math.min(open.length - open.given, this.#limits.pieceBytes);
      let piece: Buffer;
      if (open.filled === 0 && chunk.length - at >= want) {
        piece = chunk.subarray(at, at + want);
        at += want;
      } else {
        // A peer that announces much and sends little gets no more memory than it sends.
        const count = Math.min(want - open.filled, chunk.length - at);
        if (count === 0) return at;
        open.piece = grown(open.piece, open.filled, open.filled + count, want);
        chunk.copy(open.piece, open.filled, at, at + count);
        open.filled += count;
        at += count;
        if (open.filled < want) return at;
        piece = open.piece.subarray(0, want);
        open.piece = empty;
        open.filled = 0;
      }
      if (open.key !== undefined) mask(piece, open.key, open.given);
      const first = open.first && open.given === 0;
      open.given += want;
      const last = open.given === open.length;
      if (!this.#accept(open, piece, last)) return at;
      frames.push({ kind: open.kind, first, fin: open.fin && last, payload: piece });
      if (last) {
        this.#open = undefined;
        return at;
      }
    }
  }

  /** Looks at what a payload says; keeps the state of the message. */
  #accept(open: Open, piece: Buffer, last: boolean): boolean {
    if (open.kind === 'close') {
      this.#closed = true;
      if (piece.length === 0) return true;
      if (!mayClose(piece.readUInt16BE(0))) this.#fail(1002, 'a close code that may not be sent');
      else if (!isUtf8(piece.subarray(2))) this.#fail(1007, 'a reason that is not UTF-8');
      return this.#fault === undefined;
    }
    if (open.kind === 'ping' || open.kind === 'pong') return true;
    if (open.kind === 'text' && !this.#utf8.write(piece)) this.#fail(1007, 'a text that is not UTF-8');
    if (open.fin && last) {
      if (open.kind === 'text' && !this.#utf8.end()) this.#fail(1007, 'a text that ends within a character');
      this.#message = undefined;
      this.#messageBytes = 0;
    }
    return this.#fault === undefined;
  }

  /** Returns a place behind everything. */
  #fail(code: 1002 | 1007 | 1009, what: string): number {
    this.#fault ??= new WebSocketFault(this.#sender, code, what);
    return Number.MAX_SAFE_INTEGER;
  }
}

const empty = Buffer.alloc(0);

/** Memory for `need` bytes that keeps the first `used`; doubles, up to `most`. */
function grown(memory: Buffer, used: number, need: number, most: number): Buffer {
  if (memory.length >= need) return memory;
  const larger = Buffer.allocUnsafe(Math.min(most, Math.max(need, 2 * memory.length, 256)));
  memory.copy(larger, 0, 0, used);
  return larger;
}
