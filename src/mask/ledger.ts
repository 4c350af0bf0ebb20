import type { Hash } from 'node:crypto';
import type { MaskedField } from '../model/event.ts';
import type { Keyed } from './keyed.ts';

/** What was masked in one exchange: how often, and a keyed digest over the originals. Keeps no value; costs nothing until the first. */
export class Ledger {
  readonly #key: Keyed;
  #entries: Map<string, Entry> | undefined;

  constructor(key: Keyed) {
    this.#key = key;
  }

  /** `originals`: the values' bytes in order, each after its length (u32, big endian). Read at once, not kept. */
  masked(field: string, classification: string, method: string, count: number, originals: Buffer): void {
    const name = `${field}\0${classification}\0${method}`;
    this.#entries ??= new Map();
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      // Bound to field and classification, so that digests of equal values in different places say nothing about each other.
      const digest = this.#key.begin().update(`sallyport masked ${JSON.stringify([field, classification])}`);
      entry = { field, classification, method, count: 0, digest };
      this.#entries.set(name, entry);
    }
    entry.count += count;
    entry.digest.update(originals);
  }

  /** Ends the exchange; call once. A digest reads `<key id>:<128 bits, hex>`. */
  fields(): readonly MaskedField[] {
    if (this.#entries === undefined) return none;
    const fields = [...this.#entries.values()].map(({ digest, ...entry }) => ({
      ...entry,
      digest: `${this.#key.keyId}:${this.#key.end(digest).toString('hex', 0, 16)}`,
    }));
    this.#entries = undefined;
    return fields;
  }
}

interface Entry {
  readonly field: string;
  readonly classification: string;
  readonly method: string;
  count: number;
  readonly digest: Hash;
}

const none: readonly MaskedField[] = Object.freeze([]);
