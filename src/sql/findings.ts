import type { Action, Resource } from '../model/command.ts';
import { Refusal } from '../model/errors.ts';
import { builtinOperators } from './builtins.ts';
import { changedNames, objectResources } from './ddl-objects.ts';
import { effectOf } from './functions.ts';
import { isOpaqueType, operatorsOf } from './implied-code.ts';
import type { Names } from './names.ts';
import { as, constantText, eachChild, eachNode, type Fields, fieldsOf, listOf, namesIn, text, unwrap } from './node.ts';
import { type KnowsColumn, restricts } from './restricts.ts';
import { RowCalls } from './row-calls.ts';
import { holdsSecrets, settingEffect } from './settings.ts';
import { ruleFor } from './statements.ts';
import { isForAdministrators, isSystemName, isSystemSchema } from './system-relations.ts';

/** Names that stand for something other than a relation here: common table expressions. */
type Scope = ReadonlySet<string>;
const noNames: Scope = new Set();

/** How relations met in a part of the tree are accessed. */
type Access = 'read' | 'write';

const writing: ReadonlySet<Action> = new Set(['write', 'bulkWrite', 'schemaChange', 'destroy']);

/** Collects what a statement does, by visiting every node of it. */
export class Findings {
  readonly names: Names;
  readonly verbs = new Set<string>();
  readonly actions = new Set<Action>();
  readonly resources = new Map<string, Resource>();
  readonly functions = new Set<string>();
  hasWhere = true;
  forbidden: string | undefined;
  resetsSettings = false;
  changesSearchPath = false;
  changesCatalog = false;
  /** Names of the relations that it makes, without their schemas. */
  readonly created = new Set<string>();
  creates = 0;
  temporaries = 0;
  /** Set while only a plan is made: what would be written is read instead. */
  #planOnly = false;
  /** What `name` stands for in `SELECT set_config(name, …) FROM … WHERE name = '…'`, as pg_dump writes it. */
  #chosenSetting: string | undefined;
  readonly #rowCalls: RowCalls;

  constructor(names: Names) {
    this.names = names;
    this.#rowCalls = new RowCalls(names);
  }

