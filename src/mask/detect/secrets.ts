import {
  Alphanumeric,
  Base64Url,
  Blank,
  Digit,
  is,
  Lower,
  runEnd,
  Space,
  startsWith,
  Underscore,
  Upper,
} from './characters.ts';
import type { Bytes, Span } from './kinds.ts';

/** A provider's key: its prefix, and what follows. */
interface KeyFormat {
  readonly prefix: string;
  readonly classes: number;
  readonly min: number;
  readonly max: number;
}

/** Formats as their issuers document them. Longer prefixes first where one starts another. */
export const keyFormats: readonly KeyFormat[] = [
  ...['AKIA', 'ASIA'].map((prefix) => ({ prefix, classes: Digit | Upper, min: 16, max: 16 })), // AWS
  ...['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'].map((prefix) => ({ prefix, classes: Alphanumeric, min: 36, max: 255 })), // GitHub
  { prefix: 'github_pat_', classes: Alphanumeric | Underscore, min: 22, max: 255 },
  { prefix: 'glpat-', classes: Base64Url, min: 20, max: 255 }, // GitLab
  ...[...'abeoprs'].map((c) => ({ prefix: `xox${c}-`, classes: Base64Url, min: 10, max: 255 })), // Slack
  ...['sk_live_', 'rk_live_'].map((prefix) => ({ prefix, classes: Alphanumeric, min: 16, max: 255 })), // Stripe
  { prefix: 'AIza', classes: Base64Url, min: 35, max: 35 }, // Google
  { prefix: 'sk-ant-', classes: Base64Url, min: 20, max: 255 }, // Anthropic
  { prefix: 'sk-proj-', classes: Base64Url, min: 20, max: 255 }, // OpenAI
  { prefix: 'sk-svcacct-', classes: Base64Url, min: 20, max: 255 },
  { prefix: 'sk-', classes: Alphanumeric, min: 32, max: 255 },
  { prefix: 'npm_', classes: Alphanumeric, min: 36, max: 36 }, // npm
  { prefix: 'hf_', classes: Alphanumeric, min: 30, max: 255 }, // Hugging Face
];

/** An API key that starts at `at`. Looks at no more than about 270 bytes, and only where a prefix stands. */
export function keyAt(bytes: Bytes, at: number, lo: number, hi: number): Span | undefined {
  if (at < lo || at >= hi || (at > lo && is(bytes[at - 1]!, Base64Url))) return undefined;
  for (const { prefix, classes, min, max } of keyFormats) {
    if (bytes[at] !== prefix.charCodeAt(0) || !startsWith(bytes, at, hi, prefix)) continue;
    const body = at + prefix.length;
    const end = runEnd(bytes, body, Math.min(hi, body + max), classes);
    if (end - body >= min) return { start: at, end };
  }
  return sendGridAt(bytes, at, hi);
}

/** SendGrid: `SG.`, 22 characters, a dot, 43 characters. */
function sendGridAt(bytes: Bytes, at: number, hi: number): Span | undefined {
  if (!startsWith(bytes, at, hi, 'SG.') || at + 69 > hi || bytes[at + 25] !== 0x2e) return undefined;
  if (runEnd(bytes, at + 3, at + 25, Base64Url) !== at + 25) return undefined;
  return runEnd(bytes, at + 26, at + 69, Base64Url) === at + 69 ? { start: at, end: at + 69 } : undefined;
}

/** A JSON web token (RFC 7519: JWS of three parts, JWE of five) at its `eyJ`. */
export function jwtAt(bytes: Bytes, at: number, lo: number, hi: number): Span | undefined {
  // Must start its run, so that runs of "eyJeyJ…" are walked once.
  if (at < lo || !startsWith(bytes, at, hi, 'eyJ') || (at > lo && is(bytes[at - 1]!, Base64Url))) return undefined;
  let end = runEnd(bytes, at, hi, Base64Url);
  if (end - at < 10) return undefined;
  let dots = 0;
  while (dots < 4 && end < hi && bytes[end] === 0x2e) {
    const next = runEnd(bytes, end + 1, hi, Base64Url);
    if (dots === 0 && next - end < 10) return undefined;
    dots += 1;
    end = next;
  }
  return dots >= 2 ? { start: at, end } : undefined;
}

/**
 * A PEM private key (RFC 7468 and its relatives) at the hyphens of its BEGIN line, to the end of its END line, or of what looks like
 * its body when that is cut off. Line ends may be written as `\n`.
 */
