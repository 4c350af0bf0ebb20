import { createHash } from 'node:crypto';
import { firstOwnOid } from '../schema.ts';
import { checkCode, NotCertified } from './code.ts';
import { type Level, type Output, type Range, rangesOf } from './levels.ts';
import { sameForm } from './mask-form.ts';
import type { Surroundings } from './surroundings.ts';
import { isList, isNode, type Node, readTree, UnknownTree, type Value } from './tree.ts';
import { atom, items, nodeOf, number } from './values.ts';

/** What the server itself says a statement touches, and that nothing hidden is read in it but as decided. */
export interface Certificate {
  /** OIDs that the statement reads or writes. */
  readonly relations: readonly number[];
  /** OIDs of functions that did not come with the server. */
  readonly functions: readonly number[];
  /** Of the schema it was checked against. */
  readonly catalog: string;
  readonly serverMajor: number;
  /** SHA-256 of the tree as the server printed it, hexadecimal. */
  readonly tree: string;
  /** How many columns of the result are classified, and have to be masked in the reply. */
  readonly carries: number;
  /** It reads tables that only this session knows. */
  readonly strangers: boolean;
}

export type Certification =
  | { readonly ok: true; readonly certificate: Certificate }
  /** `doubtful`: the schema may not be what it was. */
  | { readonly ok: false; readonly reason: string; readonly doubtful: boolean };

export interface CertifyOptions {
  readonly surroundings: Surroundings;
  readonly serverMajor: number;
  /** Relations that the catalog does not have are this session's own. */
  readonly strangers: boolean;
  /** Expressions that may read a hidden column, because they are its mask: as `formOf` writes them. By relation and column. */
  readonly masks?: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * Certifies a statement by the tree that the server made of it, views and rules expanded. A hidden column may only be a plain column of
 * sub-queries and of the outermost output, where its origin lets the gateway mask it, or be read by its own mask. Never throws.
 */
export function certify(text: string, options: CertifyOptions): Certification {
  try {
    const auditor = new Auditor(options);
    for (const query of readTree(text)) auditor.statement(query);
    return {
      ok: true,
      certificate: {
        relations: [...auditor.relations].sort((a, b) => a - b),
        functions: [...auditor.functions].sort((a, b) => a - b),
        catalog: options.surroundings.version,
        serverMajor: options.serverMajor,
        tree: createHash('sha256').update(text).digest('hex'),
        carries: auditor.carries,
        strangers: auditor.strangers,
      },
    };
  } catch (error) {
    if (error instanceof NotCertified) return { ok: false, reason: error.message, doubtful: error.doubtful };
    if (error instanceof UnknownTree) return { ok: false, reason: error.message, doubtful: false };
    return { ok: false, reason: 'the server’s tree is too complex to be followed', doubtful: false };
  }
}

/** What may follow in a query beside its relations, CTEs and lists of outputs: looked through for reads. */
const skipped: ReadonlySet<string> = new Set(['cteList', 'rtable', 'rteperminfos', 'targetList', 'returningList']);

class Auditor {
  readonly relations = new Set<number>();
  readonly functions = new Set<number>();
  carries = 0;
  strangers = false;
  readonly #options: CertifyOptions;
  readonly #surroundings: Surroundings;

  constructor(options: CertifyOptions) {
    this.#options = options;
    this.#surroundings = options.surroundings;
  }

