import type { Bytes } from './kinds.ts';

/** Character classes, one bit each. Bytes from 0x80 up and control bytes are in none, so no run ever crosses them. */
export const Digit = 1;
export const Upper = 2;
export const Lower = 4;
export const Alphanumeric = Digit | Upper | Lower;
/** `_` and `-` on their own bits: base64url is Alphanumeric | Underscore | Hyphen. */
export const Underscore = 8;
export const Hyphen = 16;
export const Base64Url = Alphanumeric | Underscore | Hyphen;
/** `. % +`, which an e-mail address may have before its @. */
export const LocalMark = 32;
/** Whatever ends a word in a connection string: blank, quote, angle bracket. */
export const Blank = 64;
export const Space = 128;

const table = new Uint8Array(256);
for (let c = 0x30; c <= 0x39; c++) table[c] = Digit;
for (let c = 0x41; c <= 0x5a; c++) table[c] = Upper;
for (let c = 0x61; c <= 0x7a; c++) table[c] = Lower;
table[0x5f] = Underscore;
table[0x2d] = Hyphen;
for (const c of '.%+') table[c.charCodeAt(0)] = LocalMark;
for (const c of ' "\'<>`') table[c.charCodeAt(0)] = Blank;
for (let c = 0; c < 0x20; c++) table[c] = Blank;
table[0x7f] = Blank;
table[0x20] = Blank | Space;

export function is(byte: number, classes: number): boolean {
  return (table[byte]! & classes) !== 0;
}

/** The first offset from `at` on that is outside `classes`, at most `end`. */
export function runEnd(bytes: Bytes, at: number, end: number, classes: number): number {
  let i = at;
  while (i < end && is(bytes[i]!, classes)) i++;
  return i;
}

/** Whether `text` (ASCII) stands at `at`, before `end`. */
export function startsWith(bytes: Bytes, at: number, end: number, text: string): boolean {
  if (at + text.length > end) return false;
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}
