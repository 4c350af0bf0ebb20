/** Where a package keeps the list it was given. */
export const leaversName = 'inputs/leavers.csv';

/**
 * A list of people who left: CSV of `principal,left`, one a line, with or without that head; a day counts from its beginning (UTC), a time as it
 * is. Throws RangeError with the line.
 */
export function parseLeavers(text: string): ReadonlyMap<string, string> {
  const leavers = new Map<string, string>();
  for (const [i, line] of text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .entries()) {
    if (line.trim() === '' || (i === 0 && /^"?principal"?\s*,/i.test(line))) continue;
    const [, quoted, plain, left] = /^(?:"((?:[^"]|"")+)"|([^",]+)),\s*"?([^",]+?)"?\s*$/.exec(line) ?? [];
    const principal = (quoted?.replaceAll('""', '"') ?? plain ?? '').trim();
    const time =
      left === undefined ? Number.NaN : Date.parse(/^\d{4}-\d\d-\d\d$/.test(left) ? `${left}T00:00:00Z` : left);
    if (principal === '' || Number.isNaN(time))
      throw new RangeError(`line ${i + 1}: expected principal,left (a day or a time)`);
    leavers.set(principal, new Date(time).toISOString());
  }
  return leavers;
}
