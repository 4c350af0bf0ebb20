import { createHash } from 'node:crypto';
import type { Action, Resource } from '../../../model/command.ts';
import { Refusal } from '../../../model/errors.ts';
import type { Fields } from '../../../web/message.ts';
import { isEncoded, type KnownBody, mediaType } from './body.ts';
import type { Carried } from './carried.ts';
import { formPairs } from './form.ts';
import { type GraphqlRequest, operationsOf } from './graphql-operations.ts';
import { carryJson, utf8 } from './json.ts';

const largestBatch = 50;

/** What a request at a GraphQL path would run. */
export interface GraphqlMeaning {
  readonly actions: readonly Action[];
  readonly objects: readonly Resource[];
  /** QUERY, MUTATION, SUBSCRIPTION. */
  readonly verbs: readonly string[];
  readonly statements: number;
}

/** Keys that stand for a document that the server knows already. */
const persistedKeys = ['id', 'documentId', 'doc_id', 'queryId', 'hash', 'sha256Hash'] as const;
const persistedParameters = persistedKeys.map((key) => key.toLowerCase());
const plainKeys = ['query', 'operationName', 'variables', 'extensions'] as const;

/** Parameters that GraphQL servers take from a query as well as from a body. */
const parameters = new Set([...plainKeys.map((key) => key.toLowerCase()), ...persistedParameters]);

/**
 * Reads a request as “GraphQL over HTTP” has it: GET with a query, POST with JSON or application/graphql, batches. Whatever is not
 * understood, or could be read in two ways, is refused: throws Refusal UNPARSABLE or UNSUPPORTED.
 */
export function graphqlMeaning(
  method: string,
  query: string,
  fields: Fields,
  body: KnownBody,
  carried: Carried,
): GraphqlMeaning {
  const given = queryParameters(query);
  if (method === 'GET' || method === 'HEAD') {
    if (body !== undefined) throw unsupported('a GET with a body', 'send the document in the query, or use POST');
    const requests = [fromQuery(given)];
    const meaning = meaningOf(requests, carried);
    if (!meaning.verbs.every((verb) => verb === 'QUERY'))
      throw unsupported('a mutation or subscription by GET', 'use POST: GET only reads');
    return meaning;
  }
  if (method !== 'POST') throw unsupported(`the method ${method}`, 'use POST');
  if (given.size > 0) throw unsupported('a POST with GraphQL parameters in its query', 'put all of them into the body');
  return meaningOf(fromBody(fields, body), carried);
}

/** What the payload of one message of a GraphQL subscription protocol would run. */
export function graphqlPayloadMeaning(payload: unknown, carried: Carried): GraphqlMeaning {
  return meaningOf([requestOf(payload)], carried);
}

/** Whether a path takes GraphQL. Servers often take what is below it, and other letters, for the same. */
export function isGraphqlPath(readings: readonly string[], paths: readonly string[]): boolean {
  return paths.some((path) => {
    const wanted = path.toLowerCase().replace(/\/$/, '');
    return readings.some((reading) => `${reading.toLowerCase()}/`.startsWith(`${wanted}/`));
  });
}

function unsupported(what: string, advice: string): Refusal {
  return new Refusal('UNSUPPORTED', `${what} is not taken at a GraphQL path`, { advice });
}

function unparsable(what: string): Refusal {
  return new Refusal('UNPARSABLE', `the GraphQL request ${what}`, {
    advice: 'send {"query": "…", "operationName": "…", "variables": {…}} as application/json',
  });
}

function meaningOf(requests: readonly GraphqlRequest[], carried: Carried): GraphqlMeaning {
  const kinds = new Set<'query' | 'mutation' | 'subscription'>();
  const writes = new Map<string, Resource>();
  let statements = 0;
  for (const request of requests) {
    const operations = operationsOf(request, carried);
    statements += operations.count;
    for (const kind of operations.kinds) kinds.add(kind);
    for (const id of operations.objects)
      writes.set(id, { type: 'Object', id, access: id.startsWith('Mutation.') ? 'write' : 'read' });
  }
  return {
    actions: [
      ...(kinds.has('query') || kinds.has('subscription') ? (['read'] as const) : []),
      ...(kinds.has('mutation') ? (['write'] as const) : []),
    ],
    objects: [...writes.values()],
    verbs: [...kinds].map((kind) => kind.toUpperCase()),
    statements,
  };
}

