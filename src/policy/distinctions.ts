import type { Entity } from './question.ts';

/**
 * What a policy set can tell apart. Cedar can see of an entity only its type, whether it is in an entity that some policy names,
 * and attributes that some policy reads. Two questions that differ in nothing of this have the same answer, so it is asked once.
 * Computed generously: whatever is not understood counts as told apart.
 */
export interface Distinctions {
  /** Groups that some policy names. */
  readonly groups: ReadonlySet<string>;
  /** Entities that some policy names, as `Type::id`. */
  readonly entities: ReadonlySet<string>;
  /** Attributes that some policy reads, of whatever. */
  readonly attributes: ReadonlySet<string>;
  /** Some policy uses the whole resource or context in a way that is not understood here. */
  readonly wholeResource: boolean;
  readonly wholeContext: boolean;
}

interface Findings {
  readonly groups: Set<string>;
  readonly entities: Set<string>;
  readonly attributes: Set<string>;
  wholeResource: boolean;
  wholeContext: boolean;
}

/** `asts` are policies in Cedar's JSON form (EST), already within the limits of `text.ts`. */
export function distinctions(asts: readonly unknown[]): Distinctions {
  const found: Findings = {
    groups: new Set(),
    entities: new Set(),
    attributes: new Set(),
    wholeResource: false,
    wholeContext: false,
  };
  for (const ast of asts) visit(ast, found);
  return found;
}

type Json = Readonly<Record<string, unknown>>;

function visit(node: unknown, found: Findings): void {
  if (Array.isArray(node)) {
    for (const child of node) visit(child, found);
    return;
  }
  if (!isObject(node)) return;
  if (typeof node.type === 'string' && typeof node.id === 'string') {
    found.entities.add(`${node.type}::${node.id}`);
    if (node.type === 'Group') found.groups.add(node.id);
  }
  if (node.Var === 'resource') found.wholeResource = true;
  if (node.Var === 'context') found.wholeContext = true;
  for (const [operator, operands] of Object.entries(node)) {
    if (operator === '.' || operator === 'has') noteAttributes(operands, found);
    if (isObject(operands)) visitOperands(operator, operands, found);
    else visit(operands, found);
  }
}

const looksInside = new Set(['.', 'has', 'hasTag', 'getTag', 'is']);
const compares = new Set(['in', '==', '!=']);

/** Passes over `resource` and `context` where the operator shows nothing of them but what is noted anyway. */
function visitOperands(operator: string, operands: Json, found: Findings): void {
  const understood = (side: 'left' | 'right'): boolean => {
    const operand = operands[side];
    if (!isObject(operand)) return false;
    if (operand.Var !== 'resource' && operand.Var !== 'context') return false;
    if (looksInside.has(operator)) return side === 'left';
    return (
      operand.Var === 'resource' && compares.has(operator) && isLiteral(operands[side === 'left' ? 'right' : 'left'])
    );
  };
  const { left, right, ...rest } = operands;
  if (!understood('left')) visit(left, found);
  if (!understood('right')) visit(right, found);
  visit(rest, found);
}

function isLiteral(node: unknown): boolean {
  if (Array.isArray(node)) return node.every(isLiteral);
  if (!isObject(node)) return true;
  return !('Var' in node) && Object.values(node).every(isLiteral);
}

function noteAttributes(operands: unknown, found: Findings): void {
  if (!isObject(operands)) return;
  const { attr } = operands;
  for (const name of Array.isArray(attr) ? attr : [attr]) if (typeof name === 'string') found.attributes.add(name);
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null;
}

/** Equal for two resources of one target that no policy can tell apart; `slice` begins with the resource. */
export function resourceKey(known: Distinctions, slice: readonly [Entity, ...Entity[]]): string {
  const [{ uid, attrs }] = slice;
  if (uid.type === 'Target') return 'Target';
  if (known.wholeResource) return JSON.stringify(uid);
  const named = slice
    .filter((entity) => known.entities.has(`${entity.uid.type}::${entity.uid.id}`))
    .map((entity) => entity.uid);
  const read = Object.entries(attrs).filter(([name]) => known.attributes.has(name));
  return JSON.stringify([uid.type, named, read]);
}

/** Equal for two contexts that no policy can tell apart. */
export function contextKey(known: Distinctions, context: Readonly<Record<string, unknown>>): string {
  const read = Object.entries(context).filter(([name]) => known.wholeContext || known.attributes.has(name));
  return JSON.stringify(read);
}
