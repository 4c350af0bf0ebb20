import { isUtf8 } from 'node:buffer';
import type { Masks } from '../../gateway/protocol.ts';
import { Refusal } from '../../model/errors.ts';
import { Edits } from './edits.ts';
import { integerDigits, jsonContent, jsonMeaning } from './json-text.ts';
import { nothing } from './masker.ts';
import { Spans } from './spans.ts';

/**
 * The values of one piece of JSON text that no rule names, collected while it is read, and shown to the content detectors
 * together: as they stand where text and meaning are the same bytes, and as what they mean where they are not.
 */
export class JsonValues {
  readonly edits = new Edits();
  readonly #masks: Masks;
  /** Strings without escapes, and numbers long enough to be something else. */
  readonly #plain = new Spans();
  readonly #numbers = new Spans();
  /** Where values with another meaning stand in the text. */
  readonly #written = new Spans();
  #meant = nothing;
  readonly #meantSpans = new Spans();
  readonly #plainOffsets = () => this.#plain.offsets;
  readonly #meantOffsets = () => this.#meantSpans.offsets;

  constructor(masks: Masks) {
    this.#masks = masks;
  }

  string(start: number, end: number): void {
    this.#plain.add(start, end);
  }

  /** `start` and `end` are those of the content, between the quotation marks. */
  escapedString(bytes: Buffer, start: number, end: number): void {
    const to = this.#room(end - start);
    this.#note(start, end, to, jsonMeaning(bytes, start, end, this.#meant, to));
  }

  number(bytes: Buffer, start: number, end: number): void {
    if (end - start < shortestNumber) return;
    if (end - start < longestCard + 30) {
      const text = bytes.toString('latin1', start, end);
      const digits = /[.eE]/.test(text) ? integerDigits(text, longestCard) : undefined;
      if (digits !== undefined && digits.length >= shortestNumber) {
        const to = this.#room(digits.length);
        this.#note(start, end, to, to + this.#meant.write(digits, to, 'latin1'));
        return;
      }
    }
    this.#plain.add(start, end);
    this.#numbers.add(start, end);
  }

  /** What of `bytes` may be shown, with the edits made. Overwrites `bytes`. Throws Refusal MASK_IMPOSSIBLE where they are not UTF-8. */
  shown(bytes: Buffer): Buffer {
    if (!isUtf8(bytes)) throw new Refusal('MASK_IMPOSSIBLE', 'the body is not UTF-8, so it cannot be read as JSON');
    if (this.#plain.size > 0 && this.#masks.scrub(bytes, this.#plainOffsets) > 0) this.#mend(bytes);
    if (this.#written.size > 0) this.#scrubMeant(bytes);
    this.#plain.clear();
    this.#numbers.clear();
    return this.edits.empty ? bytes : this.edits.apply(bytes);
  }

  /** A number with stars in it is none any more, so it becomes a string. */
  #mend(bytes: Buffer): void {
    mendUtf8(bytes);
    for (let i = 0; i < this.#numbers.size; i++) {
      const [start, end] = [this.#numbers.start(i), this.#numbers.end(i)];
      const value = bytes.subarray(start, end);
      if (value.includes(0x2a)) this.edits.add(start, end, Buffer.concat([quote, value, quote]));
    }
  }

  #scrubMeant(bytes: Buffer): void {
    const spans = this.#meantSpans;
    const meant = this.#meant.subarray(0, spans.end(spans.size - 1));
    const before = Buffer.from(meant);
    if (this.#masks.scrub(meant, this.#meantOffsets) > 0) {
      for (let i = 0; i < spans.size; i++) {
        const [start, end] = [spans.start(i), spans.end(i)];
        if (before.compare(meant, start, end, start, end) === 0) continue;
        const [from, to] = [this.#written.start(i), this.#written.end(i)];
        const content = jsonContent(meant, start, end);
        this.edits.add(from, to, bytes[from - 1] === 0x22 ? content : Buffer.concat([quote, content, quote]));
      }
    }
    this.#written.clear();
    spans.clear();
    if (this.#meant.length > mostKept) this.#meant = Buffer.alloc(0);
  }

  #note(start: number, end: number, from: number, to: number): void {
    this.#written.add(start, end);
    this.#meantSpans.add(from, to);
  }

  /** Where the next meaning goes: behind the last one and a NUL, with room for `size` bytes. */
  #room(size: number): number {
    const spans = this.#meantSpans;
    const to = spans.size === 0 ? 0 : spans.end(spans.size - 1) + 1;
    if (to + size + 1 > this.#meant.length) {
      const grown = Buffer.alloc(Math.max(this.#meant.length * 2, to + size + 1, 1024));
      this.#meant.copy(grown);
      this.#meant = grown;
    }
    if (to > 0) this.#meant[to - 1] = 0;
    return to;
  }
}

const quote = Buffer.from('"');
/** Nothing shorter than this is found in a number: cards have 13 digits at least and 19 at most. */
const shortestNumber = 12;
const longestCard = 19;
const mostKept = 1024 * 1024;

/** A match that was cut off after so many bytes may leave half a character behind; the other half goes too. */
export function mendUtf8(bytes: Buffer): void {
  if (isUtf8(bytes)) return;
  for (let i = 0; i + 1 < bytes.length; i++) {
    if (bytes[i] === 0x2a && (bytes[i + 1]! & 0xc0) === 0x80) bytes[i + 1] = 0x2a;
  }
}
