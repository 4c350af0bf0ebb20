// Controls (C0, DEL, C1), format characters (bidi controls, zero width, tags), separators of lines, lone surrogates, private use,
// unassigned code points, ignorable letters: what moves a cursor, turns the direction round or shows as nothing.
const hostile = /[^\P{C}\n\t]|\p{Default_Ignorable_Code_Point}|[\u2028\u2029]/gu;
const piled = /(?<=\p{M}{3})\p{M}/gu;

/** Text from anybody, fit for a terminal and a page: what could drive either shows as `\x1b`, `\u{202e}`. Line feeds and tabs stay. */
export function visible(text: string): string {
  return text.replace(hostile, escaped).replace(piled, escaped);
}

/** The same on one line. */
export function visibleLine(text: string): string {
  return visible(text).replaceAll('\n', '\\n').replaceAll('\t', '\\t');
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}
