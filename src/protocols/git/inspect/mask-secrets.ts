import type { SecretSearch } from './find-secrets.ts';

/** The text with what looks like a credential overwritten by `*`, character for character; line feeds stay. */
export function maskSecrets(search: SecretSearch, text: string): string {
  let masked = '';
  let at = 0;
  for (const { start, end } of search.find(text, true)) {
    masked += text.slice(at, start) + text.slice(start, end).replace(/[^\n]/g, '*');
    at = end;
  }
  return at === 0 ? text : masked + text.slice(at);
}

/** The same for a diff: the mark at the start of each line is no part of what the lines say. */
export function maskDiff(search: SecretSearch, diff: string): string {
  const lines = diff.split('\n');
  const marks = lines.map((line) => (/^[+\- ]/.test(line) ? line[0]! : ''));
  const masked = maskSecrets(search, lines.map((line, i) => line.slice(marks[i]!.length)).join('\n'));
  return masked
    .split('\n')
    .map((line, i) => marks[i]! + line)
    .join('\n');
}
