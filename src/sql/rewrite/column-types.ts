import type { CatalogRelation, ColumnType } from '../catalog.ts';

/**
 * What the rewriting has to know of relations besides their columns' names, and how a server is asked for it. As everything that is
 * asked of a catalog: with `search_path` set to pg_catalog alone, PostgreSQL 10 and newer. OIDs only, so there is nothing to quote.
 */

/** A type as SQL; the modifiers of intervals are left out, since only their own grammar can write them. */
const typeSql = (oid: string, typmod: string) => `(
    select case when e.oid is null then quote_ident(n.nspname) || '.' || quote_ident(t.typname)
      else quote_ident(en.nspname) || '.' || quote_ident(e.typname) end
      || coalesce(case when coalesce(e.oid, t.oid) <> 'interval'::regtype and ${typmod} >= 0
        then substring(format_type(${oid}, ${typmod}) from '\\([-0-9, ]+\\)') end, '')
      || case when e.oid is null then '' else '[]' end
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
      left join pg_type e on e.oid = t.typelem and e.typarray = t.oid
      left join pg_namespace en on en.oid = e.typnamespace
    where t.oid = ${oid})`;

/**
 * relation, attnum, type, type below domains, the latter's name where it is a plain one of pg_catalog, its length, domain's schema,
 * its name, whether it refuses null, collation where it is not the type's, whether the column is generated.
 */
export function columnTypes(relations: readonly number[]): string {
  return `
  select a.attrelid, a.attnum, ${typeSql('a.atttypid', 'a.atttypmod')}, ${typeSql('b.oid', 'b.typmod')},
    case when bt.typnamespace = 'pg_catalog'::regnamespace and bt.typtype = 'b' and bt.typelem = 0 then bt.typname
      when bt.oid = 'name'::regtype then bt.typname end,
    case when b.oid in ('varchar'::regtype, 'bpchar'::regtype) and b.typmod > 4 then b.typmod - 4 end,
    case when t.typtype = 'd' then tn.nspname end, case when t.typtype = 'd' then t.typname end, b.refuses,
    case when a.attcollation <> t.typcollation then quote_ident(cn.nspname) || '.' || quote_ident(c.collname) end,
    coalesce(to_jsonb(a) ->> 'attgenerated', '') in ('s', 'v')
  from pg_attribute a join pg_type t on t.oid = a.atttypid join pg_namespace tn on tn.oid = t.typnamespace
    left join pg_collation c on c.oid = a.attcollation left join pg_namespace cn on cn.oid = c.collnamespace
    cross join lateral (
      with recursive below (oid, typmod, refuses, depth) as (
        select a.atttypid, a.atttypmod, false, 0
        union all
        select d.typbasetype, d.typtypmod, below.refuses or d.typnotnull, below.depth + 1
          from below join pg_type d on d.oid = below.oid where d.typtype = 'd' and below.depth < 100)
      select * from below order by depth desc limit 1) b
    join pg_type bt on bt.oid = b.oid
  where a.attrelid in (${relations.join(', ')}) and a.attnum > 0 and not a.attisdropped`;
}

/** relation, name of a column of its primary key. */
export function primaryKeys(relations: readonly number[]): string {
  return `
  select c.conrelid, a.attname from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any (c.conkey)
  where c.contype = 'p' and not c.condeferrable and c.conrelid in (${relations.join(', ')})`;
}

/** view, its query. */
export function viewQueries(views: readonly number[]): string {
  return `
  select oid, pg_get_viewdef(oid) from pg_class
  where relkind = 'v' and oid in (${views.join(', ')}) and length(pg_get_viewdef(oid)) <= 60000`;
}

type Row = readonly (string | null | undefined)[];

export interface ReadColumn {
  readonly relation: number;
  readonly attnum: number;
  readonly type: ColumnType;
  readonly generated: boolean;
}

/** One row of `columnTypes`; undefined for one that does not make sense. */
export function readColumnType(row: Row): ReadColumn | undefined {
  const [relation, attnum, sql, base, name, length, schema, domain, refuses, collation, generated] = row;
  if (!isNumber(relation) || !isNumber(attnum) || !isText(sql) || !isText(base)) return undefined;
  return {
    relation: Number(relation),
    attnum: Number(attnum),
    type: {
      sql,
      base: {
        sql: base,
        ...(isText(name) ? { name } : {}),
        ...(isNumber(length) ? { length: Number(length) } : {}),
      },
      ...(isText(schema) && isText(domain) ? { domain: { schema, name: domain, notNull: refuses === 't' } } : {}),
      ...(isText(collation) ? { collation } : {}),
    },
    generated: generated === 't',
  };
}

function isText(value: string | null | undefined): value is string {
  return typeof value === 'string' && value !== '';
}

function isNumber(value: string | null | undefined): value is string {
  return isText(value) && /^-?\d{1,10}$/.test(value);
}

/** Relations with what the rewriting needs, from the rows of the three questions above. */
export function describeRelations(
  relations: readonly CatalogRelation[],
  answers: { readonly types: readonly Row[]; readonly keys: readonly Row[]; readonly views: readonly Row[] },
): readonly CatalogRelation[] {
  const types = new Map<string, ReadColumn>();
  for (const row of answers.types) {
    const read = readColumnType(row);
    if (read !== undefined) types.set(`${read.relation}.${read.attnum}`, read);
  }
  const keys = Map.groupBy(answers.keys, ([relation]) => Number(relation));
  const views = new Map(answers.views.map(([relation, definition]) => [Number(relation), definition]));
  return relations.map((relation) => {
    const key = keys.get(relation.oid)?.map(([, name]) => name ?? '');
    const definition = views.get(relation.oid);
    return {
      ...relation,
      columns: relation.columns.map((column) => {
        const read = types.get(`${relation.oid}.${column.attnum}`);
        if (read === undefined) return column;
        return { ...column, type: read.type, ...(read.generated ? { generated: true } : {}) };
      }),
      ...(key === undefined ? {} : { primaryKey: key }),
      ...(isText(definition) ? { definition } : {}),
    };
  });
}
