/** JSON for people and filters: indented, ending in a newline, without anything that an upload filter could take for a script. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value, undefined, 1) ?? 'null';
  return `${text
    .replace(/[<\u007f-\u009f\u2028\u2029\p{Cf}]/gu, unicodeEscape)
    .replace(/\b(on[a-z]+\s*)=/gi, '$1\\u003d')}\n`;
}

function unicodeEscape(character: string): string {
  let units = '';
  for (let i = 0; i < character.length; i++) units += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
  return units;
}
