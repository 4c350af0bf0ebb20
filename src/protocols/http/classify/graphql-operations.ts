import {
  type DocumentNode,
  type FragmentDefinitionNode,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql/language/index.js';
import { Refusal } from '../../../model/errors.ts';
import type { Carried } from './carried.ts';

const mostTokens = 20_000;
const deepest = 200;

/** What one GraphQL request asks to be run, and what it hands along. */
export interface GraphqlRequest {
  readonly query: string;
  readonly operationName: string | undefined;
  readonly variables: Readonly<Record<string, unknown>>;
}

/** The root fields of what would run: `Query.customer`, `Mutation.volumeDelete`. */
export interface Operations {
  readonly kinds: ReadonlySet<'query' | 'mutation' | 'subscription'>;
  readonly objects: ReadonlySet<string>;
  /** How many operations may run. */
  readonly count: number;
}

const roots = { query: 'Query', mutation: 'Mutation', subscription: 'Subscription' } as const;

/**
 * Reads a document as the GraphQL specification (October 2021) has it and says which root fields it touches, through fragments and under aliases;
 * `@skip` and `@include` are taken as not there. Where it is not clear which operation would run, all of them count. Arguments of
 * root fields are gathered as values. Throws Refusal UNPARSABLE.
 */
export function operationsOf(request: GraphqlRequest, carried: Carried): Operations {
  const document = parsed(request.query);
  const fragments = new Map<string, FragmentDefinitionNode>();
  const operations: OperationDefinitionNode[] = [];
  for (const definition of document.definitions) {
    if (definition.kind === 'OperationDefinition') operations.push(definition);
    else if (definition.kind !== 'FragmentDefinition') throw refusal('holds definitions of a schema');
    else if (fragments.has(definition.name.value)) throw refusal(`has two fragments named ${definition.name.value}`);
    else fragments.set(definition.name.value, definition);
  }
  if (document.definitions.some((definition) => 'selectionSet' in definition && renames(definition.selectionSet)))
    carried.found('graphql.alias');
  const chosen = chosenOf(operations, request.operationName);
  const kinds = new Set<'query' | 'mutation' | 'subscription'>();
  const objects = new Set<string>();
  for (const { operation, selectionSet } of chosen) {
    kinds.add(operation);
    const walk = { root: roots[operation], fragments, open: new Set<string>(), objects, request, carried };
    collect(selectionSet, walk);
  }
  return { kinds, objects, count: chosen.length };
}

/** Whether some field, however deep, comes under another name than its own: paths in replies are then not what they seem. */
function renames({ selections }: SelectionSetNode): boolean {
  return selections.some((selection) => {
    if (selection.kind === 'FragmentSpread') return false; // its definition is looked at by itself
    if (selection.kind === 'Field' && selection.alias !== undefined && selection.alias.value !== selection.name.value)
      return true;
    return selection.selectionSet !== undefined && renames(selection.selectionSet);
  });
}

function refusal(what: string): Refusal {
  return new Refusal('UNPARSABLE', `the GraphQL document ${what}`, {
    advice: 'send one document that the GraphQL specification takes, with every fragment that it uses',
  });
}

function parsed(query: string): DocumentNode {
  // Not every server agrees with the specification on where a line, and so a comment, ends.
  if (/\r(?!\n)|[\u0085\u2028\u2029]|\ufeff|\0/.test(query))
    throw refusal('has line breaks that servers read differently');
  checkDepth(query);
  try {
    return parse(query, { noLocation: true, maxTokens: mostTokens });
  } catch (error) {
    const message = error instanceof Error ? error.message.slice(0, 200) : 'it cannot be read';
    throw refusal(`cannot be read: ${message}`);
  }
}

/** A rough bound before the parser recurses: brackets, wherever they stand. */
function checkDepth(query: string): void {
  let depth = 0;
  for (let index = 0; index < query.length; index++) {
    const code = query.charCodeAt(index);
    if (code === 0x7b || code === 0x5b || code === 0x28) {
      depth++;
      if (depth > deepest) throw refusal(`is nested more than ${deepest} deep`);
    } else if (code === 0x7d || code === 0x5d || code === 0x29) depth--;
  }
}

function chosenOf(
  operations: readonly OperationDefinitionNode[],
  name: string | undefined,
): readonly OperationDefinitionNode[] {
  const names = operations.map((operation) => operation.name?.value);
  if (operations.length === 0) throw refusal('has no operation');
  if (new Set(names).size < names.length) throw refusal('has two operations of the same name, or without one');
  if (name === undefined || name === '') return operations;
  const found = operations.find((operation) => operation.name?.value === name);
  if (found === undefined) throw refusal(`has no operation named ${JSON.stringify(name.slice(0, 100))}`);
  return [found];
}

interface Walk {
  readonly root: 'Query' | 'Mutation' | 'Subscription';
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  /** Fragments that were entered: once is enough, and a circle ends. */
  readonly open: Set<string>;
  readonly objects: Set<string>;
  readonly request: GraphqlRequest;
  readonly carried: Carried;
}

function collect(selections: SelectionSetNode, walk: Walk): void {
  for (const selection of selections.selections) {
    if (selection.kind === 'Field') {
      const object = `${walk.root}.${selection.name.value}`;
      walk.objects.add(object);
      for (const argument of selection.arguments ?? [])
        carryValue(`${object}.${argument.name.value}`, argument.value, walk, 0);
    } else if (selection.kind === 'InlineFragment') {
      collect(selection.selectionSet, walk);
    } else {
      const name = selection.name.value;
      const fragment = walk.fragments.get(name);
      if (fragment === undefined) throw refusal(`uses a fragment ${name} that it does not have`);
      if (walk.open.has(name)) continue;
      walk.open.add(name);
      collect(fragment.selectionSet, walk);
    }
  }
}

/** An argument's scalars, as `graphql.Mutation.volumeDelete.volumeId=7`, with variables put in. */
function carryValue(name: string, value: ValueNode, walk: Walk, depth: number): void {
  const { carried, request } = walk;
  if (depth > 20) carried.found('body.unseen');
  else if (value.kind === 'Variable') {
    const variable = value.name.value;
    if (Object.hasOwn(request.variables, variable)) carryJsonValue(name, request.variables[variable], carried, depth);
    else carried.field('graphql', name);
  } else if (value.kind === 'ListValue') {
    carried.field('graphql', name);
    for (const item of value.values) carryValue(`${name}[]`, item, walk, depth + 1);
  } else if (value.kind === 'ObjectValue') {
    carried.field('graphql', name);
    for (const member of value.fields) carryValue(`${name}.${member.name.value}`, member.value, walk, depth + 1);
  } else carried.value('graphql', name, value.kind === 'NullValue' ? 'null' : String(value.value));
}

function carryJsonValue(name: string, value: unknown, carried: Carried, depth: number): void {
  if (depth > 20) carried.found('body.unseen');
  else if (Array.isArray(value)) {
    carried.field('graphql', name);
    for (const item of value) carryJsonValue(`${name}[]`, item, carried, depth + 1);
  } else if (typeof value === 'object' && value !== null) {
    carried.field('graphql', name);
    for (const [key, member] of Object.entries(value)) carryJsonValue(`${name}.${key}`, member, carried, depth + 1);
  } else carried.value('graphql', name, String(value));
}
