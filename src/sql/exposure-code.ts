import { builtinOperators } from './builtins.ts';
import type { Catalog } from './catalog.ts';
import { effectOf } from './functions.ts';
import { isOpaqueType } from './implied-code.ts';
import { noCode, Unsafe } from './unsafe.ts';

/** Throws Unsafe for what runs code that may read classified data behind the statement's back. Names as in the syntax tree. */
export class CodeGuard {
  readonly #catalog: Catalog;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** Nobody reviewed a function of this unqualified name. */
  isOpaque(name: string): boolean {
    return this.#catalog.opaqueFunctions.has(name);
  }

  function(name: readonly string[]): undefined {
    const last = name.at(-1) ?? '';
    const opaque =
      (name.at(-2) !== 'pg_catalog' && this.isOpaque(last)) ||
      isOpaqueType(name, this.#catalog.opaqueTypes) ||
      effectOf(name, this.#catalog.trustedFunctions)?.opaque === true;
    if (opaque)
      throw new Unsafe(`${name.join('.')}() may read classified data, and the gateway cannot see through it`, noCode);
  }

  operator(name: readonly string[]): undefined {
    const last = name.at(-1);
    if (last === undefined) return undefined;
    const schema = name.length > 1 ? name.at(-2) : undefined;
    const { trustedOperators, opaqueOperators } = this.#catalog;
    if (schema === 'pg_catalog' && builtinOperators.has(last)) return undefined;
    const known = builtinOperators.has(last) && schema === undefined;
    if (opaqueOperators.has(last) || !(known || trustedOperators.has(last))) {
      throw new Unsafe(
        `the operator ${name.join('.')} may run code that the gateway cannot see through`,
        'use an operator of PostgreSQL itself',
      );
    }
  }

  type(name: readonly string[]): undefined {
    if (isOpaqueType(name, this.#catalog.opaqueTypes)) {
      throw new Unsafe(
        `the type ${name.join('.')} may run code that the gateway cannot see through`,
        'use a type of PostgreSQL itself',
      );
    }
  }
}