  statement(query: Node): undefined {
    const outputs = this.#query(query, undefined);
    // A rule may add queries, whose rows some clients get too, with no description before them.
    if (atom(query, 'canSetTag') !== 'true' && outputs.some(({ read }) => read !== undefined))
      throw this.#hidden(outputs);
    for (const { read, origin } of outputs) {
      if (read === undefined) continue;
      const [relation, column] = origin;
      if (this.#surroundings.relation(relation)?.maskable.has(column) !== true)
        throw new NotCertified(
          `${this.#name(read.relation)} is read into a column that does not say where it comes from`,
        );
      this.carries += 1;
    }
  }

  #query(query: Node, parent: Level | undefined): readonly Output[] {
    if (atom(query, 'utilityStmt') !== '<>')
      throw new NotCertified('it is a statement that the server does not analyse');
    const ranges = rangesOf(query);
    const level: Level = { parent, ranges, ctes: new Map(), excluded: ranges[excludedIn(query)] };
    for (const cte of items(query, 'cteList')) this.#cte(nodeOf(cte, 'COMMONTABLEEXPR'), level);
    for (const range of level.ranges) this.#range(range, level);
    const changes = atom(query, 'commandType') !== '1';
    const targets = this.#outputs(items(query, 'targetList'), level, changes);
    const returned = this.#outputs(items(query, 'returningList'), level, atom(query, 'commandType') === merge);
    for (const name in query.fields) if (!skipped.has(name)) this.#reads(query.fields[name], level);
    if (isNode(query.fields.setOperations)) for (const range of level.ranges) this.#wholly(range, level);
    if (number(query, 'resultRelation') > 0) this.#written(level.ranges[number(query, 'resultRelation') - 1]);
    for (const range of level.ranges) if (range !== level.excluded) this.#selected(range);
    return changes ? returned : targets;
  }

  #cte(cte: Node, level: Level): undefined {
    const name = atom(cte, 'ctename');
    if (level.ctes.has(name)) throw new NotCertified('two WITH queries have one name');
    const recursive = atom(cte, 'cterecursive') === 'true';
    // What a recursive query reads of itself is what it puts out, which is checked where it is put together.
    level.ctes.set(name, recursive ? [] : undefined);
    const outputs = this.#query(nodeOf(cte.fields.ctequery, 'QUERY'), level);
    if (recursive && outputs.some(({ read }) => read !== undefined)) throw this.#hidden(outputs);
    level.ctes.set(name, outputs);
    this.#reads(cte.fields.search_clause, level);
    this.#reads(cte.fields.cycle_clause, level);
  }

