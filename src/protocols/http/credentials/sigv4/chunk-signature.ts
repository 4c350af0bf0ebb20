import type { Fields } from '../../../../web/message.ts';
import { emptyHash, hmac, scopeText, sha256Hex } from './canonical.ts';
import type { Seed } from './sign.ts';

/** The chain of signatures of a chunked payload: each speaks of the one before it. */
export class ChunkSignatures {
  readonly #seed: Seed;
  #previous: string;

  constructor(seed: Seed) {
    this.#seed = seed;
    this.#previous = seed.signature;
  }

  /** The signature of the next chunk, whose data has this hash. */
  chunk(dataHash: string): string {
    return this.#next('AWS4-HMAC-SHA256-PAYLOAD', [emptyHash, dataHash]);
  }

  /** The signature of the trailing fields, which come last. */
  trailer(fields: Fields): string {
    let text = '';
    for (let index = 0; index < fields.length; index += 2) text += `${fields[index]}:${fields[index + 1]}\n`;
    return this.#next('AWS4-HMAC-SHA256-TRAILER', [sha256Hex(text)]);
  }

  #next(kind: string, hashes: readonly string[]): string {
    const { key, time, scope } = this.#seed;
    this.#previous = hmac(key, [kind, time, scopeText(scope), this.#previous, ...hashes].join('\n')).toString('hex');
    return this.#previous;
  }
}
