import type { ClassifiedWords } from './classified-words.ts';
import type { BodyMasker } from './masker.ts';

/** Text that is masked by detectors only while no classified name stands in it. */
export class WatchedText implements BodyMasker {
  readonly #words: ClassifiedWords;
  readonly #text: BodyMasker;

  constructor(words: ClassifiedWords, text: BodyMasker) {
    this.#words = words;
    this.#text = text;
  }

  write(bytes: Buffer): Buffer {
    this.#words.see(bytes);
    return this.#text.write(bytes);
  }

  end(): Buffer {
    return this.#text.end();
  }
}
