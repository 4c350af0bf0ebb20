// What moves a cursor, changes the direction or the look of what follows, or shows as nothing: controls other than line feed
// (C0, DEL, C1), format characters (bidi controls, zero width, tags), line and paragraph separators, lone surrogates, private
// use, unassigned code points, ignorable letters.
const hostile = /[^\P{C}\n]|\p{Default_Ignorable_Code_Point}|[\u2028\u2029]/gu;
// More marks on one letter than any script needs climb over the lines around it.
const piled = /(?<=\p{M}{3})\p{M}/gu;

/** Text that may come from anybody, fit for a terminal: what could drive it shows as `\x1b`, `\u{202e}`. Line feeds stay; `--json` has the exact text. */
export function visible(text: string): string {
  return text.replace(hostile, escaped).replace(piled, escaped);
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}

/** The same on one line. */
export function visibleLine(text: string): string {
  return visible(text).replaceAll('\n', '\\n');
}

/** JSON that is as harmless and still exact: what `visible` would show otherwise is written as `\uXXXX`. */
export function safeJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent) ?? 'null';
  return text.replace(hostile, (character) => {
    let units = '';
    for (let i = 0; i < character.length; i++) units += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
    return units;
  });
}

/** Columns that a text without line feeds takes. */
export function width(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  let columns = 0;
  for (const character of text) {
    if (/\p{M}/u.test(character)) continue;
    columns += wide.test(character) ? 2 : 1;
  }
  return columns;
}

// East Asian wide and full-width letters, and emoji.
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}|[\u{20000}-\u{3fffd}]/u;

/** `text` in exactly `columns` columns, or fewer where nothing is padded: cut with `…` where it is longer. */
export function inColumns(text: string, columns: number, pad = true): string {
  const length = width(text);
  if (length <= columns) return pad ? text + ' '.repeat(columns - length) : text;
  let shown = '';
  let used = 0;
  for (const character of text) {
    const next = width(character);
    if (used + next > columns - 1) break;
    shown += character;
    used += next;
  }
  return `${shown}…${pad ? ' '.repeat(columns - 1 - used) : ''}`;
}
