/** The name that differs least from `name`, if by few letters only; case, quotes and what stands before the last dot count little. */
export function nearest(name: string, names: Iterable<string>): string | undefined {
  const wanted = plain(name);
  const last = wanted.slice(wanted.lastIndexOf('.') + 1);
  let best: string | undefined;
  let least = 1 + Math.min(3, Math.floor(wanted.length / 5));
  for (const candidate of names) {
    const text = plain(candidate);
    // The same column elsewhere is a guess worth making, though its table is called otherwise.
    const elsewhere = text.endsWith(`.${last}`) ? 2.5 : Number.POSITIVE_INFINITY;
    const distance = Math.min(elsewhere, editDistance(wanted, text, Math.ceil(least) - 1));
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

function plain(name: string): string {
  return name.replaceAll('"', '').toLowerCase().slice(0, 200);
}

/** Letters to add, drop or change; infinite where there are more than `most`, which is found out in time of `most` × length. */
function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return Number.POSITIVE_INFINITY;
  const far = most + 1;
  let row = Array.from({ length: b.length + 1 }, (_, j) => Math.min(j, far));
  for (let i = 1; i <= a.length; i++) {
    const next = new Array<number>(b.length + 1).fill(far);
    if (i <= most) next[0] = i;
    let least = next[0] ?? far;
    for (let j = Math.max(1, i - most); j <= Math.min(b.length, i + most); j++) {
      const changed = (row[j - 1] ?? far) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next[j] = Math.min(changed, (row[j] ?? far) + 1, (next[j - 1] ?? far) + 1, far);
      least = Math.min(least, next[j] ?? far);
    }
    if (least > most) return Number.POSITIVE_INFINITY;
    row = next;
  }
  const distance = row[b.length] ?? far;
  return distance > most ? Number.POSITIVE_INFINITY : distance;
}
