import { Digit, is } from './characters.ts';
import type { Bytes, Span } from './kinds.ts';

const space = 0x20;
const hyphen = 0x2d;
const dot = 0x2e;

/**
 * Payment card numbers (ISO/IEC 7812) in `[lo, hi)`, which lies within one run of digits and single separators: contiguous, or
 * grouped with blanks or hyphens the way cards are printed. `valueLo` and `valueHi` bound the value, for what stands around.
 */
export function cardsIn(bytes: Bytes, lo: number, hi: number, valueLo: number, valueHi: number): Span[] {
  const found: Span[] = [];
  let at = lo;
  while (at < hi) {
    if (!is(bytes[at]!, Digit)) {
      at += 1;
      continue;
    }
    const end = decimal(bytes, at, valueLo) ? -1 : cardAt(bytes, at, hi, valueHi);
    if (end >= 0) {
      found.push({ start: at, end });
      at = end;
      continue;
    }
    while (at < hi && is(bytes[at]!, Digit)) at += 1;
  }
  return found;
}

/** Digits after a decimal point are a fraction, not a card. */
function decimal(bytes: Bytes, at: number, lo: number): boolean {
  return at - 1 > lo && bytes[at - 1] === dot && is(bytes[at - 2]!, Digit);
}

/** The end of a card number that starts at this first digit of a group, or -1. Looks at no more than 24 bytes. */
function cardAt(bytes: Bytes, start: number, hi: number, valueHi: number): number {
  let at = start;
  let digits = 0;
  let separator = 0;
  let even = 0; // Luhn sums for both parities: which one counts is known when the length is
  let odd = 0;
  let prefix = 0; // the first six digits
  for (let group = 0; group < 5; group++) {
    const groupStart = at;
    while (at < hi && digits < 20 && is(bytes[at]!, Digit)) {
      const digit = bytes[at]! - 0x30;
      const doubled = digit < 5 ? digit * 2 : digit * 2 - 9;
      if (digits % 2 === 0) {
        even += doubled;
        odd += digit;
      } else {
        even += digit;
        odd += doubled;
      }
      if (digits < 6) prefix = prefix * 10 + digit;
      digits += 1;
      at += 1;
    }
    const size = at - groupStart;
    if (digits > 19) return -1;
    const complete = group === 0 ? size >= 13 : digits >= 13 && size <= 6;
    if (complete && numberLength(prefix, digits) && (digits % 2 === 0 ? even : odd) % 10 === 0) {
      const more = at + 1 < valueHi && (bytes[at] === dot || bytes[at] === separator) && is(bytes[at + 1]!, Digit);
      // A longer grouping (4-4-4-4-3) may follow; a fraction may not.
      if (!more || bytes[at] !== dot) return at;
    }
    if (group === 0 ? size !== 4 : size < 3 || size > 6) return -1;
    const next = at < hi ? bytes[at]! : 0;
    if (next !== space && next !== hyphen) return -1;
    if (separator !== 0 && next !== separator) return -1;
    separator = next;
    at += 1;
  }
  return -1;
}

/** Whether a network issues numbers with these first six digits in this length. */
function numberLength(six: number, length: number): boolean {
  const four = Math.floor(six / 100);
  const two = Math.floor(six / 10_000);
  if (two >= 40 && two <= 49) return length === 13 || length === 16 || length === 19; // Visa
  if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) return length === 16; // Mastercard
  if (two === 34 || two === 37) return length === 15; // American Express
  if (four >= 3528 && four <= 3589) return length >= 16; // JCB
  if (two === 36 || two === 38 || two === 39 || (four >= 3000 && four <= 3059)) return length === 14 || length === 16; // Diners
  if (four === 6011 || two === 65 || (four >= 6440 && four <= 6499)) return length >= 16; // Discover
  if (two === 62) return length >= 16; // UnionPay
  return maestro.has(four);
}

const maestro = new Set([5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763]);
