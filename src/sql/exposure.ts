import type { Catalog } from './catalog.ts';
import { changedNames } from './ddl-objects.ts';
import { CodeGuard } from './exposure-code.ts';
import { ColumnGuard } from './exposure-columns.ts';
import {
  functionNames,
  isPlainSelect,
  isReshapingTable,
  readsNoRows,
  reshapes,
  transparentDefinitions,
} from './exposure-kinds.ts';
import { Relations } from './exposure-relations.ts';
import { clean, type Hidden, hidesAnything, type Table } from './hidden.ts';
import { operatorsOf } from './implied-code.ts';
import { as, constantText, eachChild, eachNode, type Fields, fieldsOf, listOf, namesIn, text, unwrap } from './node.ts';
import { Outputs } from './outputs.ts';
import type { Statement } from './parse.ts';
import { meaningOf, type Scope, type Source, scopeIn } from './scope.ts';
import { counted, misuse, nameColumns, noCode, shown, Unsafe, type Use, unless, unmaskable, usedBy } from './unsafe.ts';

/**
 * Can this command be run for a caller who may not see certain classifications, given that the gateway masks columns of a reply
 * by table OID and attribute number? `touches`: it reads or changes a relation that holds something hidden, so error details must go.
 */
export type Exposure =
  | { readonly safe: true; readonly touches: boolean }
  | { readonly safe: false; readonly reason: string; readonly advice: string };

export interface ExposureOptions {
  /** EXECUTE may pass: the caller of this function has made sure itself that the prepared statement was found safe. */
  readonly preparedChecked?: boolean;
  /** Relations that this session made in its open transaction (through the gateway), which the catalog cannot know yet. */
  readonly created?: ReadonlySet<string>;
}

/**
 * Conservative: what cannot be followed is unsafe. A hidden column may only be a plain item of the outermost SELECT or RETURNING
 * list, or be written to. Never throws.
 */
export function exposureOf(
  statements: readonly Statement[],
  catalog: Catalog,
  hidden: Hidden,
  options: ExposureOptions = {},
): Exposure {
  if (!hidesAnything(catalog, hidden)) return { safe: true, touches: false };
  const inspector = new Inspector(catalog, hidden, options);
  try {
    for (const { kind, fields } of statements) inspector.command(kind, fields);
    return { safe: true, touches: inspector.touches };
  } catch (error) {
    if (error instanceof Unsafe) return { safe: false, reason: error.message, advice: error.advice };
    return { safe: false, reason: 'the statement is too complex to be followed', advice: 'simplify it or split it' };
  }
}

const noNames: ReadonlySet<string> = new Set();

class Inspector {
  readonly #relations: Relations;
  readonly #code: CodeGuard;
  readonly #columns: ColumnGuard;
  readonly #preparedChecked: boolean;
  #reshaped = false;

  constructor(catalog: Catalog, hidden: Hidden, options: ExposureOptions) {
    this.#relations = new Relations(catalog, hidden, options.created ?? []);
    this.#code = new CodeGuard(catalog);
    this.#columns = new ColumnGuard(this.#code);
    this.#preparedChecked = options.preparedChecked === true;
  }

  get touches(): boolean {
    return this.#relations.touches;
  }

  command(kind: string, fields: Fields): undefined {
    if (this.#reshaped && !readsNoRows.has(kind)) {
      throw new Unsafe('it follows a change of names in the same command', 'send the change of the schema by itself');
    }
    this.#statement(kind, fields, scopeIn(undefined, noNames));
  }

