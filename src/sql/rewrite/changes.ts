import type { CatalogRelation, WrittenCode } from '../catalog.ts';
import { as, eachNode, type Fields, fieldsOf, listOf, namesIn, text } from '../node.ts';
import { nameColumns, Unsafe } from '../unsafe.ts';
import { targetRead, type Use } from './columns.ts';
import { outputColumns } from './output-columns.ts';
import type { MaskedColumn } from './protection.ts';
import { quoted, quotedPath } from './quote.ts';
import { type Ctes, findSource, type Level, levelIn, type Source } from './scope.ts';
import { plainSource, type Walk } from './walk.ts';

/** Statements that change rows. Their target stays the table itself: what they look at in it must not be hidden, what they return is masked. */
export class Changes {
  /** A table that is not temporary is written. */
  writes: string | undefined;
  readonly #walk: Walk;
  readonly #whole: Fields;

  /** `whole`: the statement that is walked, whose RETURNING goes to the client. */
  constructor(walk: Walk, whole: Fields) {
    this.#walk = walk;
    this.#whole = whole;
    walk.change = (kind, fields, outer, ctes) => this.change(kind, fields, outer, ctes);
  }

  change(kind: string, fields: Fields, outer: Level | undefined, outerCtes: Ctes): readonly string[] | undefined {
    const ctes = this.#walk.with(fields.withClause, outer, outerCtes, { where: 'WITH' });
    const relation = fieldsOf(fields.relation) ?? {};
    const { source, candidates } = this.#target(relation);
    this.#written(candidates, relation, fields.returningClause !== undefined);
    const level = levelIn(outer, ctes, [source]);
    if (kind === 'InsertStmt') this.#insert(fields, level, outer, ctes, source);
    else if (kind === 'MergeStmt') this.#merge(fields, level);
    else this.#update(fields, level);
    return this.#returning(fieldsOf(fields.returningClause), level, source, fields, kind);
  }

