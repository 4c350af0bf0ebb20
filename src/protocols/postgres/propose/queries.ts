import type { Source } from './sources.ts';

/**
 * What is asked besides the schema, and the samples themselves. search_path is pg_catalog alone, as for the schema: what
 * a user made cannot stand in for a function or operator used here.
 */

/** oid, pages, whether there is something in it, whether its schema may be used: relations that keep rows. */
export const sizes = `
  select c.oid, greatest(c.relpages, 0), c.relispopulated, has_schema_privilege(c.relnamespace, 'USAGE')
  from pg_class c where c.relkind in ('r', 'm') and c.oid >= 16384`;

/** type, type that its values have: domains down to what they are domains of, and types that behave like text (citext). */
export const baseTypes = `
  with recursive domains (type, base) as (
    select oid, oid from pg_type where oid >= 16384 and typtype in ('d', 'b')
    union all select d.type, t.typbasetype from domains d join pg_type t on t.oid = d.base where t.typtype = 'd')
  select d.type, case when t.typcategory = 'S' then 25 else t.oid end
  from domains d join pg_type t on t.oid = d.base
  where t.typtype = 'b' and (t.oid < 16384 or t.typcategory = 'S')`;

/** referring relation and column, relation and column referred to. */
export const references = `
  select c.conrelid, k.a, c.confrelid, k.b
  from pg_constraint c cross join lateral unnest(c.conkey, c.confkey) k (a, b) where c.contype = 'f'`;

/** Rows, values and bytes that are looked at of one column, at most. A value that is kept in more than this many bytes is left out. */
export const maxRows = 100;
export const maxCharacters = 256;
const maxDocumentCharacters = 2048;
const maxStoredBytes = 65_536;
/** A relation of more pages is sampled, not read from its start; of about so many pages then. */
const smallPages = 200;
const sampledPages = 50;
const statementMs = 3000;
const lockMs = 500;

/**
 * A few rows of one relation, the beginning of each value, in a transaction of their own that can change nothing and waits for nobody.
 * TABLESAMPLE also where all pages may be read: the server refuses it for what has become a view or a foreign table meanwhile, and
 * without row security it refuses where a policy has come up, so that nothing of the database's own runs for us.
 */
export function sample(source: Source, fromStart = source.pages <= smallPages): string {
  const picked = source.columns
    .map(({ column, type }) => {
      const name = quoted(column);
      const most = type === 'document' ? maxDocumentCharacters : maxCharacters;
      return `case when pg_column_size(${name}) <= ${maxStoredBytes} then left(${name}::text, ${most}) end`;
    })
    .join(', ');
  const share = fromStart ? 100 : Math.max(0.0001, (100 * sampledPages) / source.pages);
  return [
    'begin isolation level read committed read only',
    `set local statement_timeout = ${statementMs}`,
    `set local lock_timeout = ${lockMs}`,
    `set local row_security = ${source.rowSecurity ? 'on' : 'off'}`,
    `select ${picked} from only ${quoted(source.schema)}.${quoted(source.name)} tablesample system (${share}) repeatable (1) limit ${maxRows}`,
    'commit',
  ].join('; ');
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
