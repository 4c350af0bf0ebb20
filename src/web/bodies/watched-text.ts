import { type ClassifiedWords, unsearchable } from './classified-words.ts';
import type { BodyMasker } from './masker.ts';

/** Text that is masked by detectors only, while it is UTF-8 (or said to be in another set of characters) and no classified name stands in it. */
export class WatchedText implements BodyMasker {
  readonly #words: ClassifiedWords;
  readonly #text: BodyMasker;
  readonly #decoder: InstanceType<typeof TextDecoder> | undefined;

  constructor(words: ClassifiedWords, text: BodyMasker, charset: string | undefined) {
    this.#words = words;
    this.#text = text;
    this.#decoder =
      charset === undefined || /^utf-?8$/i.test(charset) ? new TextDecoder('utf-8', { fatal: true }) : undefined;
  }

  write(bytes: Buffer): Buffer {
    this.#check(bytes);
    this.#words.see(bytes);
    return this.#text.write(bytes);
  }

  end(): Buffer {
    return this.#text.end();
  }

  #check(bytes: Buffer): void {
    try {
      this.#decoder?.decode(bytes, { stream: true });
    } catch {
      throw unsearchable('it is not UTF-8');
    }
  }
}
