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
 * servers fold it. Undefined where the text is not strict JSON or is nested too deeply; what was gathered until then stays.
 */
export function carryJson(bytes: Buffer, part: string, carried: Carried): JsonDocument | undefined {
  const text = utf8(bytes);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const walk = new Walk(text, part, carried);
  return walk.value('', 0) ? { value, duplicates: walk.duplicates } : undefined;
}

/** The text of UTF-8 bytes; undefined for any others. A byte order mark stays in it. */
export function utf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

const blanks = /[ \t\n\r]*/y;
const scalarToken = /-?[0-9][0-9.eE+-]*|true|false|null/y;

/** A key that holds what names are made of is quoted, so that no name can be had in two ways. */
function named(parent: string, key: string): string {
  if (!/^[^.=[\]"]+$/.test(key)) return `${parent}[${JSON.stringify(key)}]`;
  return parent === '' ? key : `${parent}.${key}`;
}

/** Goes once over text that JSON.parse accepts, which drops what comes twice. */
class Walk {
  duplicates = false;
  readonly #text: string;
  readonly #part: string;
  readonly #carried: Carried;
  #at = 0;

  constructor(text: string, part: string, carried: Carried) {
    this.#text = text;
    this.#part = part;
    this.#carried = carried;
  }

  value(name: string, depth: number): boolean {
    if (depth > deepest) return false;
    this.#token(blanks);
    const first = this.#text[this.#at];
    if (first === '{') return this.#object(name, depth);
    if (first === '[') return this.#array(name, depth);
    if (first === '"') this.#carried.value(this.#part, name, this.#string());
    else this.#scalar(name, this.#token(scalarToken));
    this.#token(blanks);
    return true;
  }

  #object(name: string, depth: number): boolean {
    this.#at++;
    this.#token(blanks);
    if (name !== '') this.#carried.field(this.#part, name);
    const seen = new Set<string>();
    while (this.#text[this.#at] === '"') {
      const key = this.#string();
      const folded = key.toLowerCase();
      if (seen.has(folded)) {
        this.duplicates = true;
        this.#carried.found('body.duplicate-keys');
      }
      seen.add(folded);
      this.#token(blanks);
      this.#at++;
      if (!this.value(named(name, key), depth + 1)) return false;
      this.#next();
    }
    this.#close();
    return true;
  }

  #array(name: string, depth: number): boolean {
    this.#at++;
    this.#token(blanks);
    if (name !== '') this.#carried.field(this.#part, name);
    while (this.#text[this.#at] !== ']') {
      if (!this.value(`${name}[]`, depth + 1)) return false;
      this.#next();
    }
    this.#close();
    return true;
  }

  #next(): void {
    if (this.#text[this.#at] !== ',') return;
    this.#at++;
    this.#token(blanks);
  }

  #close(): void {
    this.#at++;
    this.#token(blanks);
  }

  #scalar(name: string, token: string): void {
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
      while (this.#text[end - 1 - escapes] === '\\') escapes++;
    } while (escapes % 2 === 1);
    this.#at = end + 1;
    const token = this.#text.slice(start, end + 1);
    return token.includes('\\') ? (JSON.parse(token) as string) : token.slice(1, -1);
  }

  #token(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const token = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += token.length;
    return token;
  }
}
