/** Texts with the same key differ in nothing but the values of numbers and plain string literals. */
export interface Shape {
  readonly key: string;
}

/** Longer texts are not worth a key. */
const maxLength = 16_384;

// Placeholders: control characters, which the lexer below lets into no key from anywhere else.
const INTEGER = '\u0001';
const NUMERIC = '\u0002';
const STRING = '\u0003';

const OTHER = 0;
const LETTER = 1;
const DIGIT = 2;
const QUOTE = 3;
const IDENTIFIER_QUOTE = 4;
const STOP = 5;
const DOLLAR = 6;
const PAIRED = 7;
const DOT = 8;

/** What an ASCII character starts. */
const classes = classTable();

function classTable(): Uint8Array {
  const table = new Uint8Array(128).fill(OTHER);
  for (let code = 0; code < 32; code += 1) table[code] = STOP;
  for (const space of [9, 10, 12, 13]) table[space] = OTHER;
  for (let code = 65; code <= 90; code += 1) table[code] = table[code + 32] = LETTER;
  for (let code = 48; code <= 57; code += 1) table[code] = DIGIT;
  table[95] = LETTER;
  table[39] = QUOTE;
  table[34] = IDENTIFIER_QUOTE;
  table[92] = table[127] = STOP;
  table[36] = DOLLAR;
  table[45] = table[47] = table[58] = PAIRED;
  table[46] = DOT;
  return table;
}

/**
 * The text with its numbers and plain `'…'` literals replaced by placeholders. Undefined for whatever is not entirely ordinary:
 * comments, dollar quotes, prefixed or escaped literals, backslashes, casts to names (`::reg…`), numbers glued to something,
 * characters outside ASCII anywhere but in literals. Integers and other numbers have placeholders of their own, as they have types
 * of their own. Leaves no trace of a literal: what depends on a literal's value must not be cached by this key (`shapeSafe`).
 * `literals` gets where each literal starts and ends, as far as there is a shape.
 */
export function shapeOf(source: string, literals?: number[]): Shape | undefined {
  const { length } = source;
  if (length > maxLength) return undefined;
  let key = '';
  let copied = 0;
  let at = 0;
  while (at < length) {
    const code = source.charCodeAt(at);
    const kind = code < 128 ? (classes[code] as number) : STOP;
    if (kind === OTHER) {
      at += 1;
    } else if (kind === LETTER) {
      at = afterWord(source, at + 1, length);
      if (at < 0) return undefined;
    } else if (kind === DIGIT) {
      const end = afterNumber(source, at, length);
      const placeholder = end < 0 || isCounted(source, at) ? undefined : numberPlaceholder(source, at, end);
      if (placeholder === undefined) return undefined;
      key += source.slice(copied, at) + placeholder;
      literals?.push(at, end);
      copied = at = end;
    } else if (kind === QUOTE) {
      // E'…', B'…', X'…', N'…' end in a letter and were caught there; U&'…' here.
      const end = source.charCodeAt(at - 1) === 38 ? -1 : afterLiteral(source, at + 1, length);
      if (end < 0) return undefined;
      key += source.slice(copied, at) + STRING;
      literals?.push(at, end);
      copied = at = end;
    } else if (kind === IDENTIFIER_QUOTE) {
      at = source.charCodeAt(at - 1) === 38 ? -1 : afterIdentifier(source, at + 1, length);
      if (at < 0) return undefined;
    } else if (kind === DOLLAR) {
      at = afterParameter(source, at + 1, length);
      if (at < 0) return undefined;
    } else if (kind === PAIRED) {
      if (isOddPair(source, at, code)) return undefined;
      at += 1;
    } else if (kind === DOT) {
      // `.5` is a number, `1..2` two of them; `t.c` and `t.*` are ordinary.
      const next = source.charCodeAt(at + 1);
      if (next === 46 || (next >= 48 && next <= 57)) return undefined;
      at += 1;
    } else {
      return undefined;
    }
  }
  return { key: copied === 0 ? source : key + source.slice(copied) };
}

