import type { Catalog, CatalogRelation } from '../catalog.ts';
import { changedNames } from '../ddl-objects.ts';
import { exposureOf } from '../exposure.ts';
import { isReshapingTable, reshapes } from '../exposure-kinds.ts';
import type { Hidden } from '../hidden.ts';
import { as, eachNode, type Fields, fieldsOf, listOf, text } from '../node.ts';
import type { Statement } from '../parse.ts';
import { Unsafe } from '../unsafe.ts';
import { Changes } from './changes.ts';
import { innerQuery } from './inner-query.ts';
import { isTemporaryName, Naming } from './naming.ts';
import type { Protections } from './protection.ts';
import { quoted } from './quote.ts';
import { selectList, tableSql } from './replacement.ts';
import type { Rewrite, SessionNames } from './rewrite.ts';
import { type ReadingMask, Rewriting } from './rewriting.ts';
import { noCtes } from './scope.ts';
import { inBytes } from './splices.ts';
import { distinct, maxLength, tooLong, type Views } from './views.ts';
import { Walk } from './walk.ts';

/** What all texts of one caller share. */
export interface Parts {
  readonly catalog: Catalog;
  readonly hidden: Hidden;
  readonly protections: Protections;
  readonly views: Views;
  /** The classifications whose masks are made with a key. */
  readonly keyed: Hidden;
}

/** One text on its way through the rewriting, statement by statement. */
export class TextRewrite {
  readonly #source: string;
  readonly #statements: readonly Statement[];
  readonly #parts: Parts;
  readonly #session: SessionNames;
  readonly #naming: Naming;
  readonly #rewriting: Rewriting;
  readonly #keyedPass: boolean;
  /** Other statements name protected relations without reading their rows. */
  #mentions = false;
  #inlined = 0;
  /** The query that COPY of a table has become. */
  #copied: string | undefined;
  /** Of masks in views that are read by their own queries. */
  readonly #reading: ReadingMask[] = [];

