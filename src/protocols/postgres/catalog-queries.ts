/**
 * What the gateway asks a server about its schema. Every name is qualified and search_path is pg_catalog alone: nothing
 * that a user of the database made can stand in for a table, function or operator used here. PostgreSQL 10 and newer.
 */

const ours = `n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'`;

/** oid, schema, name, kind, owner's name, whether we are (in) the owner's role, row security, has triggers, has rules that are no views. */
export const relations = `
  select c.oid, n.nspname, c.relname, c.relkind, pg_get_userbyid(c.relowner), pg_has_role(c.relowner, 'USAGE'), c.relrowsecurity,
    exists (select from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal),
    exists (select from pg_rewrite r where r.ev_class = c.oid and r.ev_type <> '1')
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't' and ${ours}
  order by c.oid`;

/** relation, attnum, name, type. */
export const columns = `
  select a.attrelid, a.attnum, a.attname, a.atttypid
  from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
  where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't' and ${ours}
  order by a.attrelid, a.attnum`;

/** child, parent: inheritance and partitions. */
export const inheritance = 'select inhrelid, inhparent from pg_inherits';

/**
 * relation, rule's name ("_RETURN" for a view's own), relation it reads, column it reads (0: none in particular), reads whole rows.
 * pg_depend does not record that a rule reads a whole row; the rule's tree does, as a Var of attribute 0.
 */
export const ruleReads = `
  select r.ev_class, r.rulename, d.refobjid, d.refobjsubid, r.ev_action::text like '%:varattno 0 %'
  from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
  where d.refclassid = 'pg_class'::regclass and d.deptype = 'n' and r.ev_class >= 16384`;

/** relation, function that one of its rules calls, also through an operator. Only functions that did not come with the server. */
export const ruleCalls = `
  select distinct r.ev_class, case when d.refclassid = 'pg_proc'::regclass then d.refobjid else o.oprcode::oid end
  from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
    left join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
  where r.ev_class >= 16384
    and (d.refclassid = 'pg_proc'::regclass and d.refobjid >= 16384 or d.refclassid = 'pg_operator'::regclass and o.oprcode >= 16384)`;

/**
 * Functions that a stored expression calls, by its text: pg_depend does not record those that came with the server. Of these, what is
 * immutable or belongs to an operator only computes, and is left out.
 */
const calls = (tree: string) => `lateral (
    select distinct p.oid, p.proname
    from regexp_matches(${tree}::text, ':(funcid|opfuncid|aggfnoid|winfnoid) (\\d+)', 'g') m join pg_proc p on p.oid = m[2]::oid
    where p.oid >= 16384 or m[1] <> 'opfuncid' and p.provolatile <> 'i') called`;

/** relation, name of a function that came with the server and that one of its rules calls. */
export const ruleBuiltins = `
  select distinct r.ev_class, called.proname
  from pg_rewrite r cross join ${calls('r.ev_action')}
  where r.ev_class >= 16384 and called.oid < 16384`;

/** relation, name of a relation of the server's own that one of its rules reads. */
export const ruleSystemReads = `
  select distinct r.ev_class, c.relname
  from pg_rewrite r cross join lateral regexp_matches(r.ev_action::text, ':relid (\\d+) ', 'g') m
    join pg_class c on c.oid = m[1]::oid
  where r.ev_class >= 16384 and c.oid < 16384`;

/** view, its rule as the server keeps it. OIDs and numbers only: nothing to quote. Longer ones are nobody's plain picking of columns. */
export function definitions(views: readonly number[]): string {
  return `
  select ev_class, ev_action::text from pg_rewrite
  where rulename = '_RETURN' and ev_class in (${views.join(', ')}) and length(ev_action::text) <= 60000`;
}