  #insert(fields: Fields, level: Level, outer: Level | undefined, ctes: Ctes, source: Source): undefined {
    this.#walk.expression(fields.cols, levelIn(outer, ctes), { where: 'INSERT' });
    eachNode(fields.selectStmt, (kind, inner) =>
      this.#walk.inner(kind, inner, outer, ctes, { where: 'INSERT … SELECT' }),
    );
    const clause = fieldsOf(fields.onConflictClause);
    if (clause === undefined) return undefined;
    const { path: _, ...row } = source;
    const excluded: Source = { ...row, alias: 'excluded', qualifiedOnly: true };
    const conflict: Level = { ...level, sources: [source, excluded] };
    const infer = fieldsOf(clause.infer);
    const use = { where: 'ON CONFLICT' };
    for (const item of listOf(infer?.indexElems)) {
      const element = as('IndexElem', item) ?? {};
      const masked = source.masked.get(text(element.name) ?? '');
      if (masked !== undefined) throw targetRead(masked.label, use);
      this.#walk.expression(element.expr, conflict, use);
    }
    this.#walk.expression(infer?.whereClause, conflict, use);
    this.#walk.expression([clause.targetList].flat(), conflict, use);
    this.#walk.expression(clause.whereClause, conflict, use);
  }

  #update(fields: Fields, level: Level): undefined {
    const use = { where: 'WHERE' };
    for (const item of listOf(fields.fromClause ?? fields.usingClause)) this.#walk.from(item, level, use);
    this.#walk.expression(fields.targetList, level, { where: 'SET' });
    this.#walk.expression(fields.whereClause, level, use);
  }

  #merge(fields: Fields, level: Level): undefined {
    const use = { where: 'MERGE' };
    this.#walk.from(fields.sourceRelation, level, use);
    this.#walk.expression(fields.joinCondition, level, use);
    this.#walk.expression(fields.mergeWhenClauses, level, use);
  }

  // ── the target ──

  #target(fields: Fields): { readonly source: Source; readonly candidates: readonly CatalogRelation[] } {
    const { rewriting } = this.#walk;
    const name = text(fields.relname) ?? '';
    const alias = text(fieldsOf(fields.alias)?.aliasname);
    const named = rewriting.naming.of(fields);
    if (!rewriting.naming.isTemporary(fields)) this.writes ??= name;
    if (named.kind === 'harmless')
      return { source: plainSource(alias ?? name, undefined), candidates: named.candidates };
    const { relation, schema } = named;
    if (schema !== undefined) rewriting.qualify(fields, schema);
    const protection = rewriting.protections.of(relation);
    if (protection?.inlined !== undefined) {
      throw new Unsafe(
        `hidden values decide what is in ${relation.name}, so it must not be changed`,
        'change the table that it is made of',
      );
    }
    if (protection !== undefined) rewriting.protected.add(protection);
    const columns = relation.columns.map((column) => column.name);
    const masked = new Map<string, MaskedColumn>(
      [...(protection?.masks ?? [])].filter(([, one]) => !rewriting.passes(one)),
    );
    const source: Source = {
      alias: alias ?? name,
      columns,
      masked,
      table: true,
      ...(alias === undefined ? { path: [relation.schema, name] as const } : {}),
      ...(protection === undefined ? {} : { target: protection }),
      used: new Set(),
    };
    return { source, candidates: [relation] };
  }

  /** Code that runs by itself may put anything into the row that RETURNING shows, and say anything in notices and errors. */
  #written(candidates: readonly CatalogRelation[], relation: Fields, shows: boolean): undefined {
    const name = text(relation.relname) ?? '';
    const codes = candidates.map(({ code }) => code).filter((code): code is WrittenCode => code !== undefined);
    for (const { functions, reads } of codes) {
      const code = functions.slice(0, 3).join(', ');
      const advice = `ask for ${code} to be reviewed, and allowed`;
      if (reads) throw new Unsafe(`writing to ${name} runs ${code}, which may read classified data`, advice);
      if (shows)
        throw new Unsafe(
          `writing to ${name} runs ${code}: nobody knows what RETURNING would show`,
          `leave out RETURNING, or ${advice}`,
        );
    }
  }

  // ── RETURNING ──

  #returning(
    clause: Fields | undefined,
    level: Level,
    target: Source,
    fields: Fields,
    kind: string,
  ): readonly string[] | undefined {
    if (clause === undefined) return undefined;
    const aliases = listOf(clause.options).map((option) => text(as('ReturningOption', option)?.value) ?? '');
    const known = new Set(level.sources.map(({ alias }) => alias));
    const versions = [...new Set([...aliases, 'old', 'new'])]
      .filter((alias) => !known.has(alias))
      .map((alias): Source => ({ ...target, alias, qualifiedOnly: true, table: true, used: new Set() }));
    const shown: Level = { ...level, sources: [...level.sources, ...versions] };
    const use: Use = { where: 'RETURNING', returning: true, shown: fields === this.#whole };
    for (const item of listOf(clause.exprs)) {
      const output = as('ResTarget', item) ?? {};
      const reference = as('ColumnRef', output.val);
      if (reference !== undefined && this.#expanded(reference, shown, target, fields, kind, use)) continue;
      this.#walk.expression([item], shown, use);
    }
    return outputColumns({ targetList: clause.exprs }, shown);
  }

  /** `*` of a table with masked columns is written out. */
  #expanded(reference: Fields, level: Level, target: Source, fields: Fields, kind: string, use: Use): boolean {
    const path = namesIn(reference.fields);
    if (path.at(-1) !== '*') return false;
    const { rewriting } = this.#walk;
    const qualifier = path.at(-2);
    const source = qualifier === undefined ? target : findSource(qualifier, level);
    if (source?.target === undefined || source.masked.size === 0) return false;
    const others =
      qualifier === undefined ? level.sources.filter((one) => one !== source && one.qualifiedOnly !== true) : [];
    const merged = listOf(fields.fromClause ?? fields.usingClause).some((item) => as('JoinExpr', item) !== undefined);
    if (
      path.length > 2 ||
      (others.length > 0 && (merged || kind === 'MergeStmt' || others.some(({ alias }) => alias === '')))
    ) {
      throw new Unsafe(
        `${path.join('.')} in RETURNING holds classified columns that cannot be masked there`,
        nameColumns,
      );
    }
    const prefix = qualifier === undefined && others.length === 0 ? undefined : source.alias;
    const own = source.target.relation.columns.map(({ name }) => {
      const column = prefix === undefined ? quoted(name) : quotedPath(prefix, name);
      const mask = source.masked.get(name)?.mask;
      return mask === undefined ? column : `${mask.sql(column)} AS ${quoted(name)}`;
    });
    for (const other of others) for (const label of other.masked.values()) rewriting.read(label, use);
    const { start, end } = rewriting.columnRange(reference);
    rewriting.splices.replace(start, end, [...own, ...others.map(({ alias }) => `${quoted(alias)}.*`)].join(', '));
    return true;
  }
}
