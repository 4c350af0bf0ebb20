import type { MaskMethod } from '../../model/decision.ts';
import type { Catalog, CatalogColumn, CatalogRelation, ColumnType } from '../catalog.ts';
import { isOpaqueType } from '../implied-code.ts';
import { literal } from './quote.ts';

/**
 * How a column looks inside a statement. Every mask has the column's own type (below a domain that takes no null, or whose checks
 * run somebody's code, the type it is made of), and none of them can fail.
 *
 *   null       null
 *   redact     text and JSON: `[masked:pii.ssn]`, cut to the column's length; everything else: null. Does not read the column.
 *   constant   one value per type: `***`, 0, false, 1970-01-01, {} …; null where a type has no obvious one. Does not read the column.
 *   partial    text: twelve stars (also for null), and the last four ASCII letters and digits of values that have at least
 *              nine. **A disclosure.**
 *   year       dates and times: the first of January of the year (UTC). **A disclosure.**
 *   range:N    numbers: cut towards zero to a multiple of N. **A disclosure.**
 *   token, digits   made with a key that must not be in SQL: where a statement only shows the column, the sub-select hands it through
 *              with its origin and the gateway masks the reply. Where a statement computes, compares or sorts with it, it is
 *              `redact` in the whole statement.
 */
export type MaskChoice = MaskMethod | 'constant' | 'year' | `range:${number}`;

export interface MaskExpression {
  readonly method: MaskChoice;
  readonly classification: string;
  /** SQL of the mask; `column` is SQL that stands for the column. Without `reads` the column does not occur in it. */
  sql(column: string): string;
  readonly reads: boolean;
  /** The real mask is made with a key, by the gateway, where the column is only shown. `sql` is for everywhere else. */
  readonly keyed: boolean;
}

/** How a classified column looks to a caller; undefined: as it is. */
export type MasksOf = (relation: CatalogRelation, column: CatalogColumn) => MaskExpression | undefined;

/** Masks by classification. A classification for which `methodOf` has nothing to say is redacted. */
export function masksBy(catalog: Catalog, methodOf: (classification: string) => MaskChoice | undefined): MasksOf {
  return (_relation, { classification, type }) => {
    if (classification === undefined) return undefined;
    const method = methodOf(classification) ?? 'redact';
    if (method === 'reveal') return undefined;
    return type === undefined ? undefined : maskExpression(method, classification, type, catalog.opaqueTypes);
  };
}

export function maskExpression(
  method: MaskChoice,
  classification: string,
  type: ColumnType,
  opaqueTypes: ReadonlySet<string>,
): MaskExpression {
  const keyed = method === 'token' || method === 'digits';
  const target = castable(type, opaqueTypes);
  const fixed = (sql: string): MaskExpression => ({ method, classification, sql: () => sql, reads: false, keyed });
  const nothing = fixed(`NULL::${target}${collated(type)}`);
  // A constant might not pass a domain's checks; null does, unless they say so.
  if (type.domain !== undefined || method === 'null') return nothing;
  const { name, length } = type.base;
  if (name === undefined) return nothing;
  const reading = readingMask(method, name);
  if (reading !== undefined) {
    const sql = (column: string) => `(${reading(column)})::${target}${collated(type)}`;
    return { method, classification, sql, reads: true, keyed };
  }
  const constant = method === 'constant' ? constants.get(name) : redacted(name, classification);
  if (constant === undefined) return nothing;
  const cut = length === undefined ? constant : constant.slice(0, length);
  return fixed(`${literal(cut)}::${target}${collated(type)}`);
}

/** What a mask is cast to, so that no code of anybody's runs and null is taken. */
function castable({ sql, base, domain }: ColumnType, opaqueTypes: ReadonlySet<string>): string {
  if (domain === undefined) return sql;
  return domain.notNull || isOpaqueType([domain.schema, domain.name], opaqueTypes) ? base.sql : sql;
}

function collated({ collation }: ColumnType): string {
  return collation === undefined ? '' : ` COLLATE ${collation}`;
}

const texts: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar', 'name']);
const numbers: ReadonlySet<string> = new Set(['int2', 'int4', 'int8', 'numeric']);
const floats: ReadonlySet<string> = new Set(['float4', 'float8']);

