import { type Document, isMap, isNode, isScalar, type LineCounter, type Node } from 'yaml';
import type { core } from 'zod';

/** One thing that is wrong with a configuration. */
export interface Complaint {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** The complaint is about the key itself, not about its value. */
  readonly atKey?: boolean;
}

/** `targets.orders.labels`, `issuers[0].audience`; the document itself is `configuration`. */
export function pathText(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'configuration';
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

/** Flattens zod's issues, each placed at the key it is about. `known` names the keys that a map at a path may have. */
export function complaintsOf(
  issues: readonly core.$ZodIssue[],
  known: (path: readonly PropertyKey[]) => readonly string[],
  prefix: readonly PropertyKey[] = [],
): Complaint[] {
  return issues.flatMap((issue): Complaint[] => {
    const path = [...prefix, ...issue.path];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        path: [...path, key],
        atKey: true,
        message: `unknown key${suggestion(key, known(path))}`,
      }));
    }
    if (issue.code === 'invalid_key') return issue.issues.map(({ message }) => ({ path, atKey: true, message }));
    if (issue.code === 'invalid_union') {
      const branch = closest(issue.errors);
      if (branch !== undefined) return complaintsOf(branch, known, path);
    }
    return [{ path, message: wordsFor(issue) }];
  });
}

function wordsFor(issue: core.$ZodIssue): string {
  if (issue.code !== 'invalid_union' || issue.message !== 'Invalid input') return plain(issue.message);
  if (issue.input === undefined) return 'required';
  const ways = issue.errors.flatMap(([first]) =>
    first === undefined || first.path.length > 0 ? [] : [wordsFor(first)],
  );
  return ways.length === 0 ? 'is none of the forms it can have' : ways.join(', or ');
}

/** Zod's own words for a missing or mistyped value, shorter. */
function plain(message: string): string {
  const match = /^Invalid input: expected (\w+), received (\w+)$/.exec(message);
  if (match === null) return message;
  const [, expected = '', received = ''] = match;
  const words: Readonly<Record<string, string>> = {
    object: 'a map',
    record: 'a map',
    array: 'a list',
    string: 'text',
    null: 'nothing',
    undefined: 'nothing',
  };
  const wanted = words[expected] ?? `a ${expected}`;
  return received === 'undefined'
    ? `required: ${wanted}`
    : `expected ${wanted}, got ${words[received] ?? `a ${received}`}`;
}

/** The one alternative of a union that the value was meant to be: whose complaints are all inside the value. */
function closest(branches: readonly (readonly core.$ZodIssue[])[]): readonly core.$ZodIssue[] | undefined {
  const inside = branches.filter(
    (issues) =>
      issues.length > 0 && issues.every((issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys'),
  );
  return inside.toSorted((a, b) => a.length - b.length)[0];
}

/** `: did you mean "policies"?`, or the keys there are. */
export function suggestion(word: string, known: readonly string[]): string {
  const near = known
    .map((key) => ({ key, distance: editDistance(word.toLowerCase(), key.toLowerCase()) }))
    .toSorted((a, b) => a.distance - b.distance)[0];
  if (near !== undefined && near.distance <= Math.max(1, Math.floor(near.key.length / 3)))
    return `; did you mean "${near.key}"?`;
  return known.length === 0 ? '' : `; known are ${known.join(', ')}`;
}

/** Levenshtein's, on words short enough not to matter. */
function editDistance(a: string, b: string): number {
  if (a.length > 64 || b.length > 64) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** The line of the deepest part of `path` that the document has; 1 for an empty document. */
export function lineOf(document: Document, counter: LineCounter, complaint: Complaint): number {
  let node: Node | null = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const [index, part] of complaint.path.entries()) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
      if (pair === undefined || !isNode(pair.key)) break;
      offset = pair.key.range?.[0] ?? offset;
      const last = index === complaint.path.length - 1;
      node = isNode(pair.value) ? pair.value : null;
      if (last && complaint.atKey === true) break;
    } else {
      const item: unknown = document.getIn(complaint.path.slice(0, index + 1), true);
      node = isNode(item) ? item : null;
    }
    if (node === null) break;
    // A block map starts on its first key's line; the key that leads to it is where a person looks.
    if (!isMap(node)) offset = node.range?.[0] ?? offset;
  }
  return Math.max(1, counter.linePos(offset).line);
}