  #statement(kind: string, fields: Fields, root: Scope): undefined {
    switch (kind) {
      case 'SelectStmt':
        return this.#select(fields, root, fields.intoClause === undefined ? shown : usedBy('SELECT INTO'));
      case 'InsertStmt':
      case 'UpdateStmt':
      case 'DeleteStmt':
      case 'MergeStmt':
        return this.#change(kind, fields, root, kind === 'MergeStmt' ? usedBy('MERGE … RETURNING') : shown);
      case 'ExplainStmt':
      case 'DeclareCursorStmt':
      case 'PrepareStmt':
        return eachNode(fields.query, (inner, innerFields) => this.#statement(inner, innerFields, root));
      case 'CopyStmt':
        return this.#copy(fields, root);
      case 'FetchStmt':
        // The cursor was looked at when it was declared; its rows are masked by their origin as any others are.
        this.#relations.touches = true;
        return undefined;
      case 'ExecuteStmt':
        if (!this.#preparedChecked)
          throw new Unsafe('it runs a prepared statement that is not known here', 'run the statement itself');
        this.#relations.touches = true;
        return this.#parts(kind, fields, root, 'an argument of EXECUTE');
      case 'DoStmt':
        throw new Unsafe(
          'it runs a block of code that the gateway cannot see through',
          'send its statements one by one',
        );
      case 'CallStmt':
        throw new Unsafe('it calls a procedure that the gateway cannot see through', noCode);
      default:
        if (readsNoRows.has(kind)) return this.#mention(kind, fields);
        if (transparentDefinitions.has(kind)) return this.#definition(kind, fields, root);
        throw new Unsafe(
          'it installs or runs code, or connects data, that the gateway cannot see through',
          'ask somebody who may see the classified columns to do it',
        );
    }
  }

  // ── queries ──

  #select(fields: Fields, outer: Scope | undefined, use: Use): undefined {
    const ctes = this.#with(fields.withClause, outer);
    const scope = scopeIn(outer, ctes);
    if (fields.op !== 'SETOP_NONE') {
      for (const side of [fields.larg, fields.rarg])
        this.#select(fieldsOf(side) ?? {}, scope, usedBy('a set operation (UNION, INTERSECT, EXCEPT)'));
    }
    for (const item of listOf(fields.fromClause)) this.#from(item, scope);
    const outputs = new Outputs();
    for (const target of listOf(fields.targetList)) this.#output(as('ResTarget', target) ?? {}, scope, use, outputs);
    this.#expression(fields.whereClause, scope, 'WHERE');
    this.#expression(fields.havingClause, scope, 'HAVING');
    this.#expression(fields.valuesLists, scope, use.shown ? 'VALUES' : use.as);
    this.#expression(fields.windowClause, scope, 'a window');
    this.#expression([fields.limitCount, fields.limitOffset], scope, 'LIMIT');
    for (const item of listOf(fields.groupClause)) this.#outputReference(item, scope, outputs, 'GROUP BY');
    for (const item of listOf(fields.sortClause)) {
      const sort = as('SortBy', item) ?? {};
      this.#code.operator(namesIn(sort.useOp));
      this.#outputReference(sort.node, scope, outputs, 'ORDER BY');
    }
    for (const item of listOf(fields.distinctClause)) {
      if (unwrap(item) !== undefined) this.#outputReference(item, scope, outputs, 'DISTINCT ON');
      else if (outputs.masked.size > 0) throw misuse([...outputs.masked.values()][0] ?? '', 'DISTINCT');
    }
    if (fields.intoClause !== undefined) this.#relations.create(fieldsOf(fieldsOf(fields.intoClause)?.rel));
  }

