import { Alphanumeric, Digit, Hyphen, is, LocalMark, Lower, Underscore, Upper } from './characters.ts';
import type { Bytes, Span } from './kinds.ts';

const space = 0x20;
const open = 0x28;
const close = 0x29;
const plus = 0x2b;
const hyphen = 0x2d;
const dot = 0x2e;
const slash = 0x2f;

/** A US social security number `AAA-GG-SSSS` in a range that was ever issued (SSA, randomised since 2011), at its first digit. */
export function ssnAt(bytes: Bytes, at: number, lo: number, hi: number): Span | undefined {
  const end = at + 11;
  if (at < lo || end > hi || bytes[at + 3] !== hyphen || bytes[at + 6] !== hyphen) return undefined;
  const area = number(bytes, at, 3);
  const group = number(bytes, at + 4, 2);
  const serial = number(bytes, at + 7, 4);
  if (area < 1 || area > 899 || area === 666 || group < 1 || serial < 1) return undefined;
  if (at > lo && (is(bytes[at - 1]!, Digit) || bytes[at - 1] === hyphen)) return undefined;
  return goesOn(bytes, end, hi) ? undefined : { start: at, end };
}

/** A North American number at the separator before its exchange code: `415-555-0123`, `(415) 555-0123`, `+1 415.555.0123`. */
export function nanpAt(bytes: Bytes, at: number, lo: number, hi: number): Span | undefined {
  const end = at + 9;
  if (at - 3 < lo || end > hi) return undefined;
  const middle = bytes[at + 4]!;
  if (middle !== hyphen && middle !== dot && middle !== space) return undefined;
  if (number(bytes, at + 1, 3) < 200 || number(bytes, at + 5, 4) < 0 || goesOn(bytes, end, hi)) return undefined;
  const area = areaStart(bytes, at, lo, middle);
  if (area < 0) return undefined;
  const start = countryStart(bytes, area, lo);
  return start < 0 ? undefined : { start, end };
}

/** Where the area code (with its parenthesis) starts, or -1. */
function areaStart(bytes: Bytes, at: number, lo: number, middle: number): number {
  const bracket = bytes[at] === close ? at : bytes[at] === space && bytes[at - 1] === close ? at - 1 : -1;
  if (bracket >= 0) {
    const start = bracket - 4;
    return start >= lo && bytes[start] === open && number(bytes, start + 1, 3) >= 200 ? start : -1;
  }
  return bytes[at] === middle && number(bytes, at - 3, 3) >= 200 ? at - 3 : -1;
}

/** Takes in `+1 ` or `1-` in front; -1 when the digits in front belong to something longer. */
function countryStart(bytes: Bytes, area: number, lo: number): number {
  let at = area;
  const separated = at - 1 > lo && (bytes[at - 1] === hyphen || bytes[at - 1] === dot || bytes[at - 1] === space);
  const one = separated ? at - 2 : at - 1;
  if (one >= lo && bytes[one] === 0x31 && (one === lo || !is(bytes[one - 1]!, Digit))) {
    at = one;
    return at > lo && bytes[at - 1] === plus ? at - 1 : at;
  }
  if (at === lo) return at;
  const before = bytes[at - 1]!;
  if (is(before, Digit)) return -1;
  return (before === hyphen || before === dot) && at - 2 >= lo && is(bytes[at - 2]!, Digit) ? -1 : at;
}

/** An international number (ITU-T E.164) at its plus sign: 8 to 15 digits, with single blanks or hyphens between. */
export function internationalAt(bytes: Bytes, at: number, lo: number, hi: number): Span | undefined {
  if (at < lo || at + 9 > hi || bytes[at] !== plus || bytes[at + 1] === 0x30 || !is(bytes[at + 1]!, Digit))
    return undefined;
  if (at > lo && is(bytes[at - 1]!, Alphanumeric)) return undefined;
  let end = at + 1;
  let digits = 0;
  let whole = -1; // the end of the last group that left enough digits: another number may follow
  for (let i = at + 1; i < hi; i++) {
    if (is(bytes[i]!, Digit)) {
      digits += 1;
      if (digits > 15) return whole < 0 ? undefined : { start: at, end: whole };
      end = i + 1;
    } else if (i !== end || (bytes[i] !== hyphen && bytes[i] !== space)) {
      break;
    } else if (digits >= 8) {
      whole = end;
    }
  }
  return digits >= 8 ? { start: at, end } : undefined;
}

