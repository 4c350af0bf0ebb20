/** Bytes of JSON text (RFC 8259) and what they mean. Strings that were checked before; see json-masker.ts. */

/** 1 for bytes that a string's content cannot hold as they are: quotation mark, backslash, control bytes. */
export const special = new Uint8Array(256);
special.fill(1, 0, 0x20);
special[0x22] = 1;
special[0x5c] = 1;

/** 1 for bytes that a number is made of. */
export const numeric = new Uint8Array(256);
for (const c of '0123456789+-.eE') numeric[c.charCodeAt(0)] = 1;

/** What the character after a backslash stands for; 0 where it is no escape, or `u`. */
const meanings = new Uint8Array(256);
for (const [letter, meaning] of ['""', '\\\\', '//', 'b\b', 'f\f', 'n\n', 'r\r', 't\t'])
  meanings[letter!.charCodeAt(0)] = meaning!.charCodeAt(0);

/**
 * The length of the escape whose backslash stands at `at`: 2 or 6; 0 when it goes on behind `end`, -1 when it is none.
 */
export function escapeLength(bytes: Uint8Array, at: number, end: number): number {
  if (at + 1 >= end) return 0;
  const letter = bytes[at + 1]!;
  if (letter !== 0x75) return meanings[letter] === 0 ? -1 : 2;
  const digits = Math.min(end, at + 6);
  for (let i = at + 2; i < digits; i++) if (hexValue(bytes[i]!) < 0) return -1;
  return at + 6 > end ? 0 : 6;
}

/** Whether `bytes[start, end)` is a number by RFC 8259 section 6. */
export function isNumber(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  if (bytes[at] === 0x2d) at += 1;
  if (at >= end || !digit(bytes[at]!)) return false;
  if (bytes[at] === 0x30) at += 1;
  else while (at < end && digit(bytes[at]!)) at += 1;
  if (at < end && bytes[at] === 0x2e) {
    at += 1;
    if (at >= end || !digit(bytes[at]!)) return false;
    while (at < end && digit(bytes[at]!)) at += 1;
  }
  if (at < end && (bytes[at]! | 0x20) === 0x65) {
    at += 1;
    if (at < end && (bytes[at] === 0x2b || bytes[at] === 0x2d)) at += 1;
    if (at >= end || !digit(bytes[at]!)) return false;
    while (at < end && digit(bytes[at]!)) at += 1;
  }
  return at === end;
}

function digit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/**
 * Writes what the string content `bytes[start, end)` means to `out` at `to`, as UTF-8; a lone surrogate as the three bytes that its
 * number would have. Never longer than the input. Returns where it ends.
 */
export function jsonMeaning(bytes: Uint8Array, start: number, end: number, out: Uint8Array, to: number): number {
  let next = to;
  for (let at = start; at < end; ) {
    const byte = bytes[at]!;
    if (byte !== 0x5c) {
      out[next++] = byte;
      at += 1;
      continue;
    }
    const letter = bytes[at + 1]!;
    if (letter !== 0x75) {
      out[next++] = meanings[letter]!;
      at += 2;
      continue;
    }
    let code = codeUnit(bytes, at);
    at += 6;
    if (code >= 0xd800 && code < 0xdc00 && at + 6 <= end && bytes[at] === 0x5c && bytes[at + 1] === 0x75) {
      const low = codeUnit(bytes, at);
      if (low >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
      }
    }
    next = putUtf8(out, next, code);
  }
  return next;
}

/** The length in text of the character that starts at `at`: an escape, a pair of escapes, or one byte. */
export function unitLength(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] !== 0x5c) return 1;
  if (bytes[at + 1] !== 0x75) return 2;
  const code = codeUnit(bytes, at);
  const paired = code >= 0xd800 && code < 0xdc00 && at + 12 <= end && bytes[at + 6] === 0x5c && bytes[at + 7] === 0x75;
  if (!paired) return 6;
  const low = codeUnit(bytes, at + 6);
  return low >= 0xdc00 && low < 0xe000 ? 12 : 6;
}

/** Bytes as `jsonMeaning` makes them as the content of a string: what must be escaped is, nothing else. */
export function jsonContent(bytes: Uint8Array, start: number, end: number): Buffer {
  const parts: string[] = [];
  let from = start;
  const flush = (to: number) => {
    if (to > from) parts.push(Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8'));
  };
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    const surrogate = byte === 0xed && bytes[at + 1]! >= 0xa0;
    if (special[byte] === 0 && !surrogate) continue;
    flush(at);
    if (surrogate) {
      const code = 0xd000 | ((bytes[at + 1]! & 0x3f) << 6) | (bytes[at + 2]! & 0x3f);
      parts.push(`\\u${code.toString(16)}`);
      at += 2;
    } else parts.push(JSON.stringify(String.fromCharCode(byte)).slice(1, -1));
    from = at + 1;
  }
  flush(end);
  return Buffer.from(parts.join(''));
}

function codeUnit(bytes: Uint8Array, at: number): number {
  return (
    (hexValue(bytes[at + 2]!) << 12) |
    (hexValue(bytes[at + 3]!) << 8) |
    (hexValue(bytes[at + 4]!) << 4) |
    hexValue(bytes[at + 5]!)
  );
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function putUtf8(out: Uint8Array, to: number, code: number): number {
  if (code < 0x80) {
    out[to] = code;
    return to + 1;
  }
  if (code < 0x800) {
    out[to] = 0xc0 | (code >> 6);
    out[to + 1] = 0x80 | (code & 0x3f);
    return to + 2;
  }
  if (code < 0x10000) {
    out[to] = 0xe0 | (code >> 12);
    out[to + 1] = 0x80 | ((code >> 6) & 0x3f);
    out[to + 2] = 0x80 | (code & 0x3f);
    return to + 3;
  }
  out[to] = 0xf0 | (code >> 18);
  out[to + 1] = 0x80 | ((code >> 12) & 0x3f);
  out[to + 2] = 0x80 | ((code >> 6) & 0x3f);
  out[to + 3] = 0x80 | (code & 0x3f);
  return to + 4;
}

/**
 * The digits of a number that is written with a fraction or an exponent and yet is an integer of at most `most` digits
 * (`4.1e3`, `4100.0`); undefined for others.
 */
export function integerDigits(text: string, most: number): string | undefined {
  const parts = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,9}))?$/.exec(text);
  if (parts === null) return undefined;
  const [, whole = '', fraction = '', exponent = '0'] = parts;
  const digits = (whole + fraction).replace(/^0+/, '');
  const trimmed = digits.replace(/0+$/, '');
  const power = Number(exponent) - fraction.length + (digits.length - trimmed.length);
  if (power < 0 || trimmed.length + power > most) return undefined;
  return trimmed + '0'.repeat(power);
}
