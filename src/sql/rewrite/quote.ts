/** A name as SQL that means exactly this name, whatever it is. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quotedPath(...names: readonly string[]): string {
  return names.map(quoted).join('.');
}

/** A text as an SQL constant. It holds no backslash escapes, so standard_conforming_strings does not matter without backslashes. */
export function literal(value: string): string {
  if (value.includes('\\'))
    throw new RangeError('a constant with a backslash means something else under other settings');
  return `'${value.replaceAll("'", "''")}'`;
}