/** Past an identifier or keyword; -1 where a `$`, a quote or something outside ASCII is glued to it. */
function afterWord(source: string, from: number, length: number): number {
  for (let at = from; at < length; at += 1) {
    const code = source.charCodeAt(at);
    const kind = code < 128 ? (classes[code] as number) : STOP;
    if (kind === LETTER || kind === DIGIT) continue;
    return kind === STOP || kind === QUOTE || kind === DOLLAR || kind === IDENTIFIER_QUOTE ? -1 : at;
  }
  return length;
}

/** Past `12` or `1.5`; -1 where anything is glued to it. */
function afterNumber(source: string, from: number, length: number): number {
  let at = from + 1;
  let dots = 0;
  for (; at < length; at += 1) {
    const code = source.charCodeAt(at);
    if (code >= 48 && code <= 57) continue;
    if (code === 46 && dots === 0) {
      dots = 1;
      const next = source.charCodeAt(at + 1);
      if (next >= 48 && next <= 57) continue;
      return -1;
    }
    const kind = code < 128 ? (classes[code] as number) : STOP;
    return kind === OTHER || kind === PAIRED ? at : -1;
  }
  return at;
}

/** The parser makes an integer of what fits 31 bits, and a numeric of everything else. Undefined where leading zeros hide which. */
function numberPlaceholder(source: string, from: number, end: number): string | undefined {
  for (let at = from; at < end; at += 1) if (source.charCodeAt(at) === 46) return NUMERIC;
  const digits = end - from;
  if (digits < 10) return INTEGER;
  if (digits > 10) return source.charCodeAt(from) === 48 ? undefined : NUMERIC;
  return source.slice(from, end) > '2147483647' ? NUMERIC : INTEGER;
}

/** Past a literal with its doubled quotes; -1 where it does not end, or holds a backslash, a NUL or half a character. */
function afterLiteral(source: string, from: number, length: number): number {
  for (let at = from; at < length; at += 1) {
    const code = source.charCodeAt(at);
    if (code === 39) {
      if (source.charCodeAt(at + 1) === 39) at += 1;
      else return isGlued(source, at + 1, length) ? -1 : at + 1;
    } else if (code === 92 || code === 0 || (code >= 0xd800 && code <= 0xdfff)) {
      return -1;
    }
  }
  return -1;
}

/** Is there a word, a number or another quote without anything between? */
function isGlued(source: string, at: number, length: number): boolean {
  if (at >= length) return false;
  const code = source.charCodeAt(at);
  const kind = code < 128 ? (classes[code] as number) : STOP;
  return kind !== OTHER && kind !== PAIRED;
}

function afterIdentifier(source: string, from: number, length: number): number {
  for (let at = from; at < length; at += 1) {
    const code = source.charCodeAt(at);
    if (code < 32 || code > 126) return -1;
    if (code === 34) {
      if (source.charCodeAt(at + 1) === 34) at += 1;
      else return isGlued(source, at + 1, length) && source.charCodeAt(at + 1) !== 46 ? -1 : at + 1;
    }
  }
  return -1;
}

/** Past `$1`, which stays in the key; -1 for dollar quotes. */
function afterParameter(source: string, from: number, length: number): number {
  let at = from;
  while (at < length && source.charCodeAt(at) >= 48 && source.charCodeAt(at) <= 57) at += 1;
  return at === from || (isGlued(source, at, length) && source.charCodeAt(at) !== 46) ? -1 : at;
}

/** Comments, and casts to types that look names up. */
function isOddPair(source: string, at: number, code: number): boolean {
  const next = source.charCodeAt(at + 1);
  if (code === 45) return next === 45;
  if (code === 47) return next === 42;
  return next === 58 && /^::\s*"?reg/i.test(source.slice(at, at + 16));
}

/** A number that belongs to a type or a subscript rather than being a value: `float(10)`, `int[3]`. */
function isCounted(source: string, at: number): boolean {
  let before = at - 1;
  while (before >= 0 && isSpace(source.charCodeAt(before))) before -= 1;
  const code = source.charCodeAt(before);
  if (code === 91) return true;
  if (code !== 40) return false;
  do before -= 1;
  while (before >= 0 && isSpace(source.charCodeAt(before)));
  return (
    (source.charCodeAt(before) | 32) === 116 &&
    source.slice(Math.max(0, before - 4), before + 1).toLowerCase() === 'float'
  );
}

function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}
