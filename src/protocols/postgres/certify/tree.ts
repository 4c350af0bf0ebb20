import { earlierKinds, nodeFields } from './node-fields.ts';

/** A node of the analysed tree that a server prints: its kind and its fields, each with one value. */
export interface Node {
  readonly kind: string;
  /** Without those in `leftOut`. */
  readonly fields: Readonly<Record<string, Value | undefined>>;
}
/** An atom as it is written (`<>` for nothing), a list, a node, or the bytes of a constant. */
export type Value = string | readonly Value[] | Node | Datum;
/** The value of a constant: its bytes, as they are written. */
export interface Datum {
  readonly datum: string;
}

/** The text cannot be read in one way only, or holds what nobody has thought about: nothing may be concluded from it. */
export class UnknownTree extends Error {}

export interface TreeLimits {
  readonly maxLength: number;
  readonly maxDepth: number;
  readonly maxNodes: number;
}
export const treeLimits: TreeLimits = { maxLength: 4 << 20, maxDepth: 400, maxNodes: 60_000 };

/**
 * The server folds lines at 78 characters without regard to what it folds (format_node_dump in print.c): at a space where there is
 * one, and anywhere, even behind a backslash, in a run of 77 without any. A text with such a run is not readable.
 */
const longestRun = 76;

/**
 * Reads what the server prints under `debug_print_rewritten` with `debug_pretty_print` off: a list of queries. Strict: every kind of
 * node and every field is one that is known, and has one value, found by its place, so that no name chosen by anybody can be taken
 * for structure. Throws UnknownTree.
 */
export function readTree(text: string, limits: TreeLimits = treeLimits): readonly Node[] {
  if (text.length > limits.maxLength) throw new UnknownTree('the tree is too large');
  const value = new Reader(text, limits).whole();
  if (!Array.isArray(value) || value.length === 0) throw new UnknownTree('the tree is no list of queries');
  return (value as readonly Value[]).map((item) => {
    if (!isNode(item) || item.kind !== 'QUERY') throw new UnknownTree('the tree is no list of queries');
    return item;
  });
}

export function isNode(value: Value | undefined): value is Node {
  return typeof value === 'object' && (value as Node).fields !== undefined;
}

