import { Refusal } from '../../model/errors.ts';
import type { Catalog, CatalogRelation } from '../catalog.ts';
import { changedNames } from '../ddl-objects.ts';
import { exposureOf } from '../exposure.ts';
import { isReshapingTable, reshapes } from '../exposure-kinds.ts';
import { type Hidden, hide, hidesAnything } from '../hidden.ts';
import { as, eachNode, type Fields, fieldsOf, listOf, text } from '../node.ts';
import { parse, type Statement } from '../parse.ts';
import { Unsafe } from '../unsafe.ts';
import { Changes } from './changes.ts';
import { innerQuery } from './inner-query.ts';
import type { MasksOf } from './masks.ts';
import { isTemporaryName, Naming } from './naming.ts';
import { Protections } from './protection.ts';
import { quoted } from './quote.ts';
import { selectList, tableSql } from './replacement.ts';
import { Rewriting } from './rewriting.ts';
import { noCtes } from './scope.ts';
import { inBytes, type Splice } from './splices.ts';
import { Walk } from './walk.ts';

/** What a statement's names mean in the session that runs it. */
export interface SessionNames {
  /** As `current_schemas(true)` has it; undefined: not known, then names that several schemas have must be qualified. */
  readonly searchPath?: readonly string[];
  /** Temporary relations of the session. */
  readonly temporary?: ReadonlySet<string>;
  /** Other relations that the session made and the catalog does not know yet. Masks are not written to them. */
  readonly created?: ReadonlySet<string>;
  /** EXECUTE may pass: what it runs was rewritten when it was prepared. */
  readonly preparedChecked?: boolean;
}

export interface RewriteScope extends SessionNames {
  readonly catalog: Catalog;
  /** The classifications that the caller may not see. */
  readonly hidden: Hidden;
}

export type Rewrite =
  | {
      readonly outcome: 'rewritten' | 'unchanged';
      readonly text: string;
      /** Hidden columns that it reads as masks, as far as one can see; for the record and for people. */
      readonly masked: readonly string[];
      /** Columns with keyed masks stand in the reply as they are: the gateway has to mask them, by their origin. */
      readonly keyedPass: boolean;
      /** It names relations with something hidden in them. */
      readonly touches: boolean;
      readonly hints: readonly string[];
      /** What was changed, in order, at offsets into the UTF-8 of the original text. */
      readonly edits: readonly Splice[];
      /** For a text that is one EXPLAIN, DECLARE, PREPARE, COPY (…), CREATE TABLE AS or SELECT INTO: the query in it, rewritten. */
      readonly inner?: string;
      /** Masks that look at the column, as they stand in the text. */
      readonly reading: readonly ReadingMask[];
    }
  | { readonly outcome: 'refused'; readonly reason: string; readonly advice: string };

/** `expression` is SQL over the columns of `schema.table`. */
export interface ReadingMask {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
  readonly expression: string;
}

/** `rewriteStatement` for many statements of one caller: what is known of relations is worked out once. */
export interface Rewriter {
  rewrite(text: string, statements: readonly Statement[], session?: SessionNames): Rewrite;
}

/**
 * Makes a text harmless: each relation with something hidden in it becomes a sub-select in which hidden columns are masks of the same
 * type, so that whatever the statement does it only ever meets masks. Names in what is put in are qualified; the rest of the text
 * stays as it is. What cannot be done surely is refused. Never throws.
 */
export function rewriteStatement(
  source: string,
  statements: readonly Statement[],
  scope: RewriteScope,
  masksOf: MasksOf,
): Rewrite {
  return createRewriter(scope.catalog, scope.hidden, masksOf).rewrite(source, statements, scope);
}

export function createRewriter(catalog: Catalog, hidden: Hidden, masksOf: MasksOf): Rewriter {
  const parts: Parts = {
    catalog,
    hidden,
    views: new Map(),
    protections: new Protections(catalog, hidden, masksOf),
    keyed: hide(keyedClassifications(catalog, hidden, masksOf)),
  };
  return {
    rewrite(source, statements, session = {}) {
      if (!hidesAnything(catalog, hidden)) return unchanged(source);
      try {
        return new TextRewrite(source, statements, parts, session).run();
      } catch (error) {
        if (error instanceof Unsafe) return { outcome: 'refused', reason: error.message, advice: error.advice };
        if (error instanceof Refusal)
          return { outcome: 'refused', reason: error.message, advice: error.details.advice ?? 'simplify it' };
        return {
          outcome: 'refused',
          reason: 'the statement is too complex to be followed',
          advice: 'simplify it or split it',
        };
      }
    },
  };
}

