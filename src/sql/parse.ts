import { loadModule, parseSync, SqlError } from 'libpg-query';
import { Refusal } from '../model/errors.ts';
import { countTokens } from './count-tokens.ts';
import { type Fields, unwrap } from './node.ts';
import { nodeKinds, structFields } from './node-kinds.ts';

/** One statement of a text. */
export interface Statement {
  /** The syntax tree's kind of node: `SelectStmt`. */
  readonly kind: string;
  readonly fields: Fields;
  /** Where it is in the text: UTF-8 bytes, from the end of the previous statement to before the semicolon. */
  readonly start: number;
  readonly end: number;
  /** The same range as text, without white space around it. */
  readonly text: string;
}

export interface ParseLimits {
  /** Largest text, UTF-8 bytes. Parsing takes up to about 0.2 ms per kB, on the caller's thread. */
  readonly maxBytes: number;
}

export const parseLimits: ParseLimits = { maxBytes: 1 << 20 };

/** Deeper trees are refused, so that nothing that walks a tree can run out of stack. */
const maxDepth = 1000;
/** Everybody waits while a statement is parsed and walked: these keep that to some tens of milliseconds. */
const maxTokens = 30_000;
const maxNodes = 20_000;
const maxWithQueries = 500;

/** Loads PostgreSQL's grammar (WASM, about 60 ms). Once per process, before anything is parsed. */
export async function loadParser(): Promise<void> {
  await loadModule();
  parseSync('SELECT 1');
}

/**
 * Parses a text into its statements with the server's own grammar; none for an empty text.
 * Throws Refusal UNPARSABLE for whatever the grammar does not take or the server would read differently, UNSUPPORTED for node
 * kinds nobody has looked at, LIMIT_EXCEEDED for a text that is too long or too deep. Nothing else.
 */
export function parse(source: string, limits: ParseLimits = parseLimits): readonly Statement[] {
  const bytes = checkText(source, limits);
  if (source.length === 0) return [];
  checkTokens(source);
  const statements = rawStatements(source);
  const size: Size = { nodes: 0, withQueries: 0 };
  return statements.map((raw) => {
    const node = unwrap(raw.stmt);
    if (node === undefined) throw unsupported('nothing');
    checkNode(node[0], node[1], 0, size);
    const start = raw.stmt_location ?? 0;
    const end = raw.stmt_len === undefined ? bytes : start + raw.stmt_len;
    return { kind: node[0], fields: node[1], start, end, text: slice(source, bytes, start, end).trim() };
  });
}

interface RawStatement {
  readonly stmt?: unknown;
  readonly stmt_location?: number;
  readonly stmt_len?: number;
}

function checkText(source: string, limits: ParseLimits): number {
  if (source.length > limits.maxBytes) throw tooLong(limits);
  const nul = source.indexOf('\0');
  if (nul >= 0) throw new Refusal('UNPARSABLE', `the statement holds a NUL character at position ${nul + 1}`);
  if (!source.isWellFormed()) throw new Refusal('UNPARSABLE', 'the statement is not well-formed Unicode');
  const bytes = Buffer.byteLength(source);
  if (bytes > limits.maxBytes) throw tooLong(limits);
  return bytes;
}

function tooLong(limits: ParseLimits): Refusal {
  return new Refusal('LIMIT_EXCEEDED', `the statement is longer than ${limits.maxBytes} bytes`, {
    advice: 'send it in smaller parts, or load rows with COPY … FROM STDIN',
  });
}

function rawStatements(source: string): readonly RawStatement[] {
  try {
    return (parseSync(source) as { stmts?: readonly RawStatement[] }).stmts ?? [];
  } catch (error) {
    // Whatever goes wrong in the parser, from a syntax error to an exhausted stack, means that nobody knows what the text does.
    if (!(error instanceof SqlError)) {
      throw new Refusal('UNPARSABLE', 'the statement is too complex to be parsed', {
        advice: 'simplify it or split it',
      });
    }
    // The parser counts bytes from 0; people count characters from 1.
    const offset = error.sqlDetails?.cursorPosition;
    const where =
      offset === undefined || offset < 0
        ? ''
        : ` (position ${Buffer.from(source).toString('utf8', 0, offset).length + 1})`;
    throw new Refusal('UNPARSABLE', `${firstLine(error.message)}${where}`);
  }
}

function firstLine(message: string): string {
  const line = message.split('\n', 1)[0] ?? '';
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}

function checkTokens(source: string): void {
  if (source.length > maxTokens && countTokens(source, maxTokens) > maxTokens) throw tooLarge();
}

function tooLarge(): Refusal {
  return new Refusal('LIMIT_EXCEEDED', 'the statement has more parts than the gateway looks at in one', {
    advice: 'send it in smaller parts: fewer rows or values at a time, an array as one parameter, or COPY … FROM STDIN',
  });
}

/** Of all statements of a text together. */
interface Size {
  nodes: number;
  withQueries: number;
}

/** Every node must be of a kind that is on the list, so that what walks the tree later knows each one. */
function checkNode(kind: string, fields: Fields, depth: number, size: Size): void {
  if (!nodeKinds.has(kind)) throw unsupported(kind);
  if (depth > maxDepth) {
    throw new Refusal('LIMIT_EXCEEDED', `the statement is nested more than ${maxDepth} levels deep`, {
      advice: 'split it',
    });
  }
  const structs = structFields[kind];
  for (const name in fields) {
    const value = fields[name];
    if (typeof value !== 'object' || value === null) continue;
    const struct = structs?.[name];
    if (struct !== undefined) checkNode(struct, value as Fields, depth + 1, size);
    else checkValue(value, depth, size);
  }
}

function checkValue(value: object, depth: number, size: Size): void {
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object' && item !== null) checkValue(item, depth, size);
    return;
  }
  let kinds = 0;
  for (const kind in value) {
    kinds += 1;
    const fields = (value as Record<string, unknown>)[kind];
    if (kinds > 1 || typeof fields !== 'object' || fields === null) throw unsupported(kind);
    size.nodes += 1;
    if (kind === 'CommonTableExpr') size.withQueries += 1;
    if (size.nodes > maxNodes || size.withQueries > maxWithQueries) throw tooLarge();
    checkNode(kind, fields as Fields, depth + 1, size);
  }
}

function unsupported(kind: string): Refusal {
  return new Refusal('UNSUPPORTED', `the statement uses syntax that the gateway does not know (${kind.slice(0, 60)})`);
}

/** Offsets are bytes; a text of one byte a character needs no conversion. */
function slice(source: string, bytes: number, start: number, end: number): string {
  if (bytes === source.length) return source.slice(start, end);
  return Buffer.from(source).toString('utf8', start, end);
}