  constructor(source: string, statements: readonly Statement[], parts: Parts, session: SessionNames) {
    this.#source = source;
    this.#statements = statements;
    this.#parts = parts;
    this.#session = session;
    const { catalog, protections } = parts;
    const { searchPath, temporary, created } = session;
    const concerns = (relation: CatalogRelation) => protections.concerns(relation);
    this.#naming = new Naming({ catalog, concerns, searchPath, temporary, created });
    this.#keyedPass = parts.keyed.classifications.size > 0 && this.#shows();
    this.#rewriting = new Rewriting(source, {
      catalog,
      protections,
      naming: this.#naming,
      keyedPass: this.#keyedPass,
      inline: (view, definition) => this.#inline(view, definition),
    });
  }

  run(): Rewrite {
    const several = this.#statements.length > 1;
    for (const { kind, fields } of this.#statements) {
      if (several && (reshapes.has(kind) || isReshapingTable(kind, fields)))
        throw new Unsafe('it changes names beside other statements', 'send the change of the schema by itself');
      this.#statement(kind, fields);
    }
    const result = this.#rewriting.result();
    if (result.length > maxLength) throw tooLong();
    const masked = [...this.#rewriting.reads].sort();
    return {
      outcome: result === this.#source ? 'unchanged' : 'rewritten',
      text: result,
      masked,
      keyedPass: this.#keyedPass,
      touches: this.#mentions || this.#rewriting.protected.size > 0,
      hints: masked.map((label) => `${label} is masked throughout this statement`),
      edits: inBytes(this.#rewriting.splices.sorted, this.#source),
      ...this.#inner(),
      reading: distinct([...this.#rewriting.reading, ...this.#reading]),
    };
  }

  #inner(): { readonly inner?: string } {
    const [statement] = this.#statements;
    if (statement === undefined || this.#statements.length > 1) return {};
    if (this.#copied !== undefined) return { inner: this.#copied };
    const range = innerQuery(statement.kind, statement.fields, this.#rewriting.tokens);
    if (range === undefined) return {};
    const { splices } = this.#rewriting;
    const { start, end, without } = range;
    if (without === undefined) return { inner: splices.applyTo(this.#source, start, end) };
    return {
      inner: splices.applyTo(this.#source, start, without.start) + splices.applyTo(this.#source, without.end, end),
    };
  }

  /** Columns with keyed masks are nothing but plain outputs of it, which the gateway can mask. */
  #shows(): boolean {
    const { catalog, keyed } = this.#parts;
    return exposureOf(this.#statements, catalog, keyed, this.#exposureOptions()).safe;
  }

  #exposureOptions() {
    const created = new Set(this.#naming.made);
    return { preparedChecked: this.#session.preparedChecked === true, created };
  }

  /** The query of a view, rewritten. */
  #inline(view: CatalogRelation, definition: string): string {
    const { text, reading } = this.#parts.views.of(view, definition);
    this.#reading.push(...reading);
    this.#inlined += text.length;
    if (this.#inlined > maxLength) throw tooLong();
    return text;
  }

  // ── kinds of statements ──

  #statement(kind: string, fields: Fields): undefined {
    switch (kind) {
      case 'SelectStmt':
      case 'InsertStmt':
      case 'UpdateStmt':
      case 'DeleteStmt':
      case 'MergeStmt':
        return this.#query(kind, fields, fieldsOf(fieldsOf(fields.intoClause)?.rel));
      case 'ExplainStmt':
      case 'DeclareCursorStmt':
      case 'PrepareStmt':
        return eachNode(fields.query, (inner, innerFields) => this.#statement(inner, innerFields));
      case 'CreateTableAsStmt':
        if (fields.objtype !== 'OBJECT_TABLE' || as('ExecuteStmt', fields.query) !== undefined)
          return this.#other(kind, fields);
        return eachNode(fields.query, (inner, innerFields) =>
          this.#query(inner, innerFields, fieldsOf(fieldsOf(fields.into)?.rel)),
        );
      case 'CopyStmt':
        return this.#copy(fields);
      default:
        return this.#other(kind, fields);
    }
  }

  /** A statement that reads and writes rows; `into`: the table that its rows make. */
  #query(kind: string, fields: Fields, into?: Fields): undefined {
    const walk = new Walk(this.#rewriting);
    const changes = new Changes(walk, fields);
    const before = new Set(this.#rewriting.flows);
    walk.inner(kind, fields, undefined, noCtes, { where: 'a query' });
    const [read] = [...this.#rewriting.flows].filter((label) => !before.has(label));
    if (into !== undefined && !isTemporaryName(into)) changes.writes ??= text(into.relname) ?? 'a table';
    this.#naming.create(into);
    if (read === undefined || changes.writes === undefined) return undefined;
    throw new Unsafe(
      `${read} is masked for you, and masks must neither be written to ${changes.writes} nor decide what is changed there`,
      'leave the column out; read it in a statement of its own, or into a temporary table',
    );
  }

  #copy(fields: Fields): undefined {
    const out = fields.is_from !== true && fields.filename === undefined && fields.is_program !== true;
    if (!out) return this.#other('CopyStmt', fields);
    const relation = fieldsOf(fields.relation);
    if (relation === undefined) return eachNode(fields.query, (kind, inner) => this.#query(kind, inner));
    const named = this.#naming.of(relation);
    if (named.kind === 'harmless') return undefined;
    const protection = this.#parts.protections.of(named.relation);
    if (protection === undefined || named.relation.kind === 'v' || named.relation.kind === 'p') {
      // COPY takes no views and partitioned tables, and says so.
      if (named.schema !== undefined) this.#rewriting.qualify(relation, named.schema);
      return undefined;
    }
    const columns = listOf(fields.attlist).map((item) => text(as('String', item)?.sval) ?? '');
    const list = selectList(protection, false);
    const shown = protection.relation.columns.flatMap(({ name, generated }, index) =>
      columns.length === 0 && generated !== true ? [list[index] ?? quoted(name)] : [],
    );
    for (const name of columns) {
      const index = protection.relation.columns.findIndex((column) => column.name === name);
      shown.push(list[index] ?? quoted(name));
    }
    for (const { column, label } of protection.masks.values())
      if (columns.length === 0 ? column.generated !== true : columns.includes(column.name))
        this.#rewriting.reads.add(label);
    const { start, end } = this.#rewriting.relationWithColumns(relation);
    // COPY of a table leaves out the rows of its children.
    this.#copied = `SELECT ${shown.join(', ')} FROM ONLY ${tableSql(protection)}`;
    this.#rewriting.splices.replace(start, end, `(${this.#copied})`);
    this.#rewriting.protected.add(protection);
  }

  /** Definitions, settings, the session: as they are, if they read nothing that is hidden. */
  #other(kind: string, fields: Fields): undefined {
    const { catalog, hidden } = this.#parts;
    const statement: Statement = { kind, fields, start: 0, end: 0, text: '' };
    const exposure = exposureOf([statement], catalog, hidden, this.#exposureOptions());
    if (!exposure.safe) throw new Unsafe(exposure.reason, exposure.advice);
    this.#mentions ||= exposure.touches;
    for (const relation of changedNames(kind, fields).created) this.#naming.create(relation);
    if (movesPath(kind, fields)) this.#naming.forgetPath();
  }
}

/** What search_path is may be different behind such a statement. */
function movesPath(kind: string, fields: Fields): boolean {
  if (kind === 'DiscardStmt') return true;
  if (kind === 'TransactionStmt') return !keepsSettings.has(String(fields.kind));
  if (kind !== 'VariableSetStmt') return false;
  const name = text(fields.name);
  return name === undefined || pathSettings.has(name.toLowerCase());
}
const keepsSettings: ReadonlySet<string> = new Set([
  'TRANS_STMT_BEGIN',
  'TRANS_STMT_START',
  'TRANS_STMT_SAVEPOINT',
  'TRANS_STMT_RELEASE',
]);
const pathSettings: ReadonlySet<string> = new Set(['search_path', 'role', 'session_authorization']);
