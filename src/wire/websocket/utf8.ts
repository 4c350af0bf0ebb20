import { isUtf8 } from 'node:buffer';

const nothing = Buffer.alloc(0);

/** Checks that a text which comes in pieces is UTF-8, cut wherever it may be. */
export class Utf8Check {
  /** The beginning of a character whose rest has not come; at most three bytes. */
  #begun: Buffer = nothing;

  /** False when the bytes so far are the beginning of no UTF-8 text. */
  write(bytes: Buffer): boolean {
    const all = this.#begun.length === 0 ? bytes : Buffer.concat([this.#begun, bytes]);
    const cut = all.length - unfinished(all);
    this.#begun = cut === all.length ? nothing : Buffer.from(all.subarray(cut));
    return isUtf8(cut === all.length ? all : all.subarray(0, cut)) && mayBegin(this.#begun);
  }

  /** False when the text ends within a character. */
  end(): boolean {
    const whole = this.#begun.length === 0;
    this.#begun = nothing;
    return whole;
  }
}

/** How many bytes at the end are a character that is not complete. */
function unfinished(bytes: Buffer): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return size > back ? back : 0;
  }
  return 0;
}

/** Whether some character begins so: no overlong form, no surrogate, nothing above U+10FFFF (RFC 3629 §4). */
function mayBegin(bytes: Buffer): boolean {
  const [lead, second] = bytes;
  if (lead === undefined) return true;
  if (lead < 0xc2 || lead > 0xf4) return false;
  if (second === undefined) return true;
  if (lead === 0xe0) return second >= 0xa0;
  if (lead === 0xed) return second < 0xa0;
  if (lead === 0xf0) return second >= 0x90;
  if (lead === 0xf4) return second < 0x90;
  return true;
}