  /** What can only be said when the whole statement was visited. */
  finish(): undefined {
    for (const name of this.#rowCalls.found()) this.#opaque([name]);
  }

  /** A statement, outermost or inside another one. */
  statement(kind: string, fields: Fields, scope: Scope = noNames): undefined {
    const rule = ruleFor(kind, fields);
    if (rule === undefined) throw unsupported(kind);
    if (!this.#planOnly) this.verbs.add(rule.verb);
    for (const action of rule.actions) this.#act(action);
    switch (kind) {
      case 'SelectStmt':
        return this.#select(fields, scope, false);
      case 'InsertStmt':
        return this.#insert(fields, scope);
      case 'UpdateStmt':
      case 'DeleteStmt':
        return this.#change(kind, fields, scope);
      case 'MergeStmt':
        return this.#merge(fields, scope);
      case 'CopyStmt':
        return this.#copy(fields, scope);
      case 'ExplainStmt':
        return this.#explain(fields, scope);
      case 'VariableSetStmt':
        return this.#set(fields);
      case 'TransactionStmt':
        for (const option of listOf(fields.options)) this.#option(as('DefElem', option));
        return undefined;
      case 'DiscardStmt':
        this.resetsSettings = this.changesSearchPath = fields.target === 'DISCARD_ALL';
        return undefined;
      case 'VariableShowStmt':
        this.#shown(text(fields.name));
        return undefined;
      case 'LockStmt':
        return this.#inside(kind, fields, scope, Number(fields.mode) <= 2 ? 'read' : 'write');
      case 'ConstraintsSetStmt':
        // The names in it are those of constraints.
        return undefined;
      case 'CallStmt':
      case 'DoStmt':
        this.changesCatalog = true;
        return this.#inside(kind, fields, scope, 'read');
      case 'DeclareCursorStmt':
      case 'PrepareStmt':
      case 'ExecuteStmt':
      case 'ReturnStmt':
        return this.#inside(kind, fields, scope, 'read');
      default:
        return this.#definition(kind, fields, scope);
    }
  }

  /** Every node inside this one, whatever field it is in. */
  #inside(kind: string, fields: Fields, scope: Scope, access: Access): undefined {
    eachChild(kind, fields, (child, childFields) => this.#node(child, childFields, scope, access));
  }

  #nodes(value: unknown, scope: Scope, access: Access = 'read'): undefined {
    eachNode(value, (kind, fields) => this.#node(kind, fields, scope, access));
  }

  #node(kind: string, fields: Fields, scope: Scope, access: Access): undefined {
    switch (kind) {
      case 'RangeVar':
        return this.#relation(fields, access === 'read' ? scope : noNames, access);
      case 'FuncCall':
        this.#functionNamed(namesIn(fields.funcname), listOf(fields.args));
        return this.#inside(kind, fields, scope, 'read');
      case 'ColumnRef':
        this.#rowCalls.column(namesIn(fields.fields));
        return undefined;
      case 'A_Indirection':
        this.#rowCalls.indirection(fields);
        return this.#inside(kind, fields, scope, 'read');
      case 'TypeName':
        this.#type(namesIn(fields.names));
        return this.#inside(kind, fields, scope, 'read');
      case 'A_Expr':
      case 'SubLink':
      case 'SortBy':
      case 'CaseExpr':
      case 'JoinExpr':
        for (const name of operatorsOf(kind, fields)) this.#operator(name);
        this.#rowCalls.other(fields.alias);
        return this.#inside(kind, fields, scope, access);
      case 'RangeSubselect':
      case 'RangeFunction':
      case 'RangeTableFunc':
      case 'JsonTable':
        this.#rowCalls.other(fields.alias);
        return this.#inside(kind, fields, scope, access);
      case 'LockingClause':
        // SELECT … FOR UPDATE takes locks that writers wait for; the names in it are aliases.
        return this.#act('write');
      case 'Constraint':
      case 'TableLikeClause':
        return this.#inside(kind, fields, scope, 'read');
      case 'SelectStmt':
        if (!this.#planOnly) this.verbs.add('SELECT');
        return this.#select(fields, scope, false);
      default:
        // VariableSetStmt sits in CREATE FUNCTION … SET and ALTER ROLE … SET; other statements in WITH, EXPLAIN, PREPARE, rules and bodies.
        if (kind.endsWith('Stmt')) return this.statement(kind, fields, scope);
        return this.#inside(kind, fields, scope, access);
    }
  }

  /** Visits the WITH clause; returns the scope of the statement that it belongs to. A name hides a table only from where it is visible. */
  #with(clause: unknown, outer: Scope): Scope {
    const fields = fieldsOf(clause);
    if (fields === undefined) return outer;
    const queries = listOf(fields.ctes).map((cte) => as('CommonTableExpr', cte) ?? {});
    const scope = new Set(outer);
    if (fields.recursive === true) for (const query of queries) scope.add(String(query.ctename));
    for (const query of queries) {
      this.#inside('CommonTableExpr', query, scope, 'read');
      scope.add(String(query.ctename));
    }
    return scope;
  }

  #select(fields: Fields, outer: Scope, feedsInsert: boolean): undefined {
    const scope = this.#with(fields.withClause, outer);
    if (!feedsInsert || fields.valuesLists === undefined) this.#act('read');
    const setting = this.#chosenSetting;
    this.#chosenSetting = settingChosen(fields);
    const into = fieldsOf(fields.intoClause);
    if (into !== undefined) {
      this.verbs.add('CREATE TABLE');
      this.#act('schemaChange');
      this.#created(fieldsOf(into.rel));
    }
    for (const via in fields) {
      if (via === 'withClause' || via === 'intoClause') continue;
      const value = fields[via];
      if (via === 'larg' || via === 'rarg') this.#select(value as Fields, scope, feedsInsert);
      else this.#nodes(value, scope);
    }
    this.#columns(fields.targetList, fields.fromClause, scope);
    this.#chosenSetting = setting;
  }

