import type { MaskMethod, Obligations } from '../../../model/decision.ts';
import { Refusal } from '../../../model/errors.ts';
import { Generations } from '../../../sql/generations.ts';
import type { Hidden } from '../../../sql/hidden.ts';
import type { Statement } from '../../../sql/parse.ts';
import { masksBy } from '../../../sql/rewrite/masks.ts';
import { createRewriter, type Rewriter, type SessionNames } from '../../../sql/rewrite/rewrite.ts';
import { shapeSafe } from '../../../sql/shape-safe.ts';
import type { TargetCatalog } from '../catalog.ts';
import type { MaskRead, Rewritten } from './rewritten.ts';
import { type Edit, literalsOf, Template } from './template.ts';

/** One decision's way to look at classified columns. Decisions are cached, so these are few. */
interface View {
  readonly hidden: Hidden;
  readonly rewriter: Rewriter;
  readonly known: Generations<Rewritten | Refusal>;
  /** By shape, where no literal matters. */
  readonly shapes: Generations<{ readonly template: Template; readonly like: Rewritten }>;
}

interface Made {
  readonly result: Rewritten | Refusal;
  readonly template?: { readonly key: string; readonly template: Template };
}

/** What unqualified names may mean in a session; the certificate tells whether they do. */
export interface Names {
  /** Relations that the session made, which the catalog does not know; and which of them are surely temporary. */
  readonly created: ReadonlySet<string>;
  readonly temporary: ReadonlySet<string>;
  /** Its search_path, without a schema for what is temporary. */
  readonly schemas: readonly string[];
}

/** Statements as they are sent, for one version of a target's schema; remembered by text and by what is hidden. */
export class Rewrites {
  readonly #catalog: TargetCatalog;
  readonly #parse: (text: string) => readonly Statement[];
  readonly #views = new Map<string, View>();
  /** Decisions are cached and share what they say. */
  readonly #viewOf = new WeakMap<Obligations['masks'], View>();

  /** `parse`: as the statements were parsed that are rewritten. Throws Refusal. */
  constructor(catalog: TargetCatalog, parse: (text: string) => readonly Statement[]) {
    this.#catalog = catalog;
    this.#parse = parse;
  }

  /** Throws nothing. */
  of(
    text: string,
    hidden: Hidden,
    masks: Obligations['masks'],
    { created, temporary, schemas }: Names,
  ): Rewritten | Refusal {
    const view = this.#view(hidden, masks);
    const key = `${schemas.join('\0')}\0\0${text}`;
    const names = { searchPath: schemas, temporary, created: created.difference(temporary) };
    if (created.size > 0) return this.#make(text, view, names).result;
    const known = view.known.get(key);
    if (known !== undefined) return known instanceof Refusal ? again(known) : known;
    const similar = this.#similar(text, view, schemas);
    const { result, template }: Made = similar === undefined ? this.#make(text, view, names) : { result: similar };
    view.known.set(key, result, key.length * 2);
    if (template !== undefined) {
      const shape = `${schemas.join('\0')}\0\0${template.key}`;
      view.shapes.set(shape, { template: template.template, like: result as Rewritten }, shape.length * 2);
    }
    return result;
  }

  /** A text of a shape that was rewritten before. What the server thought of that one holds for this one: they differ in constants alone. */
  #similar(text: string, view: View, schemas: readonly string[]): Rewritten | undefined {
    const shape = literalsOf(text);
    if (shape === undefined) return undefined;
    const found = view.shapes.get(`${schemas.join('\0')}\0\0${shape.key}`);
    const made = found?.template.apply(text, shape.literals);
    return found === undefined || made === undefined ? undefined : { ...found.like, text: made, analysed: made };
  }

  #view(hidden: Hidden, masks: Obligations['masks']): View {
    let view = this.#viewOf.get(masks);
    if (view === undefined || view.hidden !== hidden) {
      view = this.#viewBy(hidden, masks);
      this.#viewOf.set(masks, view);
    }
    return view;
  }

  #viewBy(hidden: Hidden, masks: Obligations['masks']): View {
    const methods = [...hidden.classifications].sort().map((name) => `${name}=${methodOf(masks, name)}`);
    const key = methods.join(',');
    let view = this.#views.get(key);
    if (view === undefined) {
      const rewriter = createRewriter(
        this.#catalog,
        hidden,
        masksBy(this.#catalog, (name) => methodOf(masks, name)),
      );
      view = { hidden, rewriter, known: new Generations(4 << 20), shapes: new Generations(4 << 20) };
      if (this.#views.size >= maxViews) this.#views.clear();
      this.#views.set(key, view);
    }
    return view;
  }

  #make(text: string, { hidden, rewriter }: View, names: SessionNames): Made {
    try {
      const statements = this.#parse(text);
      if (statements.length !== 1)
        return no('several statements in one text, of which one uses hidden columns', 'send them one by one');
      const [statement] = statements;
      if (statement === undefined || notCertified.has(statement.kind))
        return no(
          'it prepares or runs a statement by name, which the server does not analyse',
          'run the statement itself, or prepare it with a Parse message',
        );
      const made = rewriter.rewrite(text, statements, names);
      if (made.outcome === 'refused') return no(made.reason, made.advice);
      const wraps = !analysed.has(statement.kind) || statement.fields.intoClause !== undefined;
      if (wraps && made.inner === undefined)
        return no('the server does not analyse a statement of this kind', 'run the query in it by itself');
      const reads: MaskRead[] = [];
      for (const { schema, table, column, expression } of made.reading) {
        const relation = this.#catalog.named(table).find((one) => one.schema === schema);
        const attnum = relation?.columns.find(({ name }) => name === column)?.attnum;
        if (relation === undefined || attnum === undefined)
          return no(`${table}.${column} is not known`, 'run it again');
        reads.push({
          relation: relation.oid,
          column: attnum,
          question: `SELECT ${expression} FROM ONLY ${quoted(schema)}.${quoted(table)}`,
        });
      }
      const result: Rewritten = {
        text: made.text,
        analysed: wraps ? made.inner! : made.text,
        // Rows of a cursor come with FETCH, described and masked.
        shown: !wraps || statement.kind === 'DeclareCursorStmt',
        hidden,
        version: this.#catalog.version,
        reads,
        certificates: new Map(),
      };
      const template = wraps || !shapeSafe(statements) ? undefined : templateOf(text, made.edits, made.text);
      return { result, ...(template === undefined ? {} : { template }) };
    } catch (error) {
      if (error instanceof Refusal) return { result: error };
      throw error;
    }
  }
}

const maxViews = 32;

/** Statements that the server analyses when they are parsed, as far as the gateway lets them near hidden columns. */
const analysed: ReadonlySet<string> = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);
const notCertified: ReadonlySet<string> = new Set(['PrepareStmt', 'ExecuteStmt']);

function methodOf(masks: Obligations['masks'], classification: string): MaskMethod {
  return masks[classification] ?? 'redact';
}

function no(reason: string, advice: string): Made {
  return { result: new Refusal('MASK_IMPOSSIBLE', reason, { advice }) };
}

function templateOf(text: string, edits: readonly Edit[], rewritten: string): Made['template'] {
  const shape = literalsOf(text);
  const template = shape && Template.of(text, shape.literals, edits);
  if (shape === undefined || template?.apply(text, shape.literals) !== rewritten) return undefined;
  return { key: shape.key, template };
}

/** A refusal that is kept is told afresh: its stack would be another's. */
function again({ kind, message, details }: Refusal): Refusal {
  return new Refusal(kind, message, details);
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