export function isList(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

/** Read and forgotten: places in the text, and how values are compared, ordered and cut, none of which says what is read. */
const leftOut: ReadonlySet<string> = new Set(
  `location list_start list_end stmt_location stmt_len varnosyn varattnosyn varnullingrels vartypmod varcollid consttypmod
   constcollid constlen constbyval constisnull opcollid inputcollid resulttypmod resultcollid funccollid aggcollid wincollid
   paramtypmod paramcollid rellockmode inFromCl requiredPerms checkAsUser insertedCols updatedCols eref alias aggno aggtransno
   aggsplit hashable nulls_first reverse_sort opretset`.split(/\s+/),
);

const open = 40;
const close = 41;
const openNode = 123;
const closeNode = 125;
const colon = 58;
const space = 32;
const newline = 10;
const backslash = 92;

class Reader {
  readonly #text: string;
  readonly #limits: TreeLimits;
  #at = 0;
  #nodes = 0;
  /** Where the last space or fold was. */
  #run = -1;

  constructor(text: string, limits: TreeLimits) {
    this.#text = text;
    this.#limits = limits;
  }

  whole(): Value {
    const value = this.#value(0);
    if (!Number.isNaN(this.#next())) throw new UnknownTree('something follows the tree');
    return value;
  }

  #value(depth: number): Value {
    if (depth > this.#limits.maxDepth) throw new UnknownTree('the tree is too deep');
    switch (this.#next()) {
      case open:
        return this.#list(depth);
      case openNode:
        return this.#node(depth);
      default:
        return this.#atom();
    }
  }

  #list(depth: number): readonly Value[] {
    this.#bracket();
    const items: Value[] = [];
    while (this.#next() !== close) items.push(this.#value(depth + 1));
    this.#bracket();
    return items;
  }

  #node(depth: number): Node {
    this.#bracket();
    const written = this.#atom();
    const kind = earlierKinds.get(written) ?? written;
    const known = nodeFields.get(kind);
    if (known === undefined) throw new UnknownTree(`a node of kind ${kind.slice(0, 40)} is not known`);
    this.#nodes += 1;
    if (this.#nodes > this.#limits.maxNodes) throw new UnknownTree('the tree has too many nodes');
    // Names are those of one list, which has none that an object has by itself.
    const fields: Record<string, Value | undefined> = {};
    for (let place = 0; this.#next() !== closeNode; ) {
      const found = this.#field(kind, known, place);
      place = found + 1;
      const name = known[found]!;
      if (fields[name] !== undefined) throw new UnknownTree(`${kind} has ${name} twice`);
      if (name === 'constvalue') fields[name] = this.#datum();
      else if (!leftOut.has(name)) fields[name] = this.#value(depth + 1);
      else this.#pass(depth + 1);
    }
    this.#bracket();
    return { kind, fields };
  }

  /** Which of the known fields comes; most often one of the next few. */
  #field(kind: string, known: readonly string[], place: number): number {
    const text = this.#text;
    const start = this.#at + 1;
    if (text.charCodeAt(this.#at) === colon) {
      for (let i = place; i < place + 4 && i < known.length; i++) {
        const name = known[i]!;
        const after = text.charCodeAt(start + name.length);
        if ((after === space || after === newline) && text.startsWith(name, start)) {
          this.#at = start + name.length;
          return i;
        }
      }
    }
    const token = this.#atom();
    const found = token.charCodeAt(0) === colon ? known.indexOf(token.slice(1)) : -1;
    if (found < 0) throw new UnknownTree(`${kind} has a field that is not known (${token.slice(0, 40)})`);
    return found;
  }

  /** A value that nobody asks for. */
  #pass(depth: number): void {
    const code = this.#next();
    if (code === open || code === openNode) this.#value(depth);
    else this.#atomEnd();
  }

  /** `<>`, or a length and bytes: `4 [ 52 0 0 0 ]`. */
  #datum(): Value {
    this.#next();
    const length = this.#atom();
    if (length === '<>') return length;
    this.#next();
    if (!/^\d{1,10}$/.test(length) || this.#atom() !== '[') throw new UnknownTree('a constant has no value');
    const bytes: string[] = [length];
    for (;;) {
      this.#next();
      const token = this.#atom();
      if (token === ']') return { datum: bytes.join(' ') };
      if (!/^-?\d{1,3}$/.test(token)) throw new UnknownTree('the value of a constant is no list of bytes');
      bytes.push(token);
    }
  }

  /** The next character that is no space, NaN at the end; the reader stands on it. */
  #next(): number {
    const text = this.#text;
    let at = this.#at;
    let code = text.charCodeAt(at);
    while (code === space || code === newline) {
      this.#run = at;
      at += 1;
      code = text.charCodeAt(at);
    }
    this.#at = at;
    return code;
  }

  #bracket(): void {
    this.#at += 1;
    this.#whole();
  }

  #atom(): string {
    const start = this.#at;
    const end = this.#atomEnd();
    const token = this.#text.slice(start, end);
    // Folded at an escaped space.
    return token.includes('\n') ? token.replaceAll('\\\n', '\\ ') : token;
  }

  /** As pg_strtok: brackets stand for themselves, a backslash takes the next character with it. */
  #atomEnd(): number {
    const text = this.#text;
    const start = this.#at;
    let at = start;
    let code = text.charCodeAt(at);
    while (at < text.length && code !== space && code !== newline && !isBracket(code)) {
      at += code === backslash ? 2 : 1;
      code = text.charCodeAt(at);
    }
    if (at === start || at > text.length) throw new UnknownTree('a value is missing');
    this.#at = at;
    this.#whole();
    return at;
  }

  /** What stands before the reader cannot have been cut. */
  #whole(): void {
    if (this.#at - this.#run > longestRun) throw new UnknownTree('the tree holds a name that its lines may cut');
  }
}

function isBracket(code: number): boolean {
  return code === open || code === close || code === openNode || code === closeNode;
}