  #insert(fields: Fields, outer: Scope): undefined {
    const scope = this.#with(fields.withClause, outer);
    this.#target(fields);
    const columns = listOf(fields.cols).map((column) => text(as('ResTarget', column)?.name));
    this.#written(fields.relation, columns);
    const select = as('SelectStmt', fields.selectStmt);
    if (select !== undefined) this.#select(select, scope, true);
    this.#rest('InsertStmt', fields, scope, ['withClause', 'relation', 'selectStmt']);
    const conflict = fieldsOf(fields.onConflictClause);
    if (conflict?.action === 'ONCONFLICT_UPDATE') this.#writtenIn(fields.relation, conflict.targetList);
  }

  #change(kind: string, fields: Fields, outer: Scope): undefined {
    const scope = this.#with(fields.withClause, outer);
    const relation = fieldsOf(fields.relation) ?? {};
    const alias = text(fieldsOf(relation.alias)?.aliasname) ?? text(relation.relname) ?? '';
    const restricted = restricts(fields.whereClause, new Set([alias]), this.#columnsKnown(scope));
    if (!restricted && !this.#planOnly) this.hasWhere = false;
    this.#act(restricted ? 'write' : 'bulkWrite');
    this.#target(fields);
    if (kind === 'UpdateStmt') this.#writtenIn(fields.relation, fields.targetList);
    if (listOf(fields.fromClause).length + listOf(fields.usingClause).length > 0) this.#act('read');
    this.#rest(kind, fields, scope, ['withClause', 'relation']);
  }

  #merge(fields: Fields, outer: Scope): undefined {
    const scope = this.#with(fields.withClause, outer);
    const relation = fieldsOf(fields.relation) ?? {};
    const alias = new Set([text(fieldsOf(relation.alias)?.aliasname) ?? text(relation.relname) ?? '']);
    const knows = this.#columnsKnown(scope);
    const joined = restricts(fields.joinCondition, alias, knows);
    for (const item of listOf(fields.mergeWhenClauses)) {
      const when = as('MergeWhenClause', item) ?? {};
      const changes = when.commandType === 'CMD_UPDATE' || when.commandType === 'CMD_DELETE';
      const byJoin = joined && when.matchKind === 'MERGE_WHEN_MATCHED';
      const bulk = changes && !byJoin && !restricts(when.condition, alias, knows);
      if (bulk && !this.#planOnly) this.hasWhere = false;
      this.#act(bulk ? 'bulkWrite' : 'write');
      this.#writtenIn(fields.relation, when.targetList);
    }
    this.#target(fields);
    this.#act('read');
    this.#rest('MergeStmt', fields, scope, ['withClause', 'relation']);
  }

  /** The relation that rows are written to; its name is never a common table expression's. RETURNING reads it as well. */
  #target(fields: Fields): undefined {
    const relation = fieldsOf(fields.relation);
    if (relation === undefined) return undefined;
    this.#relation(relation, noNames, 'write');
    for (const aliasname of ['excluded', 'old', 'new'])
      this.#rowCalls.relation({ ...relation, alias: { aliasname } }, true);
    if (fields.returningClause === undefined) return undefined;
    this.#act('read');
    this.#relation(relation, noNames, 'read');
  }

  #rest(kind: string, fields: Fields, scope: Scope, done: readonly string[]): undefined {
    eachChild(kind, fields, (child, childFields, via) => {
      if (!done.includes(via)) this.#node(child, childFields, scope, 'read');
    });
  }

  #copy(fields: Fields, scope: Scope): undefined {
    const from = fields.is_from === true;
    const relation = fieldsOf(fields.relation);
    if (relation !== undefined) {
      this.#relation(relation, noNames, from ? 'write' : 'read');
      const columns = listOf(fields.attlist).map((name) => text(as('String', name)?.sval));
      if (from) this.#written(relation, columns);
      else
        for (const table of this.#tableIds(relation))
          for (const column of columns.length > 0 ? columns : ['*']) this.#column(table, column, 'read');
    }
    this.#rest('CopyStmt', fields, scope, ['relation']);
  }

  #explain(fields: Fields, scope: Scope): undefined {
    const options = listOf(fields.options).map((option) => as('DefElem', option) ?? {});
    const analyze = options.some(
      (option) => option.defname === 'analyze' && !/^(?:false|off|0|no)$/i.test(constantText(option.arg) ?? 'true'),
    );
    const before = this.#planOnly;
    this.#planOnly ||= !analyze;
    this.#inside('ExplainStmt', fields, scope, 'read');
    this.#planOnly = before;
  }

  #set(fields: Fields): undefined {
    const name = text(fields.name);
    if (name === undefined) {
      // RESET ALL.
      this.resetsSettings = this.changesSearchPath = true;
      return this.#act('session');
    }
    if (fields.kind === 'VAR_SET_MULTI') {
      this.#act('session');
      for (const item of listOf(fields.args)) this.#option(as('DefElem', item));
      return undefined;
    }
    const values = listOf(fields.args).map(constantText);
    this.#setting(name, values.length === 1 ? values[0] : undefined);
  }

  /** A transaction mode: `transaction_read_only`, `transaction_isolation`, … */
  #option(option: Fields | undefined): undefined {
    if (option !== undefined) this.#setting(text(option.defname), constantText(option.arg));
  }

  #setting(name: string | undefined, value: string | undefined): undefined {
    const effect = settingEffect(name, value);
    this.#act(effect.action);
    this.forbidden ??= effect.forbidden;
    if (name === undefined || name.toLowerCase() === 'search_path') this.changesSearchPath = true;
  }

  /** Statements that define things: relations in them are changed, statements in them do what they do. */
  #definition(kind: string, fields: Fields, scope: Scope): undefined {
    for (const item of objectResources(kind, fields)) {
      for (const id of item.type === 'Table' ? this.#qualified(item.names) : [item.names.join('.')]) {
        this.#resource(item.type, id, 'write');
        if (item.type === 'Table') this.#watch(item.names, id, 'write');
      }
    }
    const made = changedNames(kind, fields);
    for (const relation of made.created) this.#created(relation);
    if (made.losesData) this.#act('destroy');
    if (made.administers) this.#act('administer');
    if (made.runsCode) this.#act('execute');
    this.#inside(kind, fields, scope, 'write');
  }

  #created(relation: Fields | undefined): undefined {
    if (relation === undefined) return undefined;
    this.creates += 1;
    const name = text(relation.relname);
    if (name !== undefined && !this.#planOnly) this.created.add(name);
    if (relation.relpersistence === 't' || relation.schemaname === 'pg_temp') this.temporaries += 1;
    this.#relation(relation, noNames, 'write');
  }

  #relation(fields: Fields, scope: Scope, access: Access): undefined {
    const schema = text(fields.schemaname);
    const name = text(fields.relname) ?? '';
    const ours = schema === undefined && scope.has(name);
    this.#rowCalls.relation(fields, !ours);
    if (ours) return undefined;
    for (const id of this.#tableIds(fields)) {
      this.#resource('Table', id, access);
      this.#watch(schema === undefined ? [name] : [schema, name], id, access);
    }
  }

  #tableIds(relation: Fields): readonly string[] {
    const schema = text(relation.schemaname);
    const name = text(relation.relname) ?? '';
    return this.#qualified(schema === undefined ? [name] : [schema, name]);
  }

  #qualified(name: readonly string[]): readonly string[] {
    const last = name.at(-1) ?? '';
    if (name.length > 1) return [`${name.at(-2)}.${last}`];
    const schemas = this.names.schemasOf(last);
    if (schemas.length > 0) return schemas.map((schema) => `${schema}.${last}`);
    return [isSystemName(last) ? `pg_catalog.${last}` : last];
  }

  /** System relations are for administrators to write, and some to read. */
  #watch(name: readonly string[], id: string, access: Access): undefined {
    const last = name.at(-1) ?? '';
    const system = isSystemName(last) || isSystemSchema(id.slice(0, id.indexOf('.')));
    if (!system) return undefined;
    if (isForAdministrators(last)) this.#act('administer', true);
    if (access === 'read') return undefined;
    this.#act('administer', true);
    if (last === 'pg_settings')
      this.forbidden ??= 'writing to pg_settings changes settings that the gateway has to know';
  }

  /** Columns that a SELECT names in its list, where it is plain whose they are. A star is `table.*`. */
  #columns(targets: unknown, from: unknown, scope: Scope): undefined {
    const tables = new Map<string, readonly string[]>();
    for (const item of listOf(from)) this.#aliases(item, scope, tables);
    const only = tables.size === 1 ? [...tables.values()][0] : undefined;
    const seen = new Set<string>();
    for (const target of listOf(targets)) {
      const column = as('ColumnRef', as('ResTarget', target)?.val);
      if (column === undefined) continue;
      const path = namesIn(column.fields);
      const last = path.at(-1) ?? '';
      const written = path.join('.');
      if (seen.has(written)) continue;
      seen.add(written);
      const owners = path.length > 1 ? [tables.get(path.at(-2) ?? '')] : last === '*' ? [...tables.values()] : [only];
      for (const ids of owners) for (const id of ids ?? []) this.#column(id, last, 'read');
    }
  }

  #aliases(item: unknown, scope: Scope, into: Map<string, readonly string[]>): undefined {
    const node = unwrap(item);
    if (node === undefined) return undefined;
    const [kind, fields] = node;
    if (kind === 'JoinExpr') {
      this.#aliases(fields.larg, scope, into);
      this.#aliases(fields.rarg, scope, into);
    } else if (kind === 'RangeTableSample') {
      this.#aliases(fields.relation, scope, into);
    } else {
      const name = text(fieldsOf(fields.alias)?.aliasname) ?? text(fields.relname) ?? '';
      const table = kind === 'RangeVar' && (fields.schemaname !== undefined || !scope.has(String(fields.relname)));
      into.set(name, table ? this.#tableIds(fields) : []);
    }
  }

  #writtenIn(relation: unknown, targets: unknown): undefined {
    this.#written(
      relation,
      listOf(targets).map((target) => text(as('ResTarget', target)?.name)),
    );
  }

  #written(relation: unknown, columns: readonly (string | undefined)[]): undefined {
    for (const id of this.#tableIds(fieldsOf(relation) ?? {}))
      for (const column of columns) this.#column(id, column, 'write');
  }

  #column(table: string, column: string | undefined, access: Access): undefined {
    if (column !== undefined) this.#resource('Column', `${table}.${column}`, access);
  }

  #functionNamed(name: readonly string[], args: readonly unknown[] = []): undefined {
    const full = name.join('.').toLowerCase();
    this.functions.add(full);
    const last = name.at(-1) ?? '';
    if (last === 'set_config') {
      const computed = as('ColumnRef', args[0]);
      const chosen =
        computed !== undefined && namesIn(computed.fields).join('.') === 'name' ? this.#chosenSetting : undefined;
      this.#setting(constantText(args[0]) ?? chosen, constantText(args[1]));
    }
    if (last === 'current_setting') this.#shown(constantText(args[0]));
    // A type's name calls a cast.
    const shadowed = name.length === 1 && (this.#isOpaqueFunction(last) || this.names.opaqueTypes?.has(last) === true);
    const effect = effectOf(name, this.names.trustedFunctions);
    if (effect === undefined && !shadowed) return undefined;
    if (effect?.action !== 'session') this.#resource('Function', full, 'execute');
    if (effect !== undefined) this.#act(effect.action, true);
    if (shadowed) this.#act('execute', true);
  }

  #isOpaqueFunction(name: string): boolean {
    return this.names.opaqueFunctions?.has(name) === true;
  }

  #operator(name: readonly string[]): undefined {
    const last = name.at(-1) ?? '';
    const schema = name.length > 1 ? name.at(-2) : undefined;
    if (schema === 'pg_catalog') return undefined;
    const unknown = schema !== undefined && !builtinOperators.has(last);
    if (unknown || this.names.opaqueOperators?.has(last) === true) this.#act('execute', true);
  }

  #type(name: readonly string[]): undefined {
    if (this.names.opaqueTypes !== undefined && isOpaqueType(name, this.names.opaqueTypes)) this.#act('execute', true);
  }

  /** Code of the database's own runs, without being called as a function. */
  #opaque(name: readonly string[]): undefined {
    this.functions.add(name.join('.'));
    this.#resource('Function', name.join('.'), 'execute');
    this.#act('execute', true);
  }

  /** What a setting says is asked for. Undefined: of one whose name is computed. */
  #shown(name: string | undefined): undefined {
    if (name === undefined || holdsSecrets(name)) this.#act('administer', true);
  }

  #columnsKnown(scope: Scope): KnowsColumn {
    return (relation, column) => {
      const schema = text(relation.schemaname);
      const name = text(relation.relname) ?? '';
      if (schema === undefined && scope.has(name)) return false;
      return this.names.columnsOf?.(schema, name)?.has(column) === true;
    };
  }

  #act(action: Action, whateverPlanned = false): undefined {
    this.actions.add(this.#planOnly && !whateverPlanned && writing.has(action) ? 'read' : action);
  }

  #resource(type: Resource['type'], id: string, access: Resource['access']): undefined {
    const seen = this.#planOnly && access === 'write' ? 'read' : access;
    const key = `${type} ${seen} ${id}`;
    if (!this.resources.has(key)) this.resources.set(key, { type, id, access: seen });
  }
}

/** The one value that the column `name` has in this SELECT: it reads one relation, where `name = '…'`. */
function settingChosen(select: Fields): string | undefined {
  const from = listOf(select.fromClause);
  const where = as('A_Expr', select.whereClause);
  if (from.length !== 1 || as('RangeVar', from[0]) === undefined || where === undefined || where.kind !== 'AEXPR_OP')
    return undefined;
  const column = as('ColumnRef', where.lexpr);
  if (column === undefined || namesIn(where.name).join('.') !== '=' || namesIn(column.fields).join('.') !== 'name')
    return undefined;
  return constantText(where.rexpr);
}

export function unsupported(kind: string): Refusal {
  return new Refusal('UNSUPPORTED', `the gateway does not know this kind of statement (${kind.slice(0, 60)})`);
}
