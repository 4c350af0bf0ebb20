import type { Fields } from '../../../web/message.ts';

/** Shorter secrets would turn ordinary text into asterisks. */
const shortestPattern = 4;
const shortestEncoded = 8;
/** A search in so many bytes begins sooner when they are a string. */
const quickAsText = 2048;

/** Keeps secrets out of what callers see: overwrites each with `*`, byte for byte, so that no length changes. */
export interface ReflectionGuard {
  /** A filter for one body. */
  open(): ReflectionFilter;
  /** Fields with every secret in their values overwritten. */
  fields(fields: Fields): Fields;
  /** How many were overwritten since the guard was made. */
  readonly count: number;
}

/** Everything to look for. Secrets: never log them. */
export interface Spellings {
  /** Longest first. */
  readonly patterns: readonly Buffer[];
  /** Those that hold none of the others, as bytes and as latin1: where none of these is, none at all is. */
  readonly cores: readonly Buffer[];
  readonly coreTexts: readonly string[];
  /** By byte: whether a pattern begins with it. */
  readonly first: Uint8Array;
  /** Bytes of the longest. */
  readonly longest: number;
}

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
  const patterns = [...texts].map((text) => Buffer.from(text)).toSorted((a, b) => b.length - a.length);
  const cores = patterns.filter((pattern) => !patterns.some((other) => other !== pattern && pattern.includes(other)));
  const coreTexts = cores.map((core) => core.toString('latin1'));
  const first = new Uint8Array(256);
  for (const pattern of patterns) first[pattern[0] as number] = 1;
  return { patterns, cores, coreTexts, first, longest: patterns[0]?.length ?? 0 };
}

/** A guard for one reply. */
export function reflectionGuard(spelled: Spellings): ReflectionGuard {
  return new Guard(spelled);
}

class Guard implements ReflectionGuard {
  count = 0;
  readonly spelled: Spellings;

  constructor(spelled: Spellings) {
    this.spelled = spelled;
  }

  open(): ReflectionFilter {
    return new Filter(this);
  }

  fields(fields: Fields): Fields {
    let values = '';
    for (let index = 1; index < fields.length; index += 2) values += `${fields[index]}\n`;
    if (!this.mayBeIn(values)) return fields;
    return fields.map((text, index) => (index % 2 === 0 ? text : this.#scrubbed(text)));
  }

  /** Text that is latin1. */
  mayBeIn(text: string): boolean {
    for (const core of this.spelled.coreTexts) if (text.includes(core)) return true;
    return false;
  }

  mayBeAmong(bytes: Buffer): boolean {
    if (bytes.length < quickAsText) return this.mayBeIn(bytes.toString('latin1'));
    for (const core of this.spelled.cores) if (bytes.includes(core)) return true;
    return false;
  }

  /** Overwrites what begins before that offset. */
  scrub(bytes: Buffer, before: number): void {
    for (const pattern of this.spelled.patterns) {
      for (let at = bytes.indexOf(pattern); at >= 0 && at < before; at = bytes.indexOf(pattern, at + pattern.length)) {
        bytes.fill(0x2a, at, at + pattern.length);
        this.count++;
      }
    }
  }

  #scrubbed(text: string): string {
    if (!this.mayBeIn(text)) return text;
    const bytes = Buffer.from(text, 'latin1');
    this.scrub(bytes, bytes.length);
    return bytes.toString('latin1');
  }
}

const none = Buffer.alloc(0);

class Filter implements ReflectionFilter {
  readonly #guard: Guard;
  #held: Buffer = none;

  constructor(guard: Guard) {
    this.#guard = guard;
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
    if (rest.length > 0) this.#scrub(rest, rest.length);
    return rest;
  }

  #scrub(bytes: Buffer, before: number): void {
    if (this.#guard.mayBeAmong(bytes)) this.#guard.scrub(bytes, before);
  }

  /** The length of the longest end of `bytes` that a secret begins with. */
  #begun(bytes: Buffer): number {
    const { first, longest, patterns } = this.#guard.spelled;
    for (let at = Math.max(0, bytes.length - longest + 1); at < bytes.length; at++) {
      if (first[bytes[at] as number] === 0) continue;
      const length = bytes.length - at;
      for (const pattern of patterns) {
        if (pattern.length > length && beginsWith(pattern, bytes, at)) return length;
      }
    }
    return 0;
  }
}

/** Whether what `bytes` hold from `at` on is a beginning of the pattern. */
function beginsWith(pattern: Buffer, bytes: Buffer, at: number): boolean {
  for (let index = at; index < bytes.length; index++) if (bytes[index] !== pattern[index - at]) return false;
  return true;
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