/** relation, function's oid and name, how it comes to run when the relation is written, for which column (0: for none). */
export const writtenCode = `
  select distinct w.* from (
    select t.tgrelid, p.oid, p.proname, 'trigger', 0 from pg_trigger t join pg_proc p on p.oid = t.tgfoid
      where not t.tgisinternal and p.oid >= 16384
    union all select f.adrelid, called.*, case when to_jsonb(a) ->> 'attgenerated' in ('s', 'v') then 'generated' else 'default' end, f.adnum
      from pg_attrdef f join pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum cross join ${calls('f.adbin')}
    union all select o.polrelid, called.*, 'policy', 0
      from pg_policy o cross join ${calls("concat(o.polqual, ' ', o.polwithcheck)")}
    union all select c.conrelid, called.*, 'check', 0 from pg_constraint c cross join ${calls('c.conbin')}
      where c.contype = 'c' and c.conrelid >= 16384
    union all select i.indrelid, called.*, 'index', 0
      from pg_index i cross join ${calls("concat(i.indexprs, ' ', i.indpred)")}
      where i.indrelid >= 16384
  ) w (relation, function, name, by, attnum)
    join pg_class c on c.oid = w.relation join pg_namespace n on n.oid = c.relnamespace
  where c.relpersistence <> 't' and ${ours}`;

/** oid, language, source text of functions; null for one that is not kept as text, or longer than anybody looks at. */
export function sources(functions: readonly number[]): string {
  return `
  select p.oid, l.lanname, case when length(p.prosrc) <= 30000 and to_jsonb(p) ->> 'prosqlbody' is null then p.prosrc end
  from pg_proc p join pg_language l on l.oid = p.prolang where p.oid in (${functions.join(', ')})`;
}

/** relation, generated column, column it is computed from. PostgreSQL 15 and newer note it at the default, older ones at the column. */
export const generated = `
  select distinct a.attrelid, a.attnum, x.refobjsubid
  from pg_attribute a left join pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
    join pg_depend x on x.refclassid = 'pg_class'::regclass and x.refobjid = a.attrelid and x.refobjsubid > 0
      and (x.classid = 'pg_attrdef'::regclass and x.objid = f.oid
        or x.classid = 'pg_class'::regclass and x.objid = a.attrelid and x.objsubid = a.attnum)
  where to_jsonb(a) ->> 'attgenerated' in ('s', 'v') and x.refobjsubid <> a.attnum`;

const extension = (table: string, oid: string) => `
    (select x.extname from pg_depend d join pg_extension x on x.oid = d.refobjid
      where d.classid = '${table}'::regclass and d.objid = ${oid} and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e')`;

/** oid, schema, name, extension: functions, procedures and aggregates that did not come with the server. */
export const functions = `
  select p.oid, n.nspname, p.proname, ${extension('pg_proc', 'p.oid')}
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where p.oid >= 16384`;

/** oid, schema, name, extension: operators that did not come with the server. */
export const operators = `
  select o.oid, n.nspname, o.oprname, ${extension('pg_operator', 'o.oid')}
  from pg_operator o join pg_namespace n on n.oid = o.oprnamespace
  where o.oid >= 16384`;

/** oid, schema, name, extension: types whose values are made by code of their own: base types, ranges with a canonical form. */
export const codedTypes = `
  select t.oid, n.nspname, t.typname, ${extension('pg_type', 't.oid')}
  from pg_type t join pg_namespace n on n.oid = t.typnamespace
  where t.oid >= 16384 and (t.typtype = 'b' and t.typcategory <> 'A'
    or t.typtype = 'r' and exists (select from pg_range g where g.rngtypid = t.oid and g.rngcanonical >= 16384))`;

/** domain's oid, schema, name; function that a check of its calls, and that function's name. */
export const domainCalls = `
  select distinct t.oid, n.nspname, t.typname, called.oid, called.proname
  from pg_constraint c cross join ${calls('c.conbin')}
    join pg_type t on t.oid = c.contypid join pg_namespace n on n.oid = t.typnamespace
  where c.contype = 'c' and t.oid >= 16384`;

/** function; oid, schema and name of the type that the cast makes with it. Casts that did not come with the server. */
export const casts = `
  select c.castfunc, t.oid, n.nspname, t.typname
  from pg_cast c join pg_type t on t.oid = c.casttarget join pg_namespace n on n.oid = t.typnamespace
  where c.oid >= 16384 and c.castfunc <> 0`;