function queryParameters(query: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const pair of formPairs(query)) {
    if (pair === undefined) throw unparsable('has a query that cannot be decoded');
    const [name, value] = pair;
    const folded = name.toLowerCase().replace(/\[.*$/s, '');
    if (!parameters.has(folded)) continue;
    if (found.has(folded) || (folded !== name && name !== 'operationName'))
      throw unparsable(`has ${JSON.stringify(name)} in a form that servers read differently`);
    found.set(folded, value);
  }
  if (query.includes(';') && found.size > 0) throw unparsable('has a ; in its query: write %3B');
  return found;
}

function fromQuery(given: ReadonlyMap<string, string>): GraphqlRequest {
  const variables = given.get('variables');
  return requestOf({
    query: given.get('query'),
    operationName: given.get('operationname'),
    variables: variables === undefined || variables === '' ? undefined : objectOf(variables),
    extensions: given.has('extensions') ? objectOf(given.get('extensions') as string) : undefined,
    id: persistedParameters.map((name) => given.get(name)).find((value) => value !== undefined),
  });
}

function objectOf(text: string): unknown {
  const read = carryJson(Buffer.from(text), 'graphql');
  if (read === undefined || read.duplicates) throw unparsable('has variables or extensions that are not plain JSON');
  return read.value;
}

function fromBody(fields: Fields, body: KnownBody): readonly GraphqlRequest[] {
  if (body === undefined) throw unparsable('has no body');
  if (body === 'too large')
    throw new Refusal('LIMIT_EXCEEDED', 'the GraphQL request is too large to be looked into', {
      advice: 'send less at once',
    });
  if (isEncoded(fields)) throw unsupported('a compressed body', 'send it without Content-Encoding');
  const { name, charset } = mediaType(fields);
  if (charset !== undefined && !/^utf-?8$/.test(charset)) throw unsupported(`the charset ${charset}`, 'send UTF-8');
  if (name === 'application/graphql') {
    const query = utf8(body);
    if (query === undefined) throw unparsable('is not UTF-8');
    // Some servers look at what the body is rather than at what it is called.
    if (/^\s*[[{]\s*["{[]/.test(query)) throw unparsable('is JSON that is called application/graphql');
    return [{ query, operationName: undefined, variables: {} }];
  }
  if (!/^application\/(?:graphql\+)?json$/.test(name))
    throw unsupported(name === '' ? 'a body without Content-Type' : `the type ${name}`, 'send application/json');
  return fromJson(body);
}

function fromJson(body: Buffer): readonly GraphqlRequest[] {
  const read = carryJson(body, 'body');
  if (read === undefined) throw unparsable('is not JSON');
  if (read.duplicates) throw unparsable('has a key twice, perhaps in other letters: servers read that differently');
  if (!Array.isArray(read.value)) return [requestOf(read.value)];
  if (read.value.length === 0 || read.value.length > largestBatch)
    throw unparsable(`is a batch of ${read.value.length}; 1 to ${largestBatch} are taken`);
  return read.value.map(requestOf);
}

/** One request's members. Keys that some servers would take for others (`Query`) are refused. */
function requestOf(value: unknown): GraphqlRequest {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unparsable('is not an object');
  const given = value as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(given)) {
    const known: readonly string[] = [...plainKeys, ...persistedKeys];
    if (!known.includes(key) && parameters.has(key.toLowerCase())) throw unparsable(`has a key ${JSON.stringify(key)}`);
  }
  const { query, operationName, variables, extensions } = given;
  if (persistedKeys.some((key) => (given[key] ?? null) !== null)) throw persisted();
  if (query === undefined || query === null || query === '') {
    if ((extensions ?? null) !== null) throw persisted();
    throw unparsable('has no query');
  }
  if (typeof query !== 'string') throw unparsable('has a query that is not text');
  checkHash(query, extensions);
  if (operationName !== undefined && operationName !== null && typeof operationName !== 'string')
    throw unparsable('has an operationName that is not text');
  if (variables !== undefined && variables !== null && (typeof variables !== 'object' || Array.isArray(variables)))
    throw unparsable('has variables that are not an object');
  return {
    query,
    operationName: operationName ?? undefined,
    variables: (variables ?? {}) as Readonly<Record<string, unknown>>,
  };
}

/** A server may look a document up by its hash although one is there. */
function checkHash(query: string, extensions: unknown): void {
  const claimed = (extensions as { persistedQuery?: { sha256Hash?: unknown } } | null | undefined)?.persistedQuery
    ?.sha256Hash;
  if (claimed === undefined) return;
  if (claimed !== createHash('sha256').update(query).digest('hex'))
    throw unparsable('has a hash that is not that of its query');
}

function persisted(): Refusal {
  return unsupported(
    'a persisted query',
    'send the whole document: from a hash or an id nobody can tell what would run',
  );
}
