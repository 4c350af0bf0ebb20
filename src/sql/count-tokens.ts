const quote = 39;
const identifierQuote = 34;
const backslash = 92;
const newline = 10;
const dollar = 36;

/**
 * How many words, quoted texts and signs a text has, but no more than `limit` + 1: in one pass over the characters, before anybody
 * parses it. Comments count for nothing. Follows the server's lexer (scan.l). Behind something that never ends, every quote is a
 * sign like others.
 */
export function countTokens(source: string, limit: number): number {
  let count = 0;
  let ended = true;
  for (let at = 0; at < source.length && count <= limit; ) {
    const code = source.charCodeAt(at);
    if (code <= 32) {
      at += 1;
      continue;
    }
    const comment: number = ended ? afterComment(source, at, code) : at;
    if (comment > at) {
      at = comment;
      continue;
    }
    count += 1;
    const after: number = ended && comment === at ? afterQuotes(source, at, code) : at;
    ended = ended && after >= at && comment >= at;
    at = after > at ? after : afterWord(source, at, code);
  }
  return count;
}

/**
 * The first word, quoted text or sign at or after a position, in a text that the grammar has taken; undefined at the end. Signs are
 * single characters; a prefix such as `U&` is apart from the quotes that follow, `e'…'` is one.
 */
export function nextToken(source: string, from: number): { readonly start: number; readonly end: number } | undefined {
  for (let at = from; at < source.length; ) {
    const code = source.charCodeAt(at);
    if (code <= 32) {
      at += 1;
      continue;
    }
    const comment = afterComment(source, at, code);
    if (comment < 0) return undefined;
    if (comment > at) {
      at = comment;
      continue;
    }
    const after = afterQuotes(source, at, code);
    return { start: at, end: after > at ? after : afterWord(source, at, code) };
  }
  return undefined;
}

/** Past something in quotes that begins here; `at` where nothing does, -1 where it does not end. */
function afterQuotes(source: string, at: number, code: number): number {
  if (code === quote || code === identifierQuote) return afterQuoted(source, at, code, false);
  if ((code | 32) === 101 && source.charCodeAt(at + 1) === quote) return afterQuoted(source, at + 1, quote, true);
  return code === dollar ? afterDollarQuoted(source, at) : at;
}

/** Past a word, number or parameter, or a single sign. A dollar inside a word belongs to it. */
function afterWord(source: string, at: number, code: number): number {
  let end = at + 1;
  if (isWord(code) || code === dollar)
    while (end < source.length && (isWord(source.charCodeAt(end)) || source.charCodeAt(end) === dollar)) end += 1;
  return end;
}

function afterQuoted(source: string, from: number, mark: number, escapes: boolean): number {
  for (let at = from + 1; at < source.length; at += 1) {
    const code = source.charCodeAt(at);
    if (escapes && code === backslash) at += 1;
    else if (code === mark) {
      if (source.charCodeAt(at + 1) === mark) at += 1;
      else return escapes ? afterContinued(source, at + 1) : at + 1;
    }
  }
  return -1;
}

/** `E'…'` goes on in another quote on a line below, and means the same there. */
function afterContinued(source: string, from: number): number {
  let lines = 0;
  let at = from;
  for (; source.charCodeAt(at) <= 32; at += 1)
    if (source.charCodeAt(at) === newline || source.charCodeAt(at) === 13) lines += 1;
  return lines > 0 && source.charCodeAt(at) === quote ? afterQuoted(source, at, quote, true) : from;
}

const dollarTag = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;

function afterDollarQuoted(source: string, at: number): number {
  dollarTag.lastIndex = at;
  const tag = dollarTag.exec(source)?.[0];
  if (tag === undefined) return at;
  const end = source.indexOf(tag, at + tag.length);
  return end < 0 ? -1 : end + tag.length;
}

/** Past a comment that begins here; `at` where none does, -1 where it does not end. */
function afterComment(source: string, at: number, code: number): number {
  const next = source.charCodeAt(at + 1);
  if (code === 45 && next === 45) {
    let end = at + 2;
    while (end < source.length && source.charCodeAt(end) !== newline && source.charCodeAt(end) !== 13) end += 1;
    return end;
  }
  if (code !== 47 || next !== 42) return at;
  let depth = 1;
  for (let end = at + 2; end < source.length; end += 1) {
    const one = source.charCodeAt(end);
    const two = source.charCodeAt(end + 1);
    if (one === 47 && two === 42) depth += 1;
    else if (one === 42 && two === 47) depth -= 1;
    else continue;
    end += 1;
    if (depth === 0) return end + 1;
  }
  return -1;
}

function isWord(code: number): boolean {
  return (
    (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95 || code > 127
  );
}