/** oid, schema and name of a type, and a type that its values hold: base of a domain, element, attribute, bound. */
export const typeParts = `
  select t.oid, n.nspname, t.typname, w.part from (
    select oid, typbasetype from pg_type where typbasetype >= 16384
    union all select oid, typelem from pg_type where typelem >= 16384
    union all select c.reltype, a.atttypid from pg_attribute a join pg_class c on c.oid = a.attrelid
      where a.atttypid >= 16384 and a.attnum > 0 and not a.attisdropped and c.reltype <> 0 and c.relpersistence <> 't'
    union all select rngtypid, rngsubtype from pg_range where rngsubtype >= 16384
  ) w (whole, part) join pg_type t on t.oid = w.whole join pg_namespace n on n.oid = t.typnamespace`;

/** oid, name of every function that came with the server; below, of every relation. */
export const builtinFunctions = 'select oid, proname from pg_proc where oid < 16384';
/** oid of functions that operators and casts of the server's own are made of. */
export const appliedBuiltins = `
  select oprcode::oid from pg_operator where oid < 16384 and oprcode <> 0
  union select castfunc from pg_cast where oid < 16384 and castfunc <> 0`;
export const builtinRelations = 'select oid, relname from pg_class where oid < 16384';

/** Our role, whether it is a superuser, whether it may bypass row security or read everything; the OID of the database. */
export const role = `
  select current_user, r.rolsuper, r.rolbypassrls,
    exists (select from pg_roles g where g.rolname = 'pg_read_all_data' and pg_has_role(g.oid, 'USAGE')),
    (select d.oid from pg_database d where d.datname = current_database())
  from pg_roles r where r.rolname = current_user`;

/** Whether we may read each of these columns: rows of relation, attnum, answer. OIDs and numbers only: nothing to quote. */
export function mayRead(columns: readonly { readonly oid: number; readonly attnum: number }[]): string {
  const values = columns.map(({ oid, attnum }) => `(${oid}::oid, ${attnum}::int2)`).join(', ');
  return `select v.o, v.a, has_column_privilege(v.o, v.a, 'SELECT') from (values ${values}) v(o, a)`;
}

/**
 * One text that changes whenever something above would answer differently. Every row of a catalog carries the transaction
 * that wrote it, so a count and a sum of those notice any addition, change or removal; temporary tables are left out, since every
 * session makes some. VACUUM and ANALYZE overwrite in place and change nothing here.
 */
export const version = `
  select concat_ws('/', ${[
    ['pg_namespace', "oid >= 16384 and nspname not like 'pg\\_%' or nspname = 'public'"],
    ['pg_class', "oid >= 16384 and relpersistence <> 't'"],
    [
      'pg_attribute',
      "attrelid in (select oid from pg_class where oid >= 16384 and relkind in ('r','p','v','m','f','S','c') and relpersistence <> 't')",
    ],
    ['pg_inherits', 'true'],
    ['pg_rewrite', "oid >= 16384 and ev_class in (select oid from pg_class where relpersistence <> 't')"],
    ['pg_attrdef', "adrelid in (select oid from pg_class where relpersistence <> 't')"],
    ['pg_proc', 'oid >= 16384'],
    ['pg_operator', 'oid >= 16384'],
    ['pg_type', "oid >= 16384 and typtype in ('b', 'd', 'r') and typcategory <> 'A'"],
    ['pg_constraint', "contypid <> 0 or contype = 'c'"],
    ['pg_index', 'indrelid >= 16384 and (indexprs is not null or indpred is not null)'],
    ['pg_extension', 'true'],
    ['pg_cast', 'oid >= 16384'],
    ['pg_trigger', 'oid >= 16384'],
    ['pg_policy', 'true'],
  ]
    .map(
      ([table, where]) =>
        `(select count(*) || ':' || coalesce(sum(xmin::text::bigint), 0) from ${table} where ${where})`,
    )
    .join(', ')})`;
