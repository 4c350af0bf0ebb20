import { CodeGuard } from '../exposure-code.ts';
import { functionNames, isPlainSelect } from '../exposure-kinds.ts';
import { operatorsOf } from '../implied-code.ts';
import { as, eachChild, eachNode, type Fields, fieldsOf, listOf, namesIn, text, unwrap } from '../node.ts';
import { noCode, Unsafe } from '../unsafe.ts';
import { ColumnReader, type Use } from './columns.ts';
import { keepGrouping } from './grouping.ts';
import type { Named } from './naming.ts';
import { outputColumns } from './output-columns.ts';
import type { MaskedColumn, Protection } from './protection.ts';
import { quoted } from './quote.ts';
import { type Place, Replacement } from './replacement.ts';
import type { Rewriting } from './rewriting.ts';
import { type Ctes, type Level, levelIn, type Source } from './scope.ts';

/** Data-modifying statements inside others are somebody else's job. */
export type ChangeWalk = (
  kind: string,
  fields: Fields,
  outer: Level | undefined,
  ctes: Ctes,
) => readonly string[] | undefined;

const noMasks: ReadonlyMap<string, MaskedColumn> = new Map();

/** Sampling methods of PostgreSQL itself. */
const samplings: ReadonlySet<string> = new Set(['system', 'bernoulli']);

/** Walks queries, and notes what has to be put in place of protected relations. Throws Unsafe. */
export class Walk {
  readonly rewriting: Rewriting;
  readonly columns: ColumnReader;
  readonly code: CodeGuard;
  change: ChangeWalk = () => {
    throw new Unsafe('it holds a statement that cannot be followed there', 'send that statement by itself');
  };

  constructor(rewriting: Rewriting) {
    this.rewriting = rewriting;
    this.code = new CodeGuard(rewriting.catalog);
    this.columns = new ColumnReader(rewriting, this.code);
  }

  /** A query or a change inside another statement. Returns the names of its columns, where they are known. */
  inner(kind: string, fields: Fields, outer: Level | undefined, ctes: Ctes, use: Use): readonly string[] | undefined {
    if (kind === 'SelectStmt') return this.select(fields, outer, ctes, use);
    return this.change(kind, fields, outer, ctes);
  }

  select(fields: Fields, outer: Level | undefined, outerCtes: Ctes, use: Use): readonly string[] | undefined {
    const ctes = this.with(fields.withClause, outer, outerCtes, use);
    const level = levelIn(outer, ctes);
    let columns: readonly string[] | undefined;
    if (fields.op !== 'SETOP_NONE') {
      const all = { ...use, unread: false };
      columns = this.select(fieldsOf(fields.larg) ?? {}, outer, ctes, all);
      this.select(fieldsOf(fields.rarg) ?? {}, outer, ctes, all);
    }
    for (const item of listOf(fields.fromClause)) this.from(item, level, use);
    const inside = { ...use, unread: false };
    this.expression(fields.targetList, level, use.unread === true ? { ...inside, ignored: true } : inside);
    const others = [fields.whereClause, fields.valuesLists, fields.limitCount, fields.limitOffset, fields.havingClause];
    const clauses = [fields.groupClause, fields.windowClause, fields.sortClause, fields.distinctClause];
    for (const value of [...others, ...clauses]) this.expression(value, level, inside);
    keepGrouping(fields, level, this.rewriting);
    if (fields.op === 'SETOP_NONE') columns = outputColumns(fields, level);
    return columns;
  }

  /** What the names of a statement's own WITH queries add to those that are there already. */
  with(clause: unknown, outer: Level | undefined, outerCtes: Ctes, use: Use): Ctes {
    const fields = fieldsOf(clause);
    if (fields === undefined) return outerCtes;
    let ctes = new Map(outerCtes);
    const queries = listOf(fields.ctes).map((cte) => as('CommonTableExpr', cte) ?? {});
    if (fields.recursive === true) for (const { ctename } of queries) ctes.set(String(ctename), undefined);
    for (const query of queries) {
      // A query sees those before it, or all of them when the WITH is recursive; later ones do not change what it saw.
      const seen = ctes;
      let columns: readonly string[] | undefined;
      eachNode(query.ctequery, (kind, inner) => {
        columns = this.inner(kind, inner, outer, seen, { ...use, unread: false });
      });
      const renamed = namesIn(query.aliascolnames);
      ctes = new Map(ctes);
      const more = query.search_clause !== undefined || query.cycle_clause !== undefined;
      ctes.set(String(query.ctename), more ? undefined : renamedColumns(columns, renamed));
    }
    return ctes;
  }

  // ── FROM ──

