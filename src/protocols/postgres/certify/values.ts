import { isList, isNode, type Node, UnknownTree, type Value } from './tree.ts';

/** Fields of nodes, as what they have to be. All throw UnknownTree. */

export function atom(node: Node, name: string): string {
  const value = node.fields[name];
  if (typeof value !== 'string') throw new UnknownTree(`${node.kind} has no ${name}`);
  return value;
}

export function number(node: Node, name: string): number {
  return toNumber(atom(node, name));
}

export function toNumber(text: Value | undefined): number {
  if (typeof text !== 'string' || !/^-?\d{1,10}$/.test(text)) throw new UnknownTree('a number is missing');
  return Number(text);
}

/** None for `<>`. */
export function items(node: Node, name: string): readonly Value[] {
  const value = node.fields[name];
  if (value === '<>') return [];
  if (!isList(value)) throw new UnknownTree(`${node.kind} has no list ${name}`);
  return value;
}

export function nodeOf(value: Value | undefined, kind: string): Node {
  if (!isNode(value) || value.kind !== kind) throw new UnknownTree(`a node of kind ${kind} is missing`);
  return value;
}

/** `(o 97 97)`, `(i 1 2)`, `(b 8 9)`: a letter and numbers. */
export function numbers(value: Value | undefined, letter: 'o' | 'i' | 'b'): readonly number[] {
  if (value === '<>') return [];
  if (!isList(value) || value[0] !== letter) throw new UnknownTree('a list of numbers is missing');
  return value.slice(1).map(toNumber);
}