function redacted(name: string, classification: string): string | undefined {
  const marker = `[masked:${classification.replace(/[^\w.-]/g, '_')}]`;
  if (texts.has(name)) return marker;
  return name === 'json' || name === 'jsonb' ? `"${marker}"` : undefined;
}

const constants: ReadonlyMap<string, string> = new Map([
  ...[...texts].map((name) => [name, '***'] as const),
  ...[...numbers, ...floats].map((name) => [name, '0'] as const),
  ['bool', 'false'],
  ['date', '1970-01-01'],
  ['timestamp', '1970-01-01 00:00:00'],
  ['timestamptz', '1970-01-01 00:00:00+00'],
  ['time', '00:00:00'],
  ['interval', '0'],
  ['uuid', '00000000-0000-0000-0000-000000000000'],
  ['inet', '0.0.0.0'],
  ['bytea', ''],
  ['json', '{}'],
  ['jsonb', '{}'],
]);

/** Masks that look at the value; undefined where the method is none, or does not fit the type. */
function readingMask(method: MaskChoice, name: string): ((column: string) => string) | undefined {
  if (method === 'partial') return texts.has(name) ? lastFour : undefined;
  if (method === 'year') return years.get(name);
  const width = /^range:([1-9]\d{0,14})$/.exec(method)?.[1];
  if (width === undefined) return undefined;
  if (numbers.has(name)) {
    // Towards zero, so that it never leaves the type's range; `/` would round.
    return (column) =>
      `pg_catalog.div((${column})::pg_catalog.numeric, ${width}::pg_catalog.numeric) OPERATOR(pg_catalog.*) ${width}::pg_catalog.numeric`;
  }
  if (!floats.has(name)) return undefined;
  // Dividing a small value could fail as an underflow, multiplying a large one as an overflow. Null for large ones and NaN.
  return (column) => {
    const size = `pg_catalog.abs((${column})::pg_catalog.float8)`;
    return (
      `CASE WHEN ${size} OPERATOR(pg_catalog.<) ${width}::pg_catalog.float8 THEN 0::pg_catalog.float8 ` +
      `WHEN ${size} OPERATOR(pg_catalog.<) 1e15::pg_catalog.float8 THEN pg_catalog.trunc((${column})::pg_catalog.float8 ` +
      `OPERATOR(pg_catalog./) ${width}::pg_catalog.float8) OPERATOR(pg_catalog.*) ${width}::pg_catalog.float8 END`
    );
  };
}

function lastFour(column: string): string {
  const letters = `pg_catalog.regexp_replace((${column})::pg_catalog.text, '[^0-9A-Za-z]', '', 'g')`;
  const end = `pg_catalog."substring"(${letters}, '^.{5,}(.{4})$')`;
  return `'************'::pg_catalog.text OPERATOR(pg_catalog.||) COALESCE(${end}, ''::pg_catalog.text)`;
}

/** Null outside the years 1 to 9999: infinity has no year, and at the ends of a type's range the arithmetic fails. */
function yearOf(type: string, truncated: (column: string) => string): (column: string) => string {
  return (column) =>
    `CASE WHEN (${column}) OPERATOR(pg_catalog.>=) '0001-01-02'::pg_catalog.${type} AND (${column}) OPERATOR(pg_catalog.<) '9999-12-31'::pg_catalog.${type} THEN ${truncated(column)} END`;
}

const years: ReadonlyMap<string, (column: string) => string> = new Map([
  [
    'date',
    yearOf('date', (column) => `pg_catalog.date_trunc('year', (${column})::pg_catalog."timestamp")::pg_catalog.date`),
  ],
  ['timestamp', yearOf('"timestamp"', (column) => `pg_catalog.date_trunc('year', ${column})`)],
  // In a zone of its own: otherwise a caller could find out a time by setting TimeZone.
  [
    'timestamptz',
    yearOf(
      'timestamptz',
      (column) => `pg_catalog.timezone('UTC', pg_catalog.date_trunc('year', pg_catalog.timezone('UTC', ${column})))`,
    ),
  ],
]);
