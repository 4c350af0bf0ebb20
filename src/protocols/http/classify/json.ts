import type { Carried } from './carried.ts';

/** Deeper documents are not looked into. */
const deepest = 64;

/** What a document means, for code that has to understand one: JSON.parse's value, and whether a key came twice anywhere. */
export interface JsonDocument {
  readonly value: unknown;
  readonly duplicates: boolean;
}

/**
 * Reads a JSON document strictly (RFC 8259, UTF-8) and gathers its scalars as fields: `items[].price`. Both values of a key that
 * comes twice are gathered, with the finding `body.duplicate-keys`; keys that differ in case only count as twice, because some
 * servers fold it. Undefined where the text is not strict JSON or is nested too deeply. It is not gone through further than facts
 * have room; without `carried` it is gone through to its end, for keys that come twice.
 */
export function carryJson(bytes: Buffer, part: string, carried?: Carried): JsonDocument | undefined {
  const text = utf8(bytes);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const walk = new Walk(text, part, carried);
  return walk.value('', 0) === 'too deep' ? undefined : { value, duplicates: walk.duplicates };
}

/** The text of UTF-8 bytes; undefined for any others. A byte order mark stays in it. */
export function utf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** A key that holds what names are made of is quoted, so that no name can be had in two ways. */
function named(parent: string, key: string): string {
  if (!/^[^.=[\]"]+$/.test(key)) return `${parent}[${JSON.stringify(key)}]`;
  return parent === '' ? key : `${parent}.${key}`;
}

type Gone = 'on' | 'full' | 'too deep';

/** Goes once over text that JSON.parse accepts, which drops what comes twice. */
class Walk {
  duplicates = false;
  readonly #text: string;
  readonly #part: string;
  readonly #carried: Carried | undefined;
  #at = 0;

  constructor(text: string, part: string, carried: Carried | undefined) {
    this.#text = text;
    this.#part = part;
    this.#carried = carried;
  }

  value(name: string, depth: number): Gone {
    if (depth > deepest) return 'too deep';
    if (this.#carried?.full === true) {
      this.#carried.skipped(this.#part);
      return 'full';
    }
    const first = this.#next();
    if (first === 0x7b) return this.#object(name, depth);
    if (first === 0x5b) return this.#array(name, depth);
    if (first === 0x22) {
      const text = this.#string();
      this.#carried?.value(this.#part, name, text);
    } else this.#scalar(name);
    return 'on';
  }

  #object(name: string, depth: number): Gone {
    this.#at++;
    if (name !== '') this.#carried?.field(this.#part, name);
    const seen = new Set<string>();
    while (this.#next() === 0x22) {
      const key = this.#string();
      const folded = key.toLowerCase();
      if (seen.has(folded)) {
        this.duplicates = true;
        this.#carried?.found('body.duplicate-keys');
      }
      seen.add(folded);
      this.#next();
      this.#at++;
      const gone = this.value(this.#carried === undefined ? '' : named(name, key), depth + 1);
      if (gone !== 'on') return gone;
      if (this.#next() === 0x2c) this.#at++;
    }
    this.#at++;
    return 'on';
  }

  #array(name: string, depth: number): Gone {
    this.#at++;
    if (name !== '') this.#carried?.field(this.#part, name);
    const item = `${name}[]`;
    while (this.#next() !== 0x5d) {
      const gone = this.value(item, depth + 1);
      if (gone !== 'on') return gone;
      if (this.#next() === 0x2c) this.#at++;
    }
    this.#at++;
    return 'on';
  }

  #scalar(name: string): void {
    const start = this.#at;
    // Digits, letters, `+`, `-` and `.`: everything that numbers, true, false and null are made of.
    for (let code = this.#text.charCodeAt(this.#at); code > 0x2a && code !== 0x2c && code < 0x7b && code !== 0x5d; ) {
      code = this.#text.charCodeAt(++this.#at);
    }
    if (this.#carried === undefined) return;
    const token = this.#text.slice(start, this.#at);
    this.#carried.value(this.#part, name, token);
    const number = Number(token);
    // `1e2` and `100.0` are 100: a rule that names 100 means them too.
    if (Number.isFinite(number) && String(number) !== token) this.#carried.value(this.#part, name, String(number));
  }

  #string(): string {
    const start = this.#at;
    let end = start;
    let escapes = 0;
    do {
      end = this.#text.indexOf('"', end + 1);
      escapes = 0;
      while (this.#text.charCodeAt(end - 1 - escapes) === 0x5c) escapes++;
    } while (escapes % 2 === 1);
    this.#at = end + 1;
    const inner = this.#text.slice(start + 1, end);
    return inner.includes('\\') ? (JSON.parse(`"${inner}"`) as string) : inner;
  }

  /** The first character that is no blank. */
  #next(): number {
    let code = this.#text.charCodeAt(this.#at);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) code = this.#text.charCodeAt(++this.#at);
    return code;
  }
}
