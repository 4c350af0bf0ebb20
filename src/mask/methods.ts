import type { MaskMethod } from '../model/decision.ts';
import type { Keyed } from './keyed.ts';

/**
 * The mask of one value; null is the null value. Masks are ASCII, so they are the same bytes in every client encoding.
 *
 *   null     nothing
 *   redact   `[masked:pii.ssn]`: constant per classification
 *   partial  `************6789`: always twelve stars, so the length stays hidden; then the last four letters and digits of
 *            values that have at least nine. **A disclosure**: choose it only where those four may be known.
 *   token    `[token:pii.ssn:…]`: 128 bits of a keyed digest. Equal originals have equal tokens (per key and classification), so
 *            tokens join and group; whoever can write chosen values and read their tokens can test guesses one by one.
 *   digits   layout kept: each digit replaced by a keyed one, letters by x or X, everything but common separators by *.
 *            Deterministic like `token`. Different originals can get the same mask, a short one may map to itself, and a mask may
 *            look valid (Luhn); unlike the others it cannot be recognised when it is written back.
 *   reveal   the value
 */
export function maskText(method: MaskMethod, classification: string, original: string, key: Keyed): string | null {
  switch (method) {
    case 'null':
      return null;
    case 'partial':
      return partial(original);
    case 'token':
      return `[token:${classification}:${key.mac(seed('token', classification, original)).toString('hex', 0, 16)}]`;
    case 'digits':
      return digits(classification, original, key);
    case 'reveal':
      return original;
    default:
      return `[masked:${classification}]`;
  }
}

/** What is hashed: with the length of what comes first, so that no two pairs read the same. */
function seed(method: 'token' | 'digits', classification: string, original: string): string {
  return `sallyport ${method} ${classification.length}:${classification}${original}`;
}

/** Whether a text is one of our masks (`digits` and null cannot be told apart from data), for refusing to store masks as if they were data. */
export function placeholder(text: string): boolean {
  return marked.test(text);
}

// Nothing here can run for long: no two neighbouring parts match the same characters.
const marked = /^(?:\[masked:[\w.-]{1,128}\]|\[token:[\w.-]{1,128}:[0-9a-f]{32}\]|\*{12}[\p{L}\p{N}]{0,4})$/u;

const hidden = '************';

function partial(original: string): string {
  let tail = '';
  let counted = 0;
  // Nine are enough to decide, so a long value is not walked.
  for (let i = original.length; i > 0 && counted < 9; ) {
    const low = original.charCodeAt(i - 1);
    const size = low >= 0xdc00 && low <= 0xdfff && i > 1 ? 2 : 1;
    const character = original.slice(i - size, i);
    i -= size;
    if (!letterOrDigit.test(character)) continue;
    counted += 1;
    if (counted <= 4) tail = character + tail;
  }
  return counted < 9 ? hidden : hidden + tail;
}

const letterOrDigit = /^[\p{L}\p{N}]$/u;

function digits(classification: string, original: string, key: Keyed): string {
  let stream = key.mac(seed('digits', classification, original));
  let used = 0;
  const next = (): string => {
    for (;;) {
      if (used === stream.length) {
        stream = key.mac(stream);
        used = 0;
      }
      const byte = stream[used++]!;
      if (byte < 250) return String(byte % 10); // 250–255 would make 0–5 likelier
    }
  };
  return original.replace(/[^ \-./:()+,_]/gu, (c) => {
    if (c >= '0' && c <= '9') return next();
    if (c >= 'a' && c <= 'z') return 'x';
    return c >= 'A' && c <= 'Z' ? 'X' : '*';
  });
}
