/**
 * Finds which of many patterns match a path: `*` and `?` within a part, `**` for any number of parts. Case does not matter, as some
 * systems ignore it. Patterns of the usual forms (a path, a folder's whole content, a name anywhere) cost one look-up for all.
 */
export class PathPatterns<Label> {
  readonly #exact = new Map<string, Label[]>();
  readonly #folders = new Map<string, Label[]>();
  readonly #names = new Map<string, Label[]>();
  readonly #others: { readonly parts: readonly (readonly string[] | undefined)[]; readonly label: Label }[] = [];

  add(glob: string, label: Label): void {
    const lower = glob.toLowerCase();
    const plain = (text: string): boolean => text !== '' && !/[*?]/.test(text);
    if (plain(lower)) put(this.#exact, lower, label);
    else if (lower.endsWith('/**') && plain(lower.slice(0, -3))) put(this.#folders, lower.slice(0, -3), label);
    else if (lower.startsWith('**/') && plain(lower.slice(3)) && !lower.includes('/', 3))
      put(this.#names, lower.slice(3), label);
    else {
      const parts = lower.split('/').map((part) => (part === '**' ? undefined : [...part]));
      this.#others.push({ parts, label });
    }
  }

  /** Labels of the patterns that match, each once. */
  matching(path: string): ReadonlySet<Label> {
    const lower = path.toLowerCase();
    const found = new Set<Label>();
    const take = (labels: readonly Label[] | undefined): void => {
      for (const label of labels ?? []) found.add(label);
    };
    take(this.#exact.get(lower));
    take(this.#names.get(lower.slice(lower.lastIndexOf('/') + 1)));
    for (let at = lower.indexOf('/'); at >= 0; at = lower.indexOf('/', at + 1))
      take(this.#folders.get(lower.slice(0, at)));
    if (this.#others.length > 0) {
      const parts = lower.split('/');
      for (const other of this.#others)
        if (!found.has(other.label) && partsMatch(other.parts, parts)) found.add(other.label);
    }
    return found;
  }
}

function put<Label>(map: Map<string, Label[]>, key: string, label: Label): void {
  const labels = map.get(key);
  if (labels === undefined) map.set(key, [label]);
  else labels.push(label);
}

/** Whether `text` matches a pattern with `*` for any characters; case does not matter. Linear in text times pattern. */
export function textMatches(glob: string, text: string): boolean {
  return partMatches([...glob.toLowerCase()], [...text.toLowerCase()]);
}

function partsMatch(parts: readonly (readonly string[] | undefined)[], path: readonly string[]): boolean {
  // reach[j]: the parts so far match the first j of the path.
  let reach = path.map(() => false);
  reach.unshift(true);
  for (const part of parts) {
    const next = reach.map(() => false);
    for (let j = 0; j <= path.length; j++) {
      if (part === undefined) next[j] = reach[j]! || (j > 0 && next[j - 1]!);
      else if (j > 0) next[j] = reach[j - 1]! && partMatches(part, [...path[j - 1]!]);
    }
    reach = next;
  }
  return reach[path.length]!;
}

function partMatches(pattern: readonly string[], text: readonly string[]): boolean {
  let p = 0;
  let star = -1;
  let resume = 0;
  let t = 0;
  while (t < text.length) {
    if (p < pattern.length && (pattern[p] === '?' || (pattern[p] === text[t] && pattern[p] !== '*'))) {
      p += 1;
      t += 1;
    } else if (p < pattern.length && pattern[p] === '*') {
      star = p;
      resume = t;
      p += 1;
    } else if (star >= 0) {
      p = star + 1;
      resume += 1;
      t = resume;
    } else return false;
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}
