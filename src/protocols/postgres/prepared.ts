import type { Format } from './codec.ts';
import type { Understood } from './understand.ts';

/** A prepared statement (Parse). */
export interface Statement {
  readonly kind: 'statement';
  readonly name: string;
  readonly text: string;
  readonly parameterTypes: readonly number[];
  readonly understood: Understood;
  /** What its meaning depends on beside its text; part of an approval. */
  readonly scope: string | undefined;
  /** Of the schema that it was understood with. */
  readonly version: string;
  /** What the server was given in place of the text; settled before it is sent. */
  instead: string | undefined;
  /** The RowDescription of a Describe, with all formats text. */
  description: Buffer | undefined;
}

/** A bound statement (Bind). */
export interface Portal {
  readonly kind: 'portal';
  readonly name: string;
  readonly statement: Statement;
  readonly parameters: readonly (string | null)[];
  /** Of the parameters: the same bytes mean different values as text and as binary. */
  readonly formats: readonly Format[];
  readonly resultFormats: readonly Format[];
  /** The RowDescription of a Describe, with the formats of its Bind. */
  description: Buffer | undefined;
  /** It has been executed: going on with it needs no new decision. */
  begun: boolean;
}

interface Entry<T> {
  readonly value: T;
  readonly period: number;
}

/**
 * Names as the server knows them. A name means something new from the moment its message is decoded, for the messages behind
 * it in the pipeline; but if the server refuses that message, everything up to the next Sync is skipped and the name keeps its old
 * meaning. So a new meaning is tentative until the server confirms it, and is dropped when the pipeline it came in (its
 * “period”, which a Sync ends) fails. Otherwise a failed Bind could make the gateway take one statement for another.
 */
export class Names<T> {
  readonly #confirmed = new Map<string, T>();
  readonly #tentative = new Map<string, Entry<T>[]>();

  get(name: string): T | undefined {
    return this.#tentative.get(name)?.at(-1)?.value ?? this.#confirmed.get(name);
  }

  propose(name: string, value: T, period: number): void {
    const entries = this.#tentative.get(name);
    if (entries === undefined) this.#tentative.set(name, [{ value, period }]);
    else entries.push({ value, period });
  }

  confirm(name: string, value: T): void {
    const entries = this.#tentative.get(name) ?? [];
    const left = entries.filter((entry) => entry.value !== value);
    if (left.length === 0) this.#tentative.delete(name);
    else this.#tentative.set(name, left);
    this.#confirmed.set(name, value);
  }

  /** The pipeline `period` failed: what it proposed and was not confirmed never happened. */
  fail(period: number): void {
    for (const [name, entries] of this.#tentative) {
      const left = entries.filter((entry) => entry.period !== period);
      if (left.length === 0) this.#tentative.delete(name);
      else this.#tentative.set(name, left);
    }
  }

  /** The server forgot it (Close). Only what is confirmed goes; a later proposal stays. */
  forget(name: string): void {
    this.#confirmed.delete(name);
  }

  forgetAll(): void {
    this.#confirmed.clear();
  }

  sum(size: (value: T) => number): number {
    let total = 0;
    for (const value of this.#confirmed.values()) total += size(value);
    for (const entries of this.#tentative.values()) for (const { value } of entries) total += size(value);
    return total;
  }

  get size(): number {
    return this.#confirmed.size + this.#tentative.size;
  }
}