/** An e-mail address (the common part of RFC 5321) around its @. */
export function emailAt(bytes: Bytes, at: number, lo: number, hi: number): Span | undefined {
  if (at <= lo || at + 1 >= hi || bytes[at] !== 0x40) return undefined;
  let start = at;
  const leftmost = Math.max(lo, at - 64);
  while (start > leftmost && is(bytes[start - 1]!, Alphanumeric | LocalMark | Underscore | Hyphen)) start -= 1;
  while (start < at && bytes[start] === dot) start += 1;
  if (start === at) return undefined;
  if (start - 2 >= lo && bytes[start - 1] === slash && bytes[start - 2] === slash) return undefined; // a URL's user
  const end = domainEnd(bytes, at + 1, Math.min(hi, at + 256));
  return end < 0 ? undefined : { start, end };
}

/** The end of a domain name with at least two labels, the last of two or more letters; or -1. */
function domainEnd(bytes: Bytes, at: number, limit: number): number {
  let end = -1;
  let label = at;
  for (let labels = 1; ; labels++) {
    let i = label;
    let letters = 0;
    while (i < limit && is(bytes[i]!, Alphanumeric | Hyphen)) {
      if (is(bytes[i]!, Upper | Lower)) letters += 1;
      i += 1;
    }
    if (i === label) return end;
    if (labels > 1) {
      let last = i;
      while (bytes[last - 1] === hyphen) last -= 1;
      if (letters >= 2 && last - label >= 2) end = last;
    }
    if (i >= limit || bytes[i] !== dot) return end;
    label = i + 1;
  }
}

/** An IBAN (ISO 13616) at its country code, plain or in groups of four. */
export function ibanAt(bytes: Bytes, at: number, lo: number, hi: number): Span | undefined {
  if (at < lo || at + 15 > hi || !is(bytes[at]!, Upper) || !is(bytes[at + 1]!, Upper)) return undefined;
  if (!is(bytes[at + 2]!, Digit) || !is(bytes[at + 3]!, Digit)) return undefined;
  if (at > lo && is(bytes[at - 1]!, Alphanumeric)) return undefined;
  const length = ibanLengths.get(String.fromCharCode(bytes[at]!, bytes[at + 1]!));
  if (length === undefined) return undefined;
  const grouped = bytes[at + 4] === space;
  let i = at + 4;
  let remainder = 0;
  for (let n = 4; n < length; n++, i++) {
    if (grouped && n % 4 === 0) {
      if (bytes[i] !== space) return undefined;
      i += 1;
    }
    if (i >= hi || !is(bytes[i]!, Digit | Upper)) return undefined;
    remainder = mod97(remainder, bytes[i]!);
  }
  if (i < hi && is(bytes[i]!, Alphanumeric)) return undefined;
  for (let n = 0; n < 4; n++) remainder = mod97(remainder, bytes[at + n]!);
  return remainder === 1 ? { start: at, end: i } : undefined;
}

function mod97(remainder: number, byte: number): number {
  return byte <= 0x39 ? (remainder * 10 + byte - 0x30) % 97 : (remainder * 100 + byte - 0x37) % 97;
}

/** The value of `count` digits, or -1 when one of them is none. */
function number(bytes: Bytes, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    if (!is(bytes[i]!, Digit)) return -1;
    value = value * 10 + bytes[i]! - 0x30;
  }
  return value;
}

/** Whether more of a longer number follows. */
function goesOn(bytes: Bytes, end: number, hi: number): boolean {
  if (end >= hi) return false;
  if (is(bytes[end]!, Digit)) return true;
  return (bytes[end] === hyphen || bytes[end] === dot) && end + 1 < hi && is(bytes[end + 1]!, Digit);
}

// SWIFT IBAN registry, release 99.
const ibanLengths = new Map(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 ' +
    'FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 ' +
    'LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 ' +
    'SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))] as const),
);