  /** One entry of the range table: what it reads by itself. */
  #range(range: Range, level: Level): undefined {
    this.#reads(range.node.fields.securityQuals, level);
    switch (range.kind) {
      case 'relation':
        this.#reads(range.node.fields.tablesample, level);
        this.#relation(range);
        return undefined;
      case 'subquery':
      case 'cte':
        this.#outputsOf(range, level);
        return undefined;
      case 'join': // Its columns are others’, and count where they are used.
      case 'nothing':
        return undefined;
      case 'computed':
        for (const name of ['functions', 'tablefunc', 'values_lists', 'groupexprs'])
          this.#reads(range.node.fields[name], level);
        return undefined;
    }
  }

  #relation({ relation, relkind }: Range): undefined {
    // Of a view, what it is made of is there too; servers up to 15 list the view besides, and read nothing of it.
    if (relkind === 'v') return undefined;
    this.relations.add(relation);
    if (relkind === 't') throw new NotCertified('it reads the storage of a table directly');
    if (relation < firstOwnOid) {
      if (this.#surroundings.isValueBearing(relation))
        throw new NotCertified('it reads a system table that holds copies of values');
      return undefined;
    }
    const known = this.#surroundings.relation(relation);
    if (known === undefined) {
      if (this.#options.strangers) {
        this.strangers = true;
        return undefined;
      }
      throw new NotCertified('it reads a table that the gateway does not know yet', true);
    }
    if (known.shaped) throw new NotCertified(`hidden values may decide which rows there are in ${known.name}`);
  }

  #written(range: Range | undefined): undefined {
    if (range?.kind !== 'relation') throw new NotCertified('it writes to something that is no table');
    const known = this.#surroundings.relation(range.relation);
    if (range.relkind === 'v') throw new NotCertified('it writes to a view whose rules or triggers do something else');
    if (known?.runsCode === true) throw new NotCertified(`writing to ${known.name} runs code that nobody reviewed`);
  }

  /** What the server says is read of a relation must have been seen. */
  #selected(range: Range): undefined {
    if (range.kind !== 'relation' || range.relkind === 'v') return undefined;
    const hidden = this.#surroundings.relation(range.relation)?.hidden;
    if (hidden === undefined || hidden.size === 0) return undefined;
    for (const bit of range.selected) {
      const column = bit + firstColumnBit;
      if (column === 0) throw new NotCertified(`it reads whole rows of ${this.#name(range.relation)}`);
      if (hidden.has(column) && !range.seen.has(column))
        throw new NotCertified(`it reads ${this.#name(range.relation)} in a way that cannot be followed`);
    }
  }

  /** Outputs of a list of target entries. `used`: they go somewhere else than out. */
  #outputs(entries: readonly Value[], level: Level, used: boolean): readonly Output[] {
    const outputs: Output[] = [];
    for (const item of entries) {
      const entry = nodeOf(item, 'TARGETENTRY');
      const expression = entry.fields.expr;
      const junk = atom(entry, 'resjunk') === 'true';
      const read = isNode(expression) && expression.kind === 'VAR' ? this.#readBy(expression, level) : undefined;
      if (read === undefined) this.#reads(expression, level);
      else if (used || junk || atom(entry, 'ressortgroupref') !== '0') throw this.#hidden([{ read }]);
      if (junk) continue;
      outputs[number(entry, 'resno') - 1] = {
        read,
        origin: [number(entry, 'resorigtbl'), number(entry, 'resorigcol')],
      };
    }
    return outputs;
  }

  /** Throws for whatever reads something hidden in a value. */
  #reads(value: Value | undefined, level: Level): undefined {
    if (value === undefined || typeof value === 'string') return undefined;
    if (isList(value)) {
      for (const item of value) this.#reads(item, level);
      return undefined;
    }
    if (!isNode(value)) return undefined;
    switch (value.kind) {
      case 'VAR': {
        const read = this.#readBy(value, level);
        if (read !== undefined) throw this.#hidden([{ read }]);
        return undefined;
      }
      case 'QUERY': {
        const outputs = this.#query(value, level);
        if (outputs.some(({ read }) => read !== undefined)) throw this.#hidden(outputs);
        return undefined;
      }
      case 'SUBLINK':
        this.#reads(value.fields.testexpr, level);
        // EXISTS only counts rows.
        if (atom(value, 'subLinkType') === '0') this.#query(nodeOf(value.fields.subselect, 'QUERY'), level);
        else this.#reads(value.fields.subselect, level);
        return undefined;
      case 'ALIAS':
        return undefined;
    }
    if (this.#isMask(value, level)) return undefined;
    checkCode(value, this.#surroundings, this.functions);
    for (const name in value.fields) if (name !== 'exclRelTlist') this.#reads(value.fields[name], level);
  }

  /** Something hidden that a Var reads; undefined for everything else. */
  #readBy(variable: Node, from: Level): Output['read'] {
    let level: Level | undefined = from;
    for (let up = number(variable, 'varlevelsup'); up > 0; up--) level = level?.parent;
    const range = level?.ranges[number(variable, 'varno') - 1];
    if (level === undefined || range === undefined)
      throw new NotCertified('it reads something that cannot be followed');
    const column = number(variable, 'varattno');
    if (level.excluded === range) return undefined;
    switch (range.kind) {
      case 'relation': {
        const hidden = this.#surroundings.relation(range.relation)?.hidden;
        if (hidden === undefined || hidden.size === 0 || column < 0) return undefined;
        if (column === 0) throw new NotCertified(`it reads whole rows of ${this.#name(range.relation)}`);
        range.seen.add(column);
        // `old.ssn` in RETURNING (PostgreSQL 18), of which no description is sure to say where it comes from.
        const returning = variable.fields.varreturningtype ?? '0';
        if (hidden.has(column) && returning !== '0')
          throw this.#hidden([{ read: { relation: range.relation, column } }]);
        return hidden.has(column) ? { relation: range.relation, column } : undefined;
      }
      case 'subquery':
      case 'cte': {
        const outputs = this.#outputsOf(range, level);
        if (column === 0 && outputs.some(({ read }) => read !== undefined)) throw this.#hidden(outputs);
        return column > 0 ? outputs[column - 1]?.read : undefined;
      }
      case 'join': {
        const aliases = items(range.node, 'joinaliasvars');
        const meant = column === 0 ? aliases : aliases.slice(column - 1, column);
        if (column < 0 || meant.length === 0) throw new NotCertified('it reads something that cannot be followed');
        const [only] = meant;
        if (column > 0 && isNode(only) && only.kind === 'VAR') return this.#readBy(only, level);
        this.#reads(meant, level);
        return undefined;
      }
      case 'computed':
        return undefined; // Looked through where it stands.
      case 'nothing':
        throw new NotCertified('it reads something that cannot be followed');
    }
  }

  #outputsOf(range: Range, level: Level): readonly Output[] {
    if (range.outputs !== undefined) {
      if (range.outputs === 'busy') throw new NotCertified('it reads something that cannot be followed');
      return range.outputs;
    }
    range.outputs = 'busy';
    if (range.kind === 'subquery') {
      range.outputs = this.#query(nodeOf(range.node.fields.subquery, 'QUERY'), level);
      return range.outputs;
    }
    let at: Level | undefined = level;
    for (let up = number(range.node, 'ctelevelsup'); up > 0; up--) at = at?.parent;
    const outputs = at?.ctes.get(atom(range.node, 'ctename'));
    if (outputs === undefined) throw new NotCertified('it reads a WITH query that cannot be followed');
    range.outputs = outputs;
    return outputs;
  }

  /** A set operation compares and mixes all columns of its parts. */
  #wholly(range: Range, level: Level): undefined {
    if (range.kind !== 'subquery' && range.kind !== 'cte') return undefined;
    const outputs = this.#outputsOf(range, level);
    if (outputs.some(({ read }) => read !== undefined)) throw this.#hidden(outputs);
  }

  #isMask(node: Node, level: Level): boolean {
    const { masks } = this.#options;
    if (masks === undefined || masks.size === 0) return false;
    const found = sameForm(node, masks, (variable) => {
      if (number(variable, 'varlevelsup') !== 0) return undefined;
      const range = level.ranges[number(variable, 'varno') - 1];
      return range?.kind === 'relation' ? range : undefined;
    });
    if (found === undefined) return false;
    found.range.seen.add(found.column);
    checkAll(node, this.#surroundings, this.functions);
    return true;
  }

  #hidden(outputs: readonly Pick<Output, 'read'>[]): NotCertified {
    const read = outputs.find((output) => output.read !== undefined)?.read;
    return new NotCertified(
      `${read === undefined ? 'something' : this.#name(read.relation)} is hidden from you and used where it could not be masked`,
    );
  }

  #name(oid: number): string {
    return this.#surroundings.relation(oid)?.name ?? String(oid);
  }
}

/** CmdType of nodes.h. Of what MERGE returns, no description is sure to say where it comes from. */
const merge = '5';
/** Bit 0 of a set of columns stands for attribute −7 (FirstLowInvalidHeapAttributeNumber). */
const firstColumnBit = -7;

function checkAll(value: Value | undefined, surroundings: Surroundings, functions: Set<number>): undefined {
  if (isList(value)) for (const item of value) checkAll(item, surroundings, functions);
  else if (isNode(value)) {
    checkCode(value, surroundings, functions);
    for (const name in value.fields) checkAll(value.fields[name], surroundings, functions);
  }
}

/** The row that an INSERT proposes and ON CONFLICT may look at: the caller's own values. */
function excludedIn(query: Node): number {
  const conflict = query.fields.onConflict;
  return isNode(conflict) ? number(conflict, 'exclRelIndex') - 1 : -1;
}
