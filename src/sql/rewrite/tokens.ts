import { nextToken } from '../count-tokens.ts';

/** Where words, quoted things and signs are in a text that the grammar has taken, found by the byte offsets of its tree. */
export class Tokens {
  readonly #text: string;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  /** Byte offset of each UTF-16 unit; undefined for ASCII, where they are the same. */
  readonly #bytes: Int32Array | undefined;

  constructor(text: string) {
    this.#text = text;
    this.#bytes = byteOffsets(text);
    for (let at = 0; ; ) {
      const token = nextToken(text, at);
      if (token === undefined) break;
      this.#starts.push(token.start);
      this.#ends.push(token.end);
      at = token.end;
    }
  }

  /** Index of the token that begins at this byte; undefined where none does. */
  at(byte: number): number | undefined {
    const position = this.#bytes === undefined ? byte : search(this.#bytes, byte, this.#bytes.length);
    const index = search(this.#starts, position, this.#starts.length);
    return this.#starts[index] === position ? index : undefined;
  }

  get count(): number {
    return this.#starts.length;
  }

  text(index: number): string {
    return this.#text.slice(this.#starts[index] ?? 0, this.#ends[index] ?? 0);
  }

  /** UTF-16 positions. */
  start(index: number): number {
    return this.#starts[index] ?? this.#text.length;
  }
  end(index: number): number {
    return this.#ends[index] ?? this.#text.length;
  }

  is(index: number, word: string): boolean {
    return this.text(index).toLowerCase() === word;
  }

  /** Index after a name that begins here, quoted or not. */
  afterName(index: number): number {
    const escaped =
      /^u$/i.test(this.text(index)) && this.text(index + 1) === '&' && this.text(index + 2).startsWith('"');
    if (!escaped) return index + 1;
    return this.is(index + 3, 'uescape') ? index + 5 : index + 3;
  }

  /** Index after `a.b.c` of so many names; a `*` may be the last. Undefined where it looks different. */
  afterPath(index: number, names: number): number | undefined {
    let at = index;
    for (let i = 0; i < names; i++) {
      if (i > 0) {
        if (this.text(at) !== '.') return undefined;
        at += 1;
      }
      at = this.afterName(at);
    }
    return at;
  }

  /** Index after the bracket that closes the one here. */
  afterBrackets(index: number): number | undefined {
    if (this.text(index) !== '(') return undefined;
    let depth = 0;
    for (let at = index; at < this.#starts.length; at++) {
      const token = this.text(at);
      if (token === '(') depth += 1;
      else if (token === ')') depth -= 1;
      if (depth === 0) return at + 1;
    }
    return undefined;
  }
}

function byteOffsets(text: string): Int32Array | undefined {
  const size = Buffer.byteLength(text);
  if (size === text.length) return undefined;
  const offsets = new Int32Array(text.length);
  let byte = 0;
  for (let at = 0; at < text.length; at++) {
    offsets[at] = byte;
    const code = text.charCodeAt(at);
    // Each half of a surrogate pair counts two of its four bytes.
    byte += code < 0x80 ? 1 : code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ? 2 : 3;
  }
  return offsets;
}

/** Index of the first entry that is not smaller. */
function search(sorted: ArrayLike<number>, value: number, length: number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
