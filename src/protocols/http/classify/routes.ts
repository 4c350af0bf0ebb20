import type { Action } from '../../../model/command.ts';

/** One path of a target's interface, with what its document says of its operations. */
export interface Route {
  /** As policies name it: `/v1/customers/{id}`; what the address has before every path is left out. */
  readonly template: string;
  /** Method → what the document claims it does; null where it claims nothing. */
  readonly operations: ReadonlyMap<string, readonly Action[] | null>;
}

/** A segment of a template: literal pieces with something of at least one character between each two. One piece is a literal. */
type Segment = readonly string[];

interface Node {
  readonly literals: Map<string, Node>;
  readonly patterns: { readonly segment: Segment; readonly node: Node }[];
  route?: Route;
}

/** Route templates of one target. Concrete segments beat templated ones (OpenAPI 3.1 §4.8.8). */
export class Routes {
  readonly #root: Node = node();
  readonly #ignoreCase: boolean;
  readonly #known: { readonly route: Route; readonly segments: readonly Segment[] }[] = [];

  constructor(ignoreCase = false) {
    this.#ignoreCase = ignoreCase;
  }

  get size(): number {
    return this.#known.length;
  }

  /** Adds a route, or returns the one that it would be ambiguous with: a path could be either, and neither is more concrete. */
  add(route: Route): Route | undefined {
    const segments = this.#folded(route.template).slice(1).split('/').map(segmentOf);
    const clash = this.#known.find((known) => clashes(known.segments, segments));
    if (clash !== undefined) return clash.route;
    let at = this.#root;
    for (const segment of segments) at = childOf(at, segment);
    at.route = route;
    this.#known.push({ route, segments });
    return undefined;
  }

  /** The route of a path, if it has one. */
  match(path: string): Route | undefined {
    return find(this.#root, this.#folded(path).slice(1).split('/'), 0);
  }

  #folded(path: string): string {
    return this.#ignoreCase
      ? path.replaceAll(/\{[^{}]*\}|[^{}]+/g, (piece) => (piece[0] === '{' ? piece : piece.toLowerCase()))
      : path;
  }
}

function node(): Node {
  return { literals: new Map(), patterns: [] };
}

/** `{id}.json` → ['', '.json']; `me` → ['me']. */
function segmentOf(text: string): Segment {
  return text.split(/\{[^{}]*\}/);
}

function childOf(parent: Node, segment: Segment): Node {
  if (segment.length === 1) {
    const literal = segment[0] as string;
    const child = parent.literals.get(literal) ?? node();
    parent.literals.set(literal, child);
    return child;
  }
  const known = parent.patterns.find((pattern) => same(pattern.segment, segment));
  if (known !== undefined) return known.node;
  const child = node();
  parent.patterns.push({ segment, node: child });
  // More literal text is more concrete: `{id}.json` before `{id}`.
  parent.patterns.sort((a, b) => b.segment.join('').length - a.segment.join('').length);
  return child;
}

/** Visits each node at most once per depth it is at, which is one: the cost is bounded by the number of routes. */
function find(at: Node, segments: readonly string[], depth: number): Route | undefined {
  const segment = segments[depth];
  if (segment === undefined) return at.route;
  const literal = at.literals.get(segment);
  const concrete = literal === undefined ? undefined : find(literal, segments, depth + 1);
  if (concrete !== undefined) return concrete;
  for (const pattern of at.patterns) {
    if (!fits(pattern.segment, segment)) continue;
    const found = find(pattern.node, segments, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether the pieces stand in the text in their order, with something between each two. */
function fits(pieces: Segment, text: string): boolean {
  const first = pieces[0] as string;
  const last = pieces.at(-1) as string;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at + 1);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return at + 1 + last.length <= text.length;
}

function same(a: Segment, b: Segment): boolean {
  return a.length === b.length && a.every((piece, index) => piece === b[index]);
}

/** Two templates clash when some path fits both and neither is at least as concrete in every segment. */
function clashes(a: readonly Segment[], b: readonly Segment[]): boolean {
  if (a.length !== b.length) return false;
  let aWins = true;
  let bWins = true;
  for (const [index, mine] of a.entries()) {
    const relation = compare(mine, b[index] as Segment);
    if (relation === 'apart') return false;
    if (relation !== 'same' && relation !== 'narrower') aWins = false;
    if (relation !== 'same' && relation !== 'wider') bWins = false;
  }
  return aWins === bWins;
}

function compare(a: Segment, b: Segment): 'same' | 'narrower' | 'wider' | 'apart' | 'crossing' {
  if (same(a, b)) return 'same';
  if (a.length === 1 && b.length === 1) return 'apart';
  if (a.length === 1) return fits(b, a[0] as string) ? 'narrower' : 'apart';
  if (b.length === 1) return fits(a, b[0] as string) ? 'wider' : 'apart';
  const apart = (x: string, y: string, starts: boolean) =>
    starts ? !x.startsWith(y) && !y.startsWith(x) : !x.endsWith(y) && !y.endsWith(x);
  if (apart(a[0] as string, b[0] as string, true) || apart(a.at(-1) as string, b.at(-1) as string, false))
    return 'apart';
  if (b.every((piece) => piece === '')) return 'narrower';
  if (a.every((piece) => piece === '')) return 'wider';
  return 'crossing';
}
