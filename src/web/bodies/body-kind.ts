import { type ContentType, parseContentType, readableCharset } from './content-type.ts';
import type { BodyRules } from './rules.ts';

/**
 * How a body is looked at.
 *
 *   json, ndjson, json-seq   by paths, and every name, string and number by detectors
 *   sse                      events: their data as JSON where it is JSON, the rest as text
 *   form, csv, tsv           fields and columns by name, and all by detectors
 *   multipart                each part by its own type
 *   text                     by detectors
 *   media                    pictures, sounds, fonts: passed where the bytes begin like one
 *   unknown                  decided by the first bytes
 *   binary                   not at all
 */
export type BodyKind =
  | 'json'
  | 'ndjson'
  | 'json-seq'
  | 'sse'
  | 'form'
  | 'csv'
  | 'tsv'
  | 'multipart'
  | 'text'
  | 'media'
  | 'unknown'
  | 'binary';

/** The kind of a body with this `Content-Type`, and the type itself where it could be read. `rules` are those that apply. */
export function maskerFor(
  contentType: string | undefined,
  rules: BodyRules,
): { readonly kind: BodyKind; readonly type: ContentType | undefined } {
  const type = contentType === undefined ? undefined : parseContentType(contentType);
  if (type === undefined) return { kind: 'unknown', type };
  const kind = kindOf(type.type, rules.list.length > 0);
  // JSON is UTF-8 whatever a parameter says (RFC 8259 section 8.1), and is checked to be.
  const readable = kind === 'json' || readableCharset(type.parameters.get('charset'));
  return { kind: readable || kind === 'media' ? kind : 'binary', type };
}

function kindOf(type: string, ruled: boolean): BodyKind {
  const named = kinds.get(type);
  if (named !== undefined) return named;
  if (type.endsWith('+json')) return 'json';
  if (type.endsWith('+json-seq')) return 'json-seq';
  if (type.startsWith('multipart/')) return 'multipart';
  if (/^(?:image|audio|video|font)\//.test(type)) return type.endsWith('+xml') ? 'text' : 'media';
  // The same data in another notation, where no path leads to it.
  const otherNotation = /[/+](?:x-)?(?:xml|yaml|toml)$/.test(type);
  if (otherNotation) return ruled && type !== 'application/xhtml+xml' ? 'binary' : 'text';
  if (type.startsWith('text/')) return !ruled || plain.has(type) ? 'text' : 'unknown';
  return 'binary';
}

const kinds: ReadonlyMap<string, BodyKind> = new Map<string, BodyKind>([
  ['application/json', 'json'],
  ['text/json', 'json'],
  ['text/x-json', 'json'],
  ['application/x-json', 'json'],
  ['application/manifest+json', 'json'],
  ['application/ndjson', 'ndjson'],
  ['application/x-ndjson', 'ndjson'],
  ['application/jsonl', 'ndjson'],
  ['application/x-jsonl', 'ndjson'],
  ['application/jsonlines', 'ndjson'],
  ['application/x-jsonlines', 'ndjson'],
  ['application/stream+json', 'ndjson'],
  ['application/json-seq', 'json-seq'],
  ['text/event-stream', 'sse'],
  ['application/x-www-form-urlencoded', 'form'],
  ['text/csv', 'csv'],
  ['application/csv', 'csv'],
  ['text/x-csv', 'csv'],
  ['text/tab-separated-values', 'tsv'],
  ['application/javascript', 'text'],
  ['application/x-javascript', 'text'],
  ['application/ecmascript', 'text'],
  ['application/graphql', 'text'],
  ['application/sql', 'text'],
  ['application/x-pem-file', 'text'],
  ['application/x-sh', 'text'],
  ['application/octet-stream', 'unknown'],
  ['binary/octet-stream', 'unknown'],
  ['application/x-download', 'unknown'],
]);

const plain = new Set(['text/plain', 'text/html', 'text/css', 'text/javascript', 'text/markdown', 'text/x-log']);
