import { isUtf8 } from 'node:buffer';
import { HeldBytes } from './held-bytes.ts';
import { mendUtf8 } from './json-values.ts';
import { LongValue } from './long-value.ts';
import type { BodyMasker, MaskerContext } from './masker.ts';
import { nothing } from './masker.ts';

/** A line is shown when it is complete, or longer than this. */
const lineBytes = 65_536;
/** A private key is held until its END line, but no longer than this. */
const keyBytes = 16_384;

/**
 * Text of any kind, by detectors: whole lines at a time, which no finding crosses but a PEM key; longer lines block by block.
 * Bytes need not be UTF-8, only ASCII where they look like it.
 */
export class TextMasker implements BodyMasker {
  readonly #context: MaskerContext;
  readonly #held = new HeldBytes();
  /** Held bytes before this hold no line end. */
  #searched = 0;
  #long: LongValue | undefined;

  constructor(context: MaskerContext) {
    this.#context = context;
  }

  write(bytes: Buffer): Buffer {
    if (this.#long !== undefined) {
      const end = lineEnd(bytes);
      if (end === 0) return this.#long.write(bytes);
      const rest = [this.#long.write(bytes.subarray(0, end)), this.#long.end()];
      this.#long = undefined;
      return Buffer.concat([...rest, this.write(bytes.subarray(end))]);
    }
    this.#held.add(bytes);
    const held = this.#held.bytes;
    const tail = lastLineEnd(held.subarray(this.#searched));
    const lines = tail === 0 ? 0 : withoutOpenKey(held, this.#searched + tail);
    this.#searched = held.length;
    const shown = lines === 0 ? nothing : this.#scrubbed(this.#held.take(lines));
    if (lines > 0) this.#searched = this.#held.length;
    if (this.#held.length <= lineBytes + keyBytes) return shown;
    const before = this.#scrubbed(this.#held.take(lastLineEnd(this.#held.bytes)));
    this.#long = new LongValue(this.#context, 'raw');
    this.#searched = 0;
    return Buffer.concat([shown, before, this.#long.write(this.#held.take(this.#held.length))]);
  }

  end(): Buffer {
    const rest = this.#long?.end() ?? nothing;
    this.#long = undefined;
    if (this.#held.length === 0) return rest;
    return Buffer.concat([rest, this.#scrubbed(this.#held.take(this.#held.length))]);
  }

  #scrubbed(bytes: Buffer): Buffer {
    const utf8 = isUtf8(bytes);
    if (this.#context.masks.scrub(bytes, whole) > 0 && utf8) mendUtf8(bytes);
    return bytes;
  }
}

const whole = (bytes: Buffer) => [0, bytes.length];

/** The end of the first line, its line feed included; 0 where there is none. */
function lineEnd(bytes: Buffer): number {
  return bytes.indexOf(0x0a) + 1;
}

function lastLineEnd(bytes: Buffer): number {
  return bytes.lastIndexOf(0x0a) + 1;
}

/** Where the last line begins in which a key begins that has no end yet; `end` where there is none, or it has been held for long enough. */
function withoutOpenKey(held: Buffer, end: number): number {
  const lines = held.subarray(0, end);
  const begin = lines.lastIndexOf('-----BEGIN ');
  if (begin < 0 || end - begin > keyBytes || lines.indexOf('-----END ', begin) >= 0) return end;
  return lastLineEnd(lines.subarray(0, begin));
}
