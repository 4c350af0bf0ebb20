import { type BodyMasker, nothing } from './masker.ts';

/** Chooses a masker by how the body begins. `begin` grows until one is chosen; `complete` says that it is the whole body, and then one must be. */
export type ChooseMasker = (begin: Buffer, complete: boolean) => BodyMasker | undefined;

export class SniffingMasker implements BodyMasker {
  readonly #choose: ChooseMasker;
  #begin: Buffer = nothing;
  #chosen: BodyMasker | undefined;

  constructor(choose: ChooseMasker) {
    this.#choose = choose;
  }

  write(bytes: Buffer): Buffer {
    if (this.#chosen !== undefined) return this.#chosen.write(bytes);
    this.#begin = Buffer.concat([this.#begin, bytes]);
    this.#chosen = this.#choose(this.#begin, false);
    return this.#chosen === undefined ? nothing : this.#replay(this.#chosen);
  }

  end(): Buffer {
    if (this.#chosen !== undefined) return this.#chosen.end();
    const chosen = this.#choose(this.#begin, true);
    if (chosen === undefined) throw new Error('no masker was chosen for a whole body');
    this.#chosen = chosen;
    return Buffer.concat([this.#replay(chosen), chosen.end()]);
  }

  #replay(chosen: BodyMasker): Buffer {
    const begin = this.#begin;
    this.#begin = nothing;
    return chosen.write(begin);
  }
}

/** Bytes that say enough. */
export const sniffed = 512;

/** Whether JSON in its usual form, an object or an array, begins here; undefined while only blanks have come. */
export function beginsLikeJson(begin: Buffer): boolean | undefined {
  let at = begin[0] === 0xef && begin[1] === 0xbb && begin[2] === 0xbf ? 3 : 0;
  while (at < begin.length && (begin[at]! <= 0x20 || begin[at] === 0x1e)) at += 1;
  if (at >= begin.length || (begin[0] === 0xef && begin.length < 3)) return undefined;
  return begin[at] === 0x7b || begin[at] === 0x5b;
}

/** Whether bytes look like text in a character set that has ASCII in it. */
export function looksLikeText(begin: Buffer): boolean {
  for (let i = 0; i < Math.min(begin.length, sniffed); i++) if (unprintable[begin[i]!] === 1) return false;
  return true;
}

const unprintable = new Uint8Array(256);
unprintable.fill(1, 0, 0x20);
for (const blank of '\t\n\r\f\b\x1b') unprintable[blank.charCodeAt(0)] = 0;
unprintable[0x7f] = 1;

/** Whether the bytes begin as pictures, sounds, films and fonts do. */
export function looksLikeMedia(begin: Buffer): boolean {
  const text = begin.toString('latin1', 0, 16);
  return signatures.test(text);
}

/** PNG, JPEG, GIF, WebP and WAV and AVI, BMP, ICO, TIFF, ISO media (MP4, AVIF, HEIC), Matroska, Ogg, FLAC, MP3, AAC, fonts. */
const signatures =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: signatures are made of them
  /^(?:\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF[\s\S]{4}(?:WEBP|WAVE|AVI )|BM[\s\S]{4}\0\0\0\0|\0\0[\x01\x02]\0|II\*\0|MM\0\*|[\s\S]{4}ftyp|\x1aE\xdf\xa3|OggS|fLaC|ID3|\xff[\xe2-\xfb]|wOF[F2]|\0\x01\0\0|OTTO|ttcf)/;
