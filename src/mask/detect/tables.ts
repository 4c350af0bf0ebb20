import { anyCase, trigrams } from './candidates.ts';

export interface NibbleTables {
  /** Buckets (bits) that allow a byte with this low nibble, and with this high nibble. */
  readonly low: readonly number[];
  readonly high: readonly number[];
}

/** For the first, second and third byte of a trigram. A bucket's set becomes low nibbles × high nibbles: a superset of it. */
export function bucketTables(): readonly [NibbleTables, NibbleTables, NibbleTables] {
  const position = (index: 0 | 1 | 2): NibbleTables => {
    const low = Array.from({ length: 16 }, () => 0);
    const high = Array.from({ length: 16 }, () => 0);
    trigrams.forEach((trigram, bucket) => {
      const set = anyCase.has(bucket) ? trigram[index].toLowerCase() + trigram[index].toUpperCase() : trigram[index];
      for (const character of set) {
        const byte = character.charCodeAt(0);
        low[byte & 15]! |= 1 << bucket;
        high[byte >> 4]! |= 1 << bucket;
      }
    });
    return { low, high };
  };
  return [position(0), position(1), position(2)];
}
