import { isUtf8 } from 'node:buffer';
import { Refusal } from '../../model/errors.ts';
import { jsonContent, jsonMeaning, unitLength } from './json-text.ts';
import { mendUtf8 } from './json-values.ts';
import { type MaskerContext, nothing } from './masker.ts';

export interface BlockSizes {
  /** Shown at a time. */
  readonly block: number;
  /** Looked at behind what is shown, so that whatever begins in it is seen to its end. */
  readonly ahead: number;
  /** Looked at before it, for what a finding may need in front. */
  readonly behind: number;
}

const blockSizes: BlockSizes = { block: 65_536, ahead: 4096 + 64, behind: 1024 };

/**
 * One value too long to hold, of text (`raw`) or of a JSON string's content (`json`, in whole escapes): shown block by block, each
 * searched together with what stands around it, so that whatever detectors find within 4 KiB is found and never shown in part.
 * Blocks are the same however the bytes arrive. What stands near their ends is counted twice where something is found in it.
 */
export class LongValue {
  readonly #context: MaskerContext;
  readonly #coding: 'raw' | 'json';
  readonly #sizes: BlockSizes;
  #bytes: Buffer = nothing;
  #length = 0;
  /** Held bytes before this were shown. */
  #shown = 0;

  constructor(context: MaskerContext, coding: 'raw' | 'json', sizes: BlockSizes = blockSizes) {
    this.#sizes = sizes;
    this.#context = context;
    this.#coding = coding;
  }

  write(bytes: Buffer): Buffer {
    this.#add(bytes);
    const { block, ahead } = this.#sizes;
    const shown: Buffer[] = [];
    while (this.#length - this.#shown >= block + ahead + slack) shown.push(this.#block(block));
    return shown.length === 1 ? shown[0]! : Buffer.concat(shown);
  }

  end(): Buffer {
    const shown: Buffer[] = [this.write(nothing)];
    while (this.#shown < this.#length) {
      shown.push(this.#block(Math.min(this.#sizes.block, this.#length - this.#shown)));
    }
    return Buffer.concat(shown);
  }

  #block(size: number): Buffer {
    const raw = this.#bytes.subarray(0, this.#length);
    const from = this.#shown;
    const cut = this.#boundary(raw, from, from + size);
    const until = this.#boundary(raw, cut, Math.min(raw.length, cut + this.#sizes.ahead));
    const whole = raw.subarray(0, until);
    const meant = Buffer.allocUnsafe(whole.length);
    const start = this.#meaning(whole, 0, from, meant, 0);
    const middle = this.#meaning(whole, from, cut, meant, start);
    const end = this.#meaning(whole, cut, until, meant, middle);
    const scrubbed = Buffer.from(meant.subarray(0, end));
    let next = cut;
    let shown: Buffer = Buffer.from(raw.subarray(from, cut));
    if (this.#context.masks.scrub(scrubbed, (bytes) => [0, bytes.length]) > 0) {
      if (isUtf8(meant.subarray(0, end))) mendUtf8(scrubbed);
      const stop = runOn(scrubbed, middle);
      next = this.#skip(raw, cut, stop - middle);
      const changed = meant.compare(scrubbed, start, stop, start, stop) !== 0;
      const piece =
        this.#coding === 'raw' ? Buffer.from(scrubbed.subarray(start, stop)) : jsonContent(scrubbed, start, stop);
      shown = changed ? piece : Buffer.from(raw.subarray(from, next));
    }
    if (this.#coding === 'json' && !isUtf8(raw.subarray(from, next))) throw notUtf8();
    this.#forget(next);
    return shown;
  }

  /** The first place from `wanted` on where no escape and no character is cut; at most `end` of what is held. */
  #boundary(raw: Buffer, from: number, wanted: number): number {
    let at = wanted;
    if (this.#coding === 'json' && raw.subarray(from, wanted).includes(0x5c)) {
      at = from;
      while (at < wanted) at += unitLength(raw, at, raw.length);
    }
    for (let i = 0; at < raw.length && (raw[at]! & 0xc0) === 0x80; i++) {
      if (i === 3) {
        if (this.#coding === 'json') throw notUtf8();
        return wanted;
      }
      at += 1;
    }
    return Math.min(at, raw.length);
  }

  #meaning(raw: Buffer, start: number, end: number, out: Buffer, to: number): number {
    if (this.#coding === 'json') return jsonMeaning(raw, start, end, out, to);
    return to + raw.copy(out, to, start, end);
  }

  /** The place in `raw` that is `count` bytes of meaning behind `from`. */
  #skip(raw: Buffer, from: number, count: number): number {
    if (this.#coding === 'raw') return from + count;
    const scratch = Buffer.allocUnsafe(16);
    let at = from;
    for (let done = 0; done < count; ) {
      const size = unitLength(raw, at, raw.length);
      done += jsonMeaning(raw, at, at + size, scratch, 0);
      at += size;
    }
    return at;
  }

  #forget(shown: number): void {
    const keep = this.#boundary(
      this.#bytes.subarray(0, this.#length),
      this.#shown,
      Math.max(this.#shown, shown - this.#sizes.behind),
    );
    this.#bytes.copyWithin(0, keep, this.#length);
    this.#length -= keep;
    this.#shown = shown - keep;
  }

  #add(bytes: Buffer): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    bytes.copy(this.#bytes, this.#length);
    this.#length += bytes.length;
  }
}

/** An escape pair may reach over a boundary. */
const slack = 64;

/** A finding that reaches over the cut goes on to its end. */
function runOn(scrubbed: Buffer, cut: number): number {
  if (cut === 0 || !overwritten(scrubbed[cut - 1]!)) return cut;
  let at = cut;
  while (at < scrubbed.length && overwritten(scrubbed[at]!)) at += 1;
  return at;
}

/** Line ends inside a key stay. */
function overwritten(byte: number): boolean {
  return byte === 0x2a || byte === 0x0a || byte === 0x0d;
}

function notUtf8(): Refusal {
  return new Refusal('MASK_IMPOSSIBLE', 'the body is not UTF-8, so it cannot be read as JSON');
}