interface RewrittenView {
  readonly text: string;
  readonly reading: readonly ReadingMask[];
}

interface Parts {
  /** What views that are read by their own queries have become. */
  readonly views: Map<CatalogRelation, RewrittenView>;
  readonly catalog: Catalog;
  readonly hidden: Hidden;
  readonly protections: Protections;
  readonly keyed: Hidden;
}

function unchanged(source: string): Rewrite {
  return {
    outcome: 'unchanged',
    text: source,
    masked: [],
    keyedPass: false,
    touches: false,
    hints: [],
    edits: [],
    reading: [],
  };
}

function keyedClassifications(catalog: Catalog, hidden: Hidden, masksOf: MasksOf): ReadonlySet<string> {
  const keyed = new Set<string>();
  for (const relation of catalog.relations)
    for (const column of relation.columns)
      if (column.classification !== undefined && hidden.classifications.has(column.classification))
        if (masksOf(relation, column)?.keyed === true) keyed.add(column.classification);
  return keyed;
}

/** Views inside views, and how long a statement may become by them. */
const maxViewDepth = 16;
const maxLength = 1 << 19;

class TextRewrite {
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
  #reading = new Map<string, ReadingMask>();

  constructor(source: string, statements: readonly Statement[], parts: Parts, session: SessionNames) {
    this.#source = source;
    this.#statements = statements;
    this.#parts = parts;
    this.#session = session;
    this.#naming = this.#names(session);
    this.#keyedPass = parts.keyed.classifications.size > 0 && this.#shows();
    this.#rewriting = this.#begin(source, this.#naming, this.#keyedPass, 0);
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
    this.#noteReading(this.#rewriting);
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
      reading: [...this.#reading.values()],
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

  #noteReading(rewriting: Rewriting): undefined {
    for (const { relation, masks } of rewriting.protected)
      for (const [column, masked] of masks) {
        if (!masked.mask.reads || rewriting.passes(masked)) continue;
        const { schema, name: table } = relation;
        const expression = masked.mask.sql(quoted(column));
        const one = { schema, table, column, expression };
        this.#reading.set(readingKey(one), one);
      }
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

  #names({ searchPath, temporary, created }: SessionNames = {}): Naming {
    const { catalog, protections } = this.#parts;
    return new Naming({ catalog, concerns: (one) => protections.concerns(one), searchPath, temporary, created });
  }

  #begin(source: string, naming: Naming, keyedPass: boolean, depth: number): Rewriting {
    const { catalog, protections } = this.#parts;
    const inline = (view: CatalogRelation, definition: string) => this.#view(view, definition, depth + 1);
    return new Rewriting(source, { catalog, naming, protections, keyedPass, inline });
  }

  /** A view's own query, rewritten. It came from the server with every name of a relation qualified. */
  #view(view: CatalogRelation, definition: string, depth: number): string {
    let known = this.#parts.views.get(view);
    if (known === undefined) {
      known = this.#rewriteView(view, definition, depth);
      this.#parts.views.set(view, known);
    }
    for (const one of known.reading) this.#reading.set(readingKey(one), one);
    this.#inlined += known.text.length;
    if (this.#inlined > maxLength) throw tooLong();
    return known.text;
  }

  #rewriteView({ name }: CatalogRelation, definition: string, depth: number): RewrittenView {
    if (depth > maxViewDepth)
      throw new Unsafe(`views are nested too deep behind ${name}`, 'read the tables themselves');
    const source = definition.replace(/;\s*$/, '');
    const [statement, ...more] = parse(source);
    if (statement === undefined || statement.kind !== 'SelectStmt' || more.length > 0)
      throw new Unsafe(`the gateway cannot read the definition of ${name}`, 'read the tables themselves');
    const outside = this.#reading;
    this.#reading = new Map();
    const rewriting = this.#begin(source, this.#names(), false, depth);
    new Walk(rewriting).select(statement.fields, undefined, noCtes, { where: 'a view' });
    const result = rewriting.result();
    if (result.length > maxLength) throw tooLong();
    this.#noteReading(rewriting);
    const reading = [...this.#reading.values()];
    this.#reading = outside;
    return { text: result, reading };
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

function readingKey({ schema, table, column }: ReadingMask): string {
  return JSON.stringify([schema, table, column]);
}

function tooLong(): Unsafe {
  return new Unsafe('the statement becomes too long with the views that it reads', 'read the tables themselves');
}
