import type { Fields } from '../../../web/message.ts';

/** Shorter secrets would turn ordinary text into asterisks. */
const shortestPattern = 4;
const shortestEncoded = 8;

/** Keeps secrets out of what callers see: overwrites each with `*`, byte for byte, so that no length changes. */
export interface ReflectionGuard {
  /** A filter for one body. */
  open(): ReflectionFilter;
  /** Fields with every secret in their values overwritten. */
  fields(fields: Fields): Fields;
  /** How many were overwritten since the guard was made. */
  readonly count: number;
}

/** Everything to look for, longest first. Secrets: never log them. */
export type Spellings = readonly Buffer[];

/** One body's bytes in order, whatever their boundaries. */
export interface ReflectionFilter {
  /** What may be shown now. Overwrites in place; holds back a tail that could be the beginning of a secret. */
  write(bytes: Buffer): Buffer;
  /** What was held back. */
  end(): Buffer;
}

/**
 * Finds the secrets as they are, in Base64 (both alphabets, wherever in a longer text they begin), percent-encoded, and as JSON
 * and HTML write them. Bodies have to be decoded before: compressed bytes hide everything.
 */
export function spellings(secrets: readonly string[]): Spellings {
  const texts = new Set(secrets.flatMap(spellingsOf));
  return [...texts].map((text) => Buffer.from(text)).toSorted((a, b) => b.length - a.length);
}

/** A guard for one reply. */
export function reflectionGuard(patterns: Spellings): ReflectionGuard {
  const guard = { count: 0 };
  const scrub: Scrub = (bytes, before) => {
    for (const pattern of patterns) {
      for (let at = bytes.indexOf(pattern); at >= 0 && at < before; at = bytes.indexOf(pattern, at + pattern.length)) {
        bytes.fill(0x2a, at, at + pattern.length);
        guard.count++;
      }
    }
  };
  return {
    open: () => new Filter(patterns, scrub),
    fields: (fields) => fields.map((text, index) => (index % 2 === 0 ? text : scrubbed(text, patterns, scrub))),
    get count() {
      return guard.count;
    },
  };
}

/** Overwrites what begins before that offset. */
type Scrub = (bytes: Buffer, before: number) => void;

function scrubbed(text: string, patterns: readonly Buffer[], scrub: Scrub): string {
  const bytes = Buffer.from(text, 'latin1');
  if (!patterns.some((pattern) => bytes.includes(pattern))) return text;
  scrub(bytes, bytes.length);
  return bytes.toString('latin1');
}

const none = Buffer.alloc(0);

class Filter implements ReflectionFilter {
  readonly #patterns: readonly Buffer[];
  readonly #scrub: Scrub;
  #held: Buffer = none;

  constructor(patterns: readonly Buffer[], scrub: Scrub) {
    this.#patterns = patterns;
    this.#scrub = scrub;
  }

  write(bytes: Buffer): Buffer {
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    // What is held back is looked at again with what follows: a short spelling can be the beginning of a longer one.
    const ready = all.length - this.#begun(all);
    this.#scrub(all, ready);
    // A copy: the tail must not keep a large buffer alive.
    this.#held = ready === all.length ? none : Buffer.from(all.subarray(ready));
    return ready === all.length ? all : all.subarray(0, ready);
  }

  end(): Buffer {
    const rest = this.#held;
    this.#held = none;
    this.#scrub(rest, rest.length);
    return rest;
  }

  /** The length of the longest end of `bytes` that a secret begins with. */
  #begun(bytes: Buffer): number {
    let longest = 0;
    for (const pattern of this.#patterns) {
      const first = pattern[0] as number;
      let at = bytes.indexOf(first, Math.max(0, bytes.length - pattern.length + 1));
      while (at >= 0) {
        const length = bytes.length - at;
        if (length <= longest) break;
        if (bytes.compare(pattern, 0, length, at) === 0) {
          longest = length;
          break;
        }
        at = bytes.indexOf(first, at + 1);
      }
    }
    return longest;
  }
}

function spellingsOf(secret: string): string[] {
  if (Buffer.byteLength(secret) < shortestPattern) return [];
  const encoded = encodeURIComponent(secret);
  const spellings = [
    secret,
    encoded,
    encoded.replaceAll(/%[0-9A-F]{2}/g, (triple) => triple.toLowerCase()),
    encoded.replaceAll('%20', '+'),
    formEncoded(secret),
    JSON.stringify(secret).slice(1, -1),
    JSON.stringify(secret).slice(1, -1).replaceAll('/', '\\/'),
    secret.replaceAll(/[<>&']/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`),
    secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
    ...base64Forms(secret),
  ];
  return spellings;
}

/** Percent-encoded as forms do, which leaves fewer characters as they are than encodeURIComponent. */
function formEncoded(secret: string): string {
  return new URLSearchParams([['', secret]]).toString().slice(1);
}

/** Base64 of text that holds the secret: three forms, after where in a group of three bytes it begins; without the letters that its neighbours share. */
function base64Forms(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const forms = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const after = (before + bytes.length) % 3;
    const start = before === 0 ? 0 : before + 1;
    return text.slice(start, after === 0 ? undefined : -1);
  });
  return [bytes.toString('base64').replace(/=+$/, ''), ...forms]
    .filter((form) => form.length >= shortestEncoded)
    .flatMap((form) => [form, form.replaceAll('+', '-').replaceAll('/', '_')]);
}
