/** A node of pg_node_tree, the text form of the server's own trees (readfuncs.c). A field may hold several values, as constants do. */
export interface TreeNode {
  readonly kind: string;
  readonly fields: ReadonlyMap<string, readonly TreeValue[]>;
}
/** An atom as it is written, a list, or a node. */
export type TreeValue = string | readonly TreeValue[] | TreeNode;

const maxDepth = 300;

/**
 * Reads the text; undefined where it cannot be read in one way only. Fields are told by their colon, and a name that somebody gave
 * to a column may begin with one too: then some field seems to have no value, or to come twice.
 */
export function readTree(source: string): TreeValue | undefined {
  const tokens = tokensOf(source);
  let at = 0;

  const value = (depth: number): TreeValue => {
    const token = tokens[at++];
    if (token === undefined || token === ')' || token === '}' || depth > maxDepth) throw new Unreadable();
    if (token === '(') {
      const list: TreeValue[] = [];
      while (tokens[at] !== ')') list.push(value(depth + 1));
      at += 1;
      return list;
    }
    return token === '{' ? node(depth) : token;
  };
  const node = (depth: number): TreeNode => {
    const kind = tokens[at++] ?? '';
    const fields = new Map<string, readonly TreeValue[]>();
    while (tokens[at] !== '}') {
      const name = tokens[at++] ?? '';
      const values: TreeValue[] = [];
      while (at < tokens.length && tokens[at] !== '}' && tokens[at]?.startsWith(':') !== true)
        values.push(value(depth + 1));
      if (!name.startsWith(':') || values.length === 0 || fields.has(name)) throw new Unreadable();
      fields.set(name.slice(1), values);
    }
    at += 1;
    return { kind, fields };
  };

  try {
    const tree = value(0);
    return at === tokens.length ? tree : undefined;
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

class Unreadable extends Error {}

/** As pg_strtok: brackets are tokens of their own, a backslash takes the next character with it. */
function tokensOf(source: string): readonly string[] {
  return source.match(/[(){}]|(?:\\.|[^\s(){}\\])+/gs) ?? [];
}

export function isNode(value: TreeValue | undefined): value is TreeNode {
  return typeof value === 'object' && !Array.isArray(value);
}

/** The one value of a field. */
export function field(node: TreeNode, name: string): TreeValue | undefined {
  const values = node.fields.get(name);
  return values?.length === 1 ? values[0] : undefined;
}

/** Every node in a value, outermost first. */
export function* nodesIn(value: TreeValue | undefined): Iterable<TreeNode> {
  if (isNode(value)) {
    yield value;
    for (const values of value.fields.values()) yield* nodesIn(values);
  } else if (Array.isArray(value)) {
    for (const item of value as readonly TreeValue[]) yield* nodesIn(item);
  }
}
