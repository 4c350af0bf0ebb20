export type Cell = string | number | null;

/** What a spreadsheet takes for the beginning of a formula, full-width forms and spaces ahead included; and an apostrophe, so that one in front always means this. */
const formula = /^(?:\s*[=+\-@＝＋－＠]|')/;
// Controls, line breaks of any kind, what turns the direction of text, and lone surrogates.
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\\]/gu;

/**
 * One line of CSV (RFC 4180), its CRLF included. Numbers stand as they are. Text is made harmless: a cell that a spreadsheet would
 * run gets an apostrophe in front; what cannot be seen, a backslash, and what an upload filter takes for a script (`<`, `onload=`)
 * is written as `\x3c`, `\u{202e}`.
 */
export function csvLine(cells: readonly Cell[]): string {
  let line = '';
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i];
    if (i > 0) line += ',';
    if (typeof cell === 'string') line += textCell(cell);
    else if (cell !== null && cell !== undefined) line += cell;
  }
  return `${line}\r\n`;
}

/** Most cells are made of these alone, beginning with a letter or digit. */
const plain = /^[A-Za-z0-9][A-Za-z0-9 .:;_/()[\]{}|#*?!$%&~^-]*$/;

function textCell(text: string): string {
  if (text === '' || plain.test(text)) return text;
  const shown = harmless(text);
  const safe = formula.test(shown) ? `'${shown}` : shown;
  return /[",]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function harmless(text: string): string {
  return text
    .replace(unseen, escaped)
    .replaceAll('<', '\\x3c')
    .replace(/\b(on[a-z]+\s*)=/gi, '$1\\x3d');
}

function escaped(character: string): string {
  if (character === '\\') return '\\\\';
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}