  /** Returns the names that are common table expressions in the statement that the WITH belongs to. */
  #with(clause: unknown, outer: Scope | undefined): ReadonlySet<string> {
    const names = new Set(outer?.ctes);
    const fields = fieldsOf(clause);
    const queries = listOf(fields?.ctes).map((cte) => as('CommonTableExpr', cte) ?? {});
    if (fields?.recursive === true) for (const query of queries) names.add(String(query.ctename));
    for (const query of queries) {
      const scope: Scope = { sources: [], parent: outer, ctes: names };
      eachNode(query.ctequery, (kind, inner) =>
        this.#inner(kind, inner, scope, usedBy('a common table expression (WITH)')),
      );
      names.add(String(query.ctename));
    }
    return names;
  }

  /** A query or a change inside another statement: nobody sees its rows but that one. */
  #inner(kind: string, fields: Fields, scope: Scope, use: Use): undefined {
    if (kind === 'SelectStmt') this.#select(fields, scope, use);
    else if (kind === 'InsertStmt' || kind === 'UpdateStmt' || kind === 'DeleteStmt' || kind === 'MergeStmt')
      this.#change(kind, fields, scope, use);
    else throw new Unsafe('it holds a statement that cannot be followed there', 'send that statement by itself');
  }

  #from(item: unknown, scope: Scope): undefined {
    const node = unwrap(item);
    if (node === undefined) return undefined;
    const [kind, fields] = node;
    const alias = fieldsOf(fields.alias);
    const aliasName = text(alias?.aliasname);
    switch (kind) {
      case 'RangeVar': {
        const table = this.#relations.used(fields, scope.ctes);
        if (table.sensitive && listOf(alias?.colnames).length > 0) {
          throw new Unsafe(
            `it renames the columns of ${table.name}, some of which are classified`,
            `leave out the column list after ${table.name}`,
          );
        }
        scope.sources.push({ alias: aliasName ?? text(fields.relname) ?? '', table });
        return undefined;
      }
      case 'RangeSubselect':
        eachNode(fields.subquery, (inner, innerFields) =>
          this.#inner(inner, innerFields, scope, usedBy('a sub-query')),
        );
        break;
      case 'JoinExpr':
        return this.#join(fields, scope);
      case 'RangeTableSample':
        this.#from(fields.relation, scope);
        return this.#expression([fields.args, fields.repeatable], scope, 'TABLESAMPLE');
      case 'RangeFunction':
      case 'RangeTableFunc':
      case 'JsonTable':
        this.#parts(kind, fields, scope, 'a function in FROM');
        for (const name of functionNames(fields)) scope.sources.push({ alias: name, table: clean(name) });
        break;
      default:
        throw new Unsafe('it reads from something that cannot be followed', nameColumns);
    }
    scope.sources.push({ alias: aliasName ?? '', table: clean(aliasName ?? '') });
  }

  #join(fields: Fields, scope: Scope): undefined {
    const before = scope.sources.length;
    this.#from(fields.larg, scope);
    this.#from(fields.rarg, scope);
    const joined = scope.sources.slice(before);
    const sensitive = joined.find(({ table }) => table.sensitive)?.table;
    if (fields.isNatural === true && sensitive !== undefined) {
      throw new Unsafe(
        `NATURAL JOIN may compare classified columns of ${sensitive.name}`,
        'join with ON or USING on an unclassified column',
      );
    }
    const columns = namesIn(fields.usingClause);
    for (const column of columns) for (const { table } of joined) unless(table.hidden.get(column), 'JOIN … USING');
    for (const name of operatorsOf('JoinExpr', fields)) this.#code.operator(name);
    this.#expression(fields.quals, scope, 'a join condition');
    const usingAlias = text(fieldsOf(fields.join_using_alias)?.aliasname);
    if (usingAlias !== undefined) scope.sources.push({ alias: usingAlias, table: clean(usingAlias, new Set(columns)) });
    const alias = text(fieldsOf(fields.alias)?.aliasname);
    if (alias === undefined) return undefined;
    if (sensitive !== undefined)
      throw new Unsafe(
        `it gives one name to a join that holds classified columns of ${sensitive.name}`,
        `leave out the alias ${alias}`,
      );
    scope.sources.push({ alias, table: clean(alias) });
  }

  /** One item of a SELECT or RETURNING list. */
  #output(target: Fields, scope: Scope, use: Use, outputs: Outputs): undefined {
    const column = as('ColumnRef', target.val);
    const position = outputs.next(target);
    if (column === undefined) return this.#expression(target.val, scope, use.shown ? 'an expression' : use.as);
    const path = namesIn(column.fields);
    this.#columns.spend(scope);
    if (!use.shown) {
      if (!use.counted) this.#columns.used(path, scope, use.as);
      return undefined;
    }
    if (path.at(-1) === '*') {
      outputs.stars = true;
      for (const { table } of this.#columns.starred(path, scope)) {
        for (const [name, hidden] of table.hidden) {
          if (!hidden.maskable) throw unmaskable(hidden, `* of ${table.name}`);
          outputs.masked.set(name, hidden.label);
        }
      }
      return undefined;
    }
    const meaning = meaningOf(path, scope);
    if (meaning.kind !== 'hidden') return this.#columns.used(path, scope, 'the SELECT list');
    if (!meaning.column.maskable) throw unmaskable(meaning.column, 'the SELECT list');
    outputs.masked.set(text(target.name) ?? path.at(-1) ?? '', meaning.column.label);
    outputs.positions.set(position, meaning.column.label);
  }

  /** An item of ORDER BY, GROUP BY or DISTINCT ON: a position in the SELECT list, a name there, or an expression. */
  #outputReference(item: unknown, scope: Scope, outputs: Outputs, where: string): undefined {
    const node = unwrap(item);
    if (node === undefined) return undefined;
    const [kind, fields] = node;
    if (kind === 'GroupingSet' || kind === 'RowExpr') {
      for (const part of listOf(fields.content ?? fields.args)) this.#outputReference(part, scope, outputs, where);
      return undefined;
    }
    if (kind === 'A_Const' && outputs.masked.size > 0) {
      const label = outputs.stars ? [...outputs.masked.values()][0] : outputs.positions.get(Number(constantText(item)));
      if (label !== undefined) throw misuse(label, `${where} position ${constantText(item)}`);
    }
    if (kind === 'ColumnRef') {
      const path = namesIn(fields.fields);
      const label = path.length === 1 ? outputs.masked.get(path[0] ?? '') : undefined;
      if (label !== undefined) throw misuse(label, where);
      if (path.length === 1 && outputs.names.has(path[0] ?? '') && meaningOf(path, scope).kind === 'unknown')
        return undefined;
    }
    this.#expression(item, scope, where);
  }

  // ── changes ──

  #change(kind: string, fields: Fields, outer: Scope, use: Use): undefined {
    const ctes = this.#with(fields.withClause, outer);
    const scope = scopeIn(outer, ctes);
    const relation = fieldsOf(fields.relation) ?? {};
    const table = this.#relations.used(relation, noNames);
    const alias = text(fieldsOf(relation.alias)?.aliasname) ?? text(relation.relname) ?? '';
    scope.sources.push({ alias, table });
    this.#relations.written(table, fields.returningClause !== undefined);
    if (kind === 'InsertStmt') {
      const rows = { sources: [], parent: outer, ctes };
      eachNode(fields.selectStmt, (inner, innerFields) =>
        this.#inner(inner, innerFields, rows, usedBy('INSERT … SELECT')),
      );
      this.#expression(fields.cols, scope, 'a subscript');
      this.#onConflict(
        fieldsOf(fields.onConflictClause),
        { ...scope, sources: [...scope.sources, { alias: 'excluded', table: clean('excluded'), qualifiedOnly: true }] },
        table,
      );
    }
    for (const item of listOf(fields.fromClause ?? fields.usingClause)) this.#from(item, scope);
    if (fields.sourceRelation !== undefined) this.#from(fields.sourceRelation, scope);
    this.#expression(fields.joinCondition, scope, 'the join condition of MERGE');
    this.#expression(fields.mergeWhenClauses, scope, 'MERGE');
    this.#expression(fields.targetList, scope, 'SET');
    this.#expression(fields.whereClause, scope, 'WHERE');
    this.#returning(fieldsOf(fields.returningClause), scope, table, use);
  }

  #onConflict(clause: Fields | undefined, scope: Scope, table: Table): undefined {
    if (clause === undefined) return undefined;
    const infer = fieldsOf(clause.infer);
    for (const item of listOf(infer?.indexElems)) {
      const element = as('IndexElem', item) ?? {};
      unless(table.hidden.get(text(element.name) ?? ''), 'ON CONFLICT');
      this.#expression(element.expr, scope, 'ON CONFLICT');
    }
    this.#expression(infer?.whereClause, scope, 'ON CONFLICT');
    this.#expression(clause.targetList, scope, 'ON CONFLICT DO UPDATE');
    this.#expression(clause.whereClause, scope, 'ON CONFLICT DO UPDATE');
  }

  /** `old` and `new` (PostgreSQL 18) come without the origin that masks go by. */
  #returning(clause: Fields | undefined, outer: Scope, table: Table, use: Use): undefined {
    if (clause === undefined) return undefined;
    const versions: Table = {
      ...table,
      hidden: new Map([...table.hidden].map(([name, { label }]) => [name, { label, maskable: false }])),
    };
    const aliases = listOf(clause.options).map((option) => text(as('ReturningOption', option)?.value) ?? '');
    const sources: Source[] = [...aliases, 'old', 'new'].map((alias) => ({
      alias,
      table: versions,
      qualifiedOnly: true,
    }));
    const named = new Set(outer.sources.map(({ alias }) => alias));
    const scope = { ...outer, sources: [...outer.sources, ...sources.filter(({ alias }) => !named.has(alias))] };
    const outputs = new Outputs();
    for (const target of listOf(clause.exprs)) this.#output(as('ResTarget', target) ?? {}, scope, use, outputs);
  }

  #copy(fields: Fields, root: Scope): undefined {
    if (fields.filename !== undefined || fields.is_program === true) {
      throw new Unsafe(
        'COPY with a file or a program of the server gets at data past the gateway',
        'use COPY … FROM STDIN or TO STDOUT',
      );
    }
    eachNode(fields.query, (kind, inner) => this.#inner(kind, inner, root, usedBy('COPY (…) TO')));
    const relation = fieldsOf(fields.relation);
    if (relation === undefined) return undefined;
    const table = this.#relations.used(relation, noNames);
    if (fields.is_from === true) this.#relations.written(table, false);
    if (fields.is_from === true)
      return this.#expression(fields.whereClause, { ...root, sources: [{ alias: table.name, table }] }, 'COPY … WHERE');
    const columns = listOf(fields.attlist).map((name) => text(as('String', name)?.sval) ?? '');
    for (const [name, hidden] of table.hidden) {
      if (columns.length > 0 && !columns.includes(name)) continue;
      throw new Unsafe(
        `COPY cannot mask ${hidden.label}`,
        `list the unclassified columns after ${table.name}, or use SELECT`,
      );
    }
  }

  // ── definitions ──

  /** Touches the relations that it names, and reads none of their rows. */
  #mention(kind: string, fields: Fields): undefined {
    for (const table of this.#relations.mentioned(kind, fields)) if (kind === 'ClusterStmt') throw this.#orders(table);
  }

  #orders({ name }: Table): Unsafe {
    return new Unsafe(
      `it would put the rows of ${name} into the order of an index, perhaps of classified columns`,
      'ask somebody who may see them to do it',
    );
  }

  #definition(kind: string, fields: Fields, root: Scope): undefined {
    const tables = this.#relations.mentioned(kind, fields);
    for (const item of kind === 'AlterTableStmt' ? listOf(fields.cmds) : [])
      if (as('AlterTableCmd', item)?.subtype === 'AT_ClusterOn' && tables[0] !== undefined)
        throw this.#orders(tables[0]);
    if (reshapes.has(kind) || isReshapingTable(kind, fields)) {
      this.#reshaped = true;
      const schema = kind === 'RenameStmt' && fields.renameType === 'OBJECT_SCHEMA' ? text(fields.subname) : undefined;
      const moved = tables[0] ?? this.#relations.heldBy(schema);
      if (moved !== undefined)
        throw new Unsafe(
          `it renames or moves ${moved.name}, which holds classified columns, or parts of it`,
          'ask somebody who may see them to do it',
        );
    }
    const scope: Scope = { ...root, sources: tables.map((table) => ({ alias: table.name, table })) };
    this.#strings(kind, fields, tables);
    eachChild(kind, fields, (child, inner) => this.#defined(child, inner, scope));
    for (const relation of changedNames(kind, fields).created) this.#relations.create(relation);
  }

  #defined(kind: string, fields: Fields, scope: Scope): undefined {
    if (kind === 'SelectStmt') return this.#select(fields, { ...scope, sources: [] }, usedBy('a definition'));
    if (kind === 'ExecuteStmt')
      throw new Unsafe('it keeps the rows of a prepared statement', 'write the query itself in its place');
    if (kind.endsWith('Stmt')) return this.#statement(kind, fields, scopeIn(undefined, noNames));
    if (kind === 'ColumnRef' || kind === 'FuncCall' || kind === 'A_Expr' || kind === 'SubLink' || kind === 'TypeName') {
      return this.#node(kind, fields, scope, 'a definition');
    }
    eachChild(kind, fields, (child, inner) => this.#defined(child, inner, scope));
  }

  /** Definitions name columns in plain strings: an index on a classified column tells its order and its duplicates. */
  #strings(kind: string, fields: Fields, tables: readonly Table[]): undefined {
    if (tables.length === 0 || kind === 'SelectStmt') return undefined;
    for (const via of ['name', 'sval', 'colname', 'subname']) {
      const name = text(fields[via]);
      if (name !== undefined) for (const table of tables) unless(table.hidden.get(name), 'a definition');
    }
    eachChild(kind, fields, (child, inner) => this.#strings(child, inner, tables));
  }

  // ── expressions ──

  #expression(value: unknown, scope: Scope, where: string): undefined {
    if (value === undefined) return undefined;
    eachNode(value, (kind, fields) => this.#node(kind, fields, scope, where));
  }

  #parts(kind: string, fields: Fields, scope: Scope, where: string): undefined {
    eachChild(kind, fields, (child, inner) => this.#node(child, inner, scope, where));
  }

  #node(kind: string, fields: Fields, scope: Scope, where: string): undefined {
    switch (kind) {
      case 'ColumnRef':
        return this.#columns.used(namesIn(fields.fields), scope, where);
      case 'SelectStmt':
      case 'InsertStmt':
      case 'UpdateStmt':
      case 'DeleteStmt':
      case 'MergeStmt':
        return this.#inner(kind, fields, scope, usedBy('a sub-query'));
      case 'SubLink':
        for (const name of operatorsOf(kind, fields)) this.#code.operator(name);
        this.#expression(fields.testexpr, scope, where);
        return eachNode(fields.subselect, (inner, innerFields) =>
          this.#inner(
            inner,
            innerFields,
            scope,
            fields.subLinkType === 'EXISTS_SUBLINK' && isPlainSelect(innerFields) ? counted : usedBy('a sub-query'),
          ),
        );
      case 'FuncCall':
        this.#code.function(namesIn(fields.funcname));
        return this.#parts(
          kind,
          fields,
          scope,
          where === 'an expression' ? `an argument of ${namesIn(fields.funcname).at(-1)}()` : where,
        );
      case 'A_Expr':
      case 'SortBy':
      case 'CaseExpr':
        for (const name of operatorsOf(kind, fields)) this.#code.operator(name);
        return this.#parts(kind, fields, scope, where);
      case 'A_Indirection':
        for (const name of namesIn(fields.indirection))
          if (name !== '*' && this.#code.isOpaque(name)) this.#code.function([name]);
        return this.#parts(kind, fields, scope, where);
      case 'TypeName':
        this.#code.type(namesIn(fields.names));
        return this.#parts(kind, fields, scope, where);
      default:
        return this.#parts(kind, fields, scope, where);
    }
  }
}