  from(item: unknown, level: Level, use: Use): undefined {
    const node = unwrap(item);
    if (node === undefined) return undefined;
    const [kind, fields] = node;
    switch (kind) {
      case 'RangeVar':
        level.sources.push(this.#relation(fields, level));
        return undefined;
      case 'RangeTableSample':
        this.#sample(fields, level, use);
        return undefined;
      case 'RangeSubselect': {
        const alias = fieldsOf(fields.alias);
        const outer = fields.lateral === true ? level : level.parent;
        let columns: readonly string[] | undefined;
        eachNode(fields.subquery, (inner, innerFields) => {
          columns = this.inner(inner, innerFields, outer, level.ctes, { ...use, unread: false });
        });
        const known = renamedColumns(columns, namesIn(alias?.colnames));
        level.sources.push(plainSource(text(alias?.aliasname) ?? '', known));
        return undefined;
      }
      case 'JoinExpr':
        return this.#join(fields, level, use);
      case 'RangeFunction':
      case 'RangeTableFunc':
      case 'JsonTable': {
        this.#parts(kind, fields, level, use);
        const alias = fieldsOf(fields.alias);
        const names = alias === undefined ? functionNames(fields) : [text(alias.aliasname) ?? ''];
        for (const name of names) level.sources.push(plainSource(name, undefined));
        return undefined;
      }
      default:
        throw new Unsafe('it reads from something that cannot be followed', 'name tables and columns plainly');
    }
  }

  #relation(fields: Fields, level: Level, sample?: Place['sample']): Source {
    const schema = text(fields.schemaname);
    const name = text(fields.relname) ?? '';
    const alias = fieldsOf(fields.alias);
    const aliasName = text(alias?.aliasname) ?? name;
    const renames = namesIn(alias?.colnames);
    if (schema === undefined && level.ctes.has(name))
      return plainSource(aliasName, renamedColumns(level.ctes.get(name), renames));
    const named = this.rewriting.naming.of(fields);
    const path = alias === undefined ? pathOf(named, schema, name) : undefined;
    const protection = named.kind === 'certain' ? this.rewriting.protections.of(named.relation) : undefined;
    if (protection === undefined) {
      if (named.kind === 'certain' && named.schema !== undefined) this.rewriting.qualify(fields, named.schema);
      const columns = named.kind === 'certain' ? named.relation.columns.map((column) => column.name) : undefined;
      const source = plainSource(aliasName, renamedColumns(columns, renames));
      return { ...source, table: true, ...(path === undefined ? {} : { path }) };
    }
    const used = new Set<string>();
    const replacement = this.#replace(fields, protection, used, sample);
    const columns = protection.relation.columns.map((column) => column.name);
    const shown = renamedColumns(columns, renames) ?? columns;
    const masked = new Map<string, MaskedColumn>();
    for (const [index, column] of columns.entries()) {
      const mask = protection.masks.get(column);
      if (mask !== undefined && !this.rewriting.passes(mask)) masked.set(shown[index] ?? column, mask);
    }
    return {
      alias: aliasName,
      columns: shown,
      masked,
      // Anything that a rewritten view shows may come from masks.
      ...(protection.inlined === undefined ? {} : { anywhere: true }),
      ...(path === undefined ? {} : { path }),
      table: true,
      replacement,
      used,
    };
  }

