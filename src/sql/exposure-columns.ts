import type { CodeGuard } from './exposure-code.ts';
import { meaningOf, type Scope, type Source, starSources } from './scope.ts';
import { misuse, nameColumns, Unsafe } from './unsafe.ts';

/** Some ten milliseconds' worth: a hundred relations and six hundred columns. */
const maxLookups = 60_000;

/** Column references that are no plain outputs. */
export class ColumnGuard {
  readonly #code: CodeGuard;
  #lookups = 0;

  constructor(code: CodeGuard) {
    this.#code = code;
  }

  /** Looking a name up costs as much as there are things to look in. */
  spend(scope: Scope): undefined {
    for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) this.#lookups += at.sources.length;
    if (this.#lookups > maxLookups)
      throw new Unsafe('it has too many columns and relations to be followed', 'split it');
  }

  /** Throws Unsafe where it reads something hidden, or may. */
  used(path: readonly string[], scope: Scope, where: string): undefined {
    this.spend(scope);
    if (path.at(-1) === '*') {
      for (const { table } of this.starred(path, scope)) {
        const [hidden] = table.hidden.values();
        if (hidden !== undefined) throw new Unsafe(`${path.join('.')} in ${where} reads ${hidden.label}`, nameColumns);
      }
      return undefined;
    }
    const meaning = meaningOf(path, scope);
    const name = path.join('.');
    if (meaning.kind === 'hidden') throw misuse(meaning.column.label, where);
    if (meaning.kind === 'row')
      throw new Unsafe(
        `${name} in ${where} reads whole rows of ${meaning.source.table.name}, with its classified columns`,
        nameColumns,
      );
    if (meaning.kind === 'unknown') {
      const of = meaning.source === undefined ? '' : ` of ${meaning.source.table.name}`;
      throw new Unsafe(
        `${name} in ${where} is not a column${of} that the gateway knows`,
        'check its name; if it is new, try again in a moment',
      );
    }
    // `row.name` calls the function `name` where there is no such column.
    const last = path.at(-1) ?? '';
    if (path.length > 1 && this.#code.isOpaque(last) && !isKnown(path, scope)) this.#code.function([last]);
  }

  /** What `*` stands for. */
  starred(path: readonly string[], scope: Scope): readonly Source[] {
    const sources = starSources(path, scope);
    if (sources.length > 0 || path.length === 1) return sources;
    if (meaningOf(path, scope).kind === 'unknown')
      throw new Unsafe(`nobody knows what ${path.join('.')} stands for`, nameColumns);
    return sources;
  }
}

function isKnown(path: readonly string[], scope: Scope): boolean {
  const sources = starSources([path.at(-2) ?? '', '*'], scope);
  return sources.length > 0 && sources.every(({ table }) => table.certain?.has(path.at(-1) ?? '') === true);
}
