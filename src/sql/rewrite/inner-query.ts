import { as, type Fields, fieldsOf, text, unwrap } from '../node.ts';
import type { Tokens } from './tokens.ts';

/** Where in a text the query is that a statement wraps, as UTF-16 positions; `without`: a part of it that is not the query's (INTO). */
export interface InnerRange {
  readonly start: number;
  readonly end: number;
  readonly without?: { readonly start: number; readonly end: number };
}

/**
 * The query inside EXPLAIN, DECLARE, PREPARE, COPY (…) TO, CREATE TABLE AS and SELECT INTO, for a text that is one statement.
 * Undefined for a statement that wraps none, or where it is not found.
 */
export function innerQuery(kind: string, fields: Fields, tokens: Tokens): InnerRange | undefined {
  let at = 0;
  let end = tokens.count;
  while (end > 0 && tokens.text(end - 1) === ';') end -= 1;
  const range = innerTokens(kind, fields, tokens, at, end);
  if (range === undefined) return undefined;
  [at, end] = range.tokens;
  if (at >= end) return undefined;
  return {
    start: tokens.start(at),
    end: tokens.end(end - 1),
    ...(range.without === undefined
      ? {}
      : { without: { start: tokens.start(range.without[0]), end: tokens.end(range.without[1] - 1) } }),
  };
}

interface TokenRange {
  readonly tokens: readonly [from: number, to: number];
  readonly without?: readonly [from: number, to: number];
}

function innerTokens(kind: string, fields: Fields, tokens: Tokens, from: number, to: number): TokenRange | undefined {
  switch (kind) {
    case 'ExplainStmt': {
      let at = from + 1;
      if (tokens.text(at) === '(' && !isQueryInBrackets(tokens, at)) at = tokens.afterBrackets(at) ?? to;
      while (tokens.is(at, 'analyze') || tokens.is(at, 'analyse') || tokens.is(at, 'verbose')) at += 1;
      return nested(fields.query, tokens, at, to);
    }
    case 'DeclareCursorStmt': {
      const at = find(tokens, 'for', from, to);
      return at === undefined ? undefined : { tokens: [at + 1, to] };
    }
    case 'PrepareStmt': {
      const at = find(tokens, 'as', tokens.afterName(from + 1), to);
      return at === undefined ? undefined : nested(fields.query, tokens, at + 1, to);
    }
    case 'CopyStmt': {
      const end = tokens.afterBrackets(from + 1);
      return fields.query === undefined || end === undefined ? undefined : { tokens: [from + 2, end - 1] };
    }
    case 'CreateTableAsStmt': {
      const name = tokens.at(location(fieldsOf(fieldsOf(fields.into)?.rel)));
      const at = name === undefined ? undefined : find(tokens, 'as', tokens.afterName(name), to);
      if (at === undefined) return undefined;
      let end = to;
      if (tokens.is(end - 1, 'data')) {
        if (tokens.is(end - 2, 'with')) end -= 2;
        else if (tokens.is(end - 2, 'no') && tokens.is(end - 3, 'with')) end -= 3;
      }
      return nested(fields.query, tokens, at + 1, end);
    }
    case 'SelectStmt': {
      const relation = fieldsOf(fieldsOf(fields.intoClause)?.rel);
      const name = relation === undefined ? undefined : tokens.at(location(relation));
      if (relation === undefined || name === undefined) return undefined;
      let into = name - 1;
      while (into > from && !tokens.is(into, 'into')) into -= 1;
      const names = text(relation.schemaname) === undefined ? 1 : 2;
      const after = tokens.afterPath(name, names);
      return after === undefined || name - into > 4 ? undefined : { tokens: [from, to], without: [into, after] };
    }
    default:
      return undefined;
  }
}

/** What is wrapped may wrap something again: EXPLAIN CREATE TABLE AS. */
function nested(query: unknown, tokens: Tokens, from: number, to: number): TokenRange | undefined {
  const node = unwrap(query);
  if (node === undefined) return undefined;
  if (
    as('SelectStmt', query)?.intoClause === undefined &&
    !node[0].startsWith('Create') &&
    node[0] !== 'DeclareCursorStmt'
  )
    return { tokens: [from, to] };
  return innerTokens(node[0], node[1], tokens, from, to);
}

/** `EXPLAIN (SELECT 1)`: the brackets hold no options. */
function isQueryInBrackets(tokens: Tokens, at: number): boolean {
  let inside = at;
  while (tokens.text(inside) === '(') inside += 1;
  return ['select', 'with', 'values', 'table'].some((word) => tokens.is(inside, word));
}

/** The first such word outside brackets. */
function find(tokens: Tokens, word: string, from: number, to: number): number | undefined {
  for (let at = from; at < to; at++) {
    if (tokens.text(at) === '(') at = (tokens.afterBrackets(at) ?? to) - 1;
    else if (tokens.is(at, word)) return at;
  }
  return undefined;
}

function location(node: Fields | undefined): number {
  return typeof node?.location === 'number' ? node.location : 0;
}