  #replace(fields: Fields, protection: Protection, used: Set<string>, sample?: Place['sample']): Replacement {
    const alias = fieldsOf(fields.alias);
    const range = this.rewriting.relationRange(fields);
    const written = [quoted(text(alias?.aliasname) ?? protection.relation.name)];
    const renames = namesIn(alias?.colnames).map(quoted);
    if (renames.length > 0) written.push(`(${renames.join(', ')})`);
    const place: Place = {
      ...range,
      only: fields.inh !== true,
      renamed: renames.length > 0,
      ...(alias === undefined || sample !== undefined ? { alias: written.join(' ') } : {}),
      ...(sample === undefined ? {} : { sample }),
    };
    const inlined =
      protection.inlined === undefined ? undefined : this.rewriting.inline(protection.relation, protection.inlined);
    const replacement = new Replacement(protection, place, used, inlined);
    this.rewriting.replacements.push(replacement);
    this.rewriting.protected.add(protection);
    return replacement;
  }

  #sample(fields: Fields, level: Level, use: Use): undefined {
    const relation = as('RangeVar', fields.relation) ?? {};
    const method = namesIn(fields.method);
    if (method.length > 1 || !samplings.has(method[0] ?? '') || this.code.isOpaque(method[0] ?? ''))
      this.code.function(method);
    const constant = [fields.args, fields.repeatable];
    this.expression(constant, levelIn(level.parent, level.ctes), use);
    const sample = this.rewriting.sampleRange(relation, fields);
    level.sources.push(this.#relation(relation, level, sample));
  }

  #join(fields: Fields, level: Level, use: Use): undefined {
    const before = level.sources.length;
    this.from(fields.larg, level, use);
    this.from(fields.rarg, level, use);
    const joined = level.sources.slice(before);
    for (const name of operatorsOf('JoinExpr', fields)) this.code.operator(name);
    const shared = namesIn(fields.usingClause);
    for (const source of joined) {
      if (fields.isNatural === true || shared.length > 0) source.merged = true;
      if (fields.isNatural === true) {
        source.replacement?.star();
        for (const mask of source.masked.values()) this.rewriting.read(mask, use);
      }
      for (const name of shared) {
        source.used.add(name);
        const mask = source.masked.get(name);
        if (mask !== undefined) this.rewriting.read(mask, use);
      }
    }
    // A join condition sees the two sides, and what is around the query.
    this.expression(fields.quals, { ...level, sources: joined }, use);
    const usingAlias = text(fieldsOf(fields.join_using_alias)?.aliasname);
    if (usingAlias !== undefined) level.sources.push({ ...plainSource(usingAlias, shared), qualifiedOnly: true });
    const alias = fieldsOf(fields.alias);
    if (alias === undefined) return undefined;
    // Behind its own name, the names of the sides are gone.
    level.sources.splice(before, joined.length);
    for (const source of joined) source.replacement?.star();
    const masked = new Map(joined.flatMap((source) => [...source.masked]));
    const source = plainSource(text(alias.aliasname) ?? '', undefined);
    level.sources.push({ ...source, masked, anywhere: masked.size > 0 && listOf(alias.colnames).length > 0 });
  }

  // ── expressions ──

  expression(value: unknown, level: Level, use: Use): undefined {
    if (value === undefined) return undefined;
    eachNode(value, (kind, fields) => this.#node(kind, fields, level, use));
  }

  #parts(kind: string, fields: Fields, level: Level, use: Use): undefined {
    eachChild(kind, fields, (child, inner) => this.#node(child, inner, level, use));
  }

  #node(kind: string, fields: Fields, level: Level, use: Use): undefined {
    switch (kind) {
      case 'ColumnRef':
        return this.columns.read(fields, level, use);
      case 'ResTarget': {
        const column = fields.name === undefined ? as('ColumnRef', fields.val) : undefined;
        if (column !== undefined) this.rewriting.bareOutput(column);
        return this.#parts(kind, fields, level, { ...use, nameless: fields.name !== undefined });
      }
      case 'RangeVar':
        throw new Unsafe('it names a relation where that cannot be followed', 'name tables in FROM only');
      case 'SelectStmt':
      case 'InsertStmt':
      case 'UpdateStmt':
      case 'DeleteStmt':
      case 'MergeStmt':
        this.inner(kind, fields, level, level.ctes, use);
        return undefined;
      case 'SubLink':
        return this.#subLink(fields, level, use);
      case 'FuncCall':
        this.code.function(namesIn(fields.funcname));
        if (namesIn(fields.funcname).at(-1) === 'set_config') this.rewriting.naming.forgetPath();
        return this.#parts(kind, fields, level, { ...use, nameless: true });
      case 'BoolExpr':
      case 'NullTest':
      case 'CoalesceExpr':
        return this.#parts(kind, fields, level, { ...use, nameless: true });
      case 'A_Expr':
        for (const name of operatorsOf(kind, fields)) this.code.operator(name);
        return this.#parts(kind, fields, level, { ...use, nameless: true });
      case 'SortBy':
      case 'CaseExpr':
        for (const name of operatorsOf(kind, fields)) this.code.operator(name);
        return this.#parts(kind, fields, level, use);
      case 'A_Indirection':
        for (const name of namesIn(fields.indirection))
          if (name !== '*' && this.code.isOpaque(name)) this.code.function([name]);
        return this.#parts(kind, fields, level, use);
      case 'TypeName':
        this.code.type(namesIn(fields.names));
        return this.#parts(kind, fields, level, use);
      case 'CurrentOfExpr':
        return undefined;
      default:
        if (kind.endsWith('Stmt')) throw new Unsafe('it holds a statement that cannot be followed there', noCode);
        return this.#parts(kind, fields, level, use);
    }
  }

  #subLink(fields: Fields, level: Level, use: Use): undefined {
    for (const name of operatorsOf('SubLink', fields)) this.code.operator(name);
    this.expression(fields.testexpr, level, use);
    eachNode(fields.subselect, (kind, inner) => {
      // EXISTS asks for rows: what its SELECT list reads makes no difference.
      const unread = fields.subLinkType === 'EXISTS_SUBLINK' && kind === 'SelectStmt' && isPlainSelect(inner);
      this.inner(kind, inner, level, level.ctes, { ...use, unread });
    });
  }
}

export function plainSource(alias: string, columns: readonly string[] | undefined): Source {
  return { alias, columns, masked: noMasks, used: new Set() };
}

/** A list of new names takes the place of as many columns; the rest keep theirs. */
export function renamedColumns(
  columns: readonly string[] | undefined,
  renames: readonly string[],
): readonly string[] | undefined {
  if (renames.length === 0) return columns;
  return columns === undefined ? undefined : [...renames, ...columns.slice(renames.length)];
}

function pathOf(named: Named, schema: string | undefined, name: string): readonly [string, string] | undefined {
  if (named.kind === 'certain') return [named.relation.schema, name];
  return schema === undefined ? undefined : [schema, name];
}
