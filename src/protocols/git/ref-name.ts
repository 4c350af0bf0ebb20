const maxBytes = 1024;

/** What git allows in a full ref name (git-check-ref-format), for names below `refs/`. */
export function isRefName(name: string): boolean {
  if (!name.startsWith('refs/') || name.length < 6 || Buffer.byteLength(name) > maxBytes) return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/\/|\.$|\/$/.test(name)) return false;
  return name.split('/').every((part) => !part.startsWith('.') && !part.endsWith('.lock'));
}

/**
 * Whether a push may name it. Narrower: nothing that looks like another name on a screen or like an option on a command line
 * (format and control characters, blanks that are not the space, a part that begins with `-`).
 */
export function isPushableRefName(name: string): boolean {
  return isRefName(name) && !/[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]/u.test(name) && !/(?:^|\/)-/.test(name);
}

const idLength = { sha1: 40, sha256: 64 } as const;

/** A full object id, in lower case. */
export function isId(text: string, format: keyof typeof idLength): boolean {
  return text.length === idLength[format] && /^[0-9a-f]+$/.test(text);
}

export function zeroId(format: keyof typeof idLength): string {
  return '0'.repeat(idLength[format]);
}
