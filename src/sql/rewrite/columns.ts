import type { CodeGuard } from '../exposure-code.ts';
import { type Fields, namesIn } from '../node.ts';
import { nameColumns, Unsafe } from '../unsafe.ts';
import type { Rewriting } from './rewriting.ts';
import { findColumn, findSource, findTable, type Level, type Source, systemColumns } from './scope.ts';

/** What an expression is for. */
export interface Use {
  /** For messages: `WHERE`, `SET`. */
  readonly where: string;
  /** In RETURNING, masked columns of the target are replaced by their masks; anywhere else they must not be. */
  readonly returning?: boolean;
  /** A query whose SELECT list nobody looks at (EXISTS). */
  readonly unread?: boolean;
  /** Nothing takes its name from a column in here: it is an argument or an operand. */
  readonly nameless?: boolean;
  /** What it reads goes to the client and nowhere else. */
  readonly shown?: boolean;
  /** A SELECT list that nobody looks at. */
  readonly ignored?: boolean;
}

/** Some ten milliseconds' worth: a hundred relations and six hundred columns. */
const maxLookups = 60_000;

/** Column references: what they read, and what has to be written in their place. */
export class ColumnReader {
  readonly #rewriting: Rewriting;
  readonly #code: CodeGuard;
  #lookups = 0;

  constructor(rewriting: Rewriting, code: CodeGuard) {
    this.#rewriting = rewriting;
    this.#code = code;
  }

  read(fields: Fields, level: Level, use: Use): undefined {
    for (let at: Level | undefined = level; at !== undefined; at = at.parent) this.#lookups += at.sources.length;
    if (this.#lookups > maxLookups)
      throw new Unsafe('it has too many columns and relations to be followed', 'split it');
    const path = namesIn(fields.fields);
    if (path.length > 2) this.#unqualify(fields, path, level);
    const name = path.at(-1) ?? '';
    const qualifier = path.length > 1 ? path.at(-2) : undefined;
    if (name === '*') return this.#star(fields, qualifier, level, use);
    this.#column(fields, qualifier, name, level, use);
  }

  #column(fields: Fields, qualifier: string | undefined, name: string, level: Level, use: Use): undefined {
    const { sources, certain } = findColumn(qualifier, name, level);
    for (const [index, source] of sources.entries()) {
      source.used.add(name);
      if (source.replacement !== undefined && systemColumns.has(name) && source.columns?.includes(name) !== true)
        source.replacement.systemColumn(name);
      const masked = source.masked.get(name);
      if (source.target !== undefined) {
        if (masked === undefined) continue;
        if (use.returning !== true) throw targetRead(masked.label, use);
        if (index > 0)
          throw new Unsafe(`nobody knows what ${name} in ${use.where} stands for`, 'write its table in front of it');
        return this.#rewriting.maskReference(fields, masked, use.nameless === true);
      }
      if (masked !== undefined) this.#rewriting.read(masked, use);
      else if (source.anywhere === true) this.#rewriting.readSource(source, use);
    }
    // `row.name` calls the function `name` where there is no such column.
    if (qualifier !== undefined && this.#code.isOpaque(name)) {
      const column = sources.length > 0 && sources.every(({ columns }) => columns?.includes(name) === true);
      if (!column) this.#code.function([name]);
    }
    if (certain) return undefined;
    if (qualifier === undefined) {
      const row = findSource(name, level);
      if (row !== undefined) this.#row(row, use);
    }
  }

  /** All columns of a source at once, as a row. */
  #row(source: Source, use: Use): undefined {
    source.replacement?.star();
    if (source.target !== undefined && source.masked.size > 0) {
      throw new Unsafe(
        `${source.alias} in ${use.where} reads whole rows of ${source.target.relation.name}, with its classified columns`,
        nameColumns,
      );
    }
    this.#all(source, use);
  }

  #star(fields: Fields, qualifier: string | undefined, level: Level, use: Use): undefined {
    const found = qualifier === undefined ? undefined : findSource(qualifier, level);
    const own = qualifier === undefined ? level.sources.filter((source) => source.qualifiedOnly !== true) : [];
    const sources = found === undefined ? own : [found];
    if (!this.#rewriting.isBare(fields) || sources.some(({ target }) => target !== undefined)) {
      for (const source of sources) this.#row(source, use);
      return undefined;
    }
    this.#rewriting.star(fields, sources);
    for (const source of sources) {
      source.replacement?.all();
      this.#all(source, use);
    }
  }

  #all(source: Source, use: Use): undefined {
    for (const name of source.columns ?? []) source.used.add(name);
    for (const masked of source.masked.values()) this.#rewriting.read(masked, use);
    if (source.anywhere === true) this.#rewriting.readSource(source, use);
  }

  /** `public.customers.id` names a table, which is none any more. */
  #unqualify(fields: Fields, path: readonly string[], level: Level): undefined {
    const [schema = '', table = ''] = path.slice(-3);
    const source = findTable(schema, table, level);
    if (source?.replacement === undefined) return undefined;
    if (findSource(table, level) !== source || ambiguousIn(source, level)) {
      throw new Unsafe(
        `the gateway cannot tell apart what is called ${table}`,
        'give the relations aliases, and use these in front of columns',
      );
    }
    this.#rewriting.unqualify(fields, path.length);
  }
}

function ambiguousIn(source: Source, level: Level): boolean {
  for (let at: Level | undefined = level; at !== undefined; at = at.parent)
    if (at.sources.includes(source)) return at.sources.filter(({ alias }) => alias === source.alias).length > 1;
  return false;
}

export function targetRead(label: string, { where }: Use): Unsafe {
  return new Unsafe(
    `${label} is hidden from you and must not be used in ${where} of a statement that changes its table`,
    'choose the rows by other columns, such as the primary key',
  );
}