export function privateKeyAt(bytes: Bytes, at: number, lo: number, hi: number): Span | undefined {
  if (at < lo || !startsWith(bytes, at, hi, '-----BEGIN ')) return undefined;
  const label = at + 11;
  const labelEnd = runEnd(bytes, label, Math.min(hi, label + 40), Upper | Digit | Space);
  let close = label;
  while (close < labelEnd && !startsWith(bytes, close, hi, 'PRIVATE KEY')) close += 1;
  if (close === labelEnd) return undefined;
  let end = labelEnd;
  while (end < hi && bytes[end] === hyphen) end += 1;
  while (end < hi) {
    const byte = bytes[end]!;
    if (startsWith(bytes, end, hi, '-----')) {
      if (startsWith(bytes, end, hi, '-----END ')) {
        end = runEnd(bytes, end + 9, Math.min(hi, end + 60), Upper | Digit | Space);
        while (end < hi && bytes[end] === hyphen) end += 1;
      }
      break;
    }
    if (!is(byte, Alphanumeric) && !pemMarks.has(byte)) break;
    end += 1;
  }
  return { start: at, end };
}

const hyphen = 0x2d;
const pemMarks = new Set([...'+/=-:,\\ \t\r\n'].map((c) => c.charCodeAt(0)));

/** The password of a URL (`scheme://user:password@host`), at its `://`. */
export function urlPasswordAt(bytes: Bytes, at: number, lo: number, hi: number): Span | undefined {
  if (at <= lo || !startsWith(bytes, at, hi, '://') || !is(bytes[at - 1]!, Alphanumeric)) return undefined;
  let colon = at + 3;
  const userEnd = Math.min(hi, colon + 256);
  while (colon < userEnd && !is(bytes[colon]!, Blank) && !':/?#@'.includes(String.fromCharCode(bytes[colon]!)))
    colon += 1;
  if (colon >= userEnd || bytes[colon] !== 0x3a) return undefined;
  const start = colon + 1;
  const limit = Math.min(hi, start + 256);
  let end = -1;
  let authority = true; // until the first / ? #: an unescaped one may be part of a password, unless what precedes it is a port
  for (let i = start; i < limit && !is(bytes[i]!, Blank); i++) {
    const byte = bytes[i]!;
    if (byte === 0x40) end = authority || end < 0 ? i : end;
    if (authority && (byte === 0x2f || byte === 0x3f || byte === 0x23)) {
      if (end >= 0 || runEnd(bytes, start, i, Digit) === i) break;
      authority = false;
    }
    if (!authority && (end >= 0 || startsWith(bytes, i, hi, '://'))) break;
  }
  return end > start && !starred(bytes, start, end) ? { start, end } : undefined;
}

/** The value of `password=`, `passwd=` or `pwd=` (libpq, JDBC, ODBC and URL queries), at the two characters before the equals sign. */
export function passwordParameterAt(bytes: Bytes, at: number, lo: number, hi: number): Span | undefined {
  if (at < lo || at + 3 >= hi || bytes[at + 2] !== 0x3d) return undefined;
  if (!['password', 'passwd', 'pwd'].some((word) => endsWith(bytes, at + 2, lo, word))) return undefined;
  const quote = bytes[at + 3]!;
  const closing = quote === 0x7b ? 0x7d : quote === 0x22 || quote === 0x27 ? quote : -1; // {…} is ODBC's way of quoting
  const start = closing < 0 ? at + 3 : at + 4;
  const limit = Math.min(hi, start + 256);
  let end = start;
  while (end < limit) {
    const byte = bytes[end]!;
    if (closing < 0 ? is(byte, Blank) || byte === 0x3b || byte === 0x26 : byte === closing || byte < 0x20) break;
    end += 1;
  }
  return end > start && !starred(bytes, start, end) ? { start, end } : undefined;
}

/** Whether `word` (lower case) ends at `end`, in any case of letters. */
function endsWith(bytes: Bytes, end: number, lo: number, word: string): boolean {
  const start = end - word.length;
  if (start < lo) return false;
  for (let i = 0; i < word.length; i++) {
    const byte = bytes[start + i]!;
    if ((is(byte, Upper | Lower) ? byte | 0x20 : byte) !== word.charCodeAt(i)) return false;
  }
  return true;
}

/** Overwritten before. */
function starred(bytes: Bytes, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0x2a) return false;
  return true;
}
