import { Refusal } from '../../model/errors.ts';
import { HeldBytes } from './held-bytes.ts';
import { type BodyMasker, type MaskerContext, nothing } from './masker.ts';
import type { BodyRules } from './rules.ts';
import { type ValueMask, ValueMasks } from './value-masks.ts';

/**
 * `application/x-www-form-urlencoded` (URL standard, section 5). A field is named by its name, or by the innermost of `customer[ssn]` and
 * `customer.ssn`. What nothing is masked in stays as it is written.
 */
export class FormMasker implements BodyMasker {
  readonly #context: MaskerContext;
  readonly #valueMasks: ValueMasks;
  readonly #held = new HeldBytes();
  #searched = 0;

  constructor(rules: BodyRules, context: MaskerContext) {
    this.#context = context;
    this.#valueMasks = new ValueMasks(rules, context.masks);
  }

  write(bytes: Buffer): Buffer {
    this.#held.add(bytes);
    const held = this.#held.bytes;
    // Some readers take a semicolon for an ampersand; fields are looked at in the smaller pieces.
    const fresh = held.subarray(this.#searched);
    const end = this.#searched + Math.max(fresh.lastIndexOf(0x26), fresh.lastIndexOf(0x3b)) + 1;
    if (end <= this.#searched) {
      this.#searched = held.length;
      if (held.length > this.#context.limits.valueBytes) {
        throw new Refusal('MASK_IMPOSSIBLE', 'a field of the form is too long to be masked');
      }
      return nothing;
    }
    const shown = this.#pairs(this.#held.take(end));
    this.#searched = this.#held.length;
    return shown;
  }

  end(): Buffer {
    return this.#held.length === 0 ? nothing : this.#pairs(this.#held.take(this.#held.length));
  }

  #pairs(bytes: Buffer): Buffer {
    const out: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      let end = at;
      while (end < bytes.length && bytes[end] !== 0x26 && bytes[end] !== 0x3b) end += 1;
      out.push(this.#pair(bytes.subarray(at, end)), bytes.subarray(end, end + 1));
      at = end + 1;
    }
    this.#valueMasks.report();
    return Buffer.concat(out);
  }

  #pair(pair: Buffer): Buffer {
    if (pair.length === 0) return pair;
    const equals = pair.indexOf(0x3d);
    const rawName = equals < 0 ? pair : pair.subarray(0, equals);
    const rawValue = equals < 0 ? nothing : pair.subarray(equals + 1);
    const name = this.#scrubbed(rawName);
    const mask = this.#maskFor(formText(rawName).toString());
    const value = mask === undefined ? this.#scrubbed(rawValue) : this.#masked(mask, rawValue);
    return equals < 0 ? name : Buffer.concat([name, equalsSign, value]);
  }

  #maskFor(name: string): ValueMask | undefined {
    const inner = name.split(/[[\].]+/).filter((part) => part !== '' && !/^\d+$/.test(part));
    return this.#valueMasks.forName(name) ?? this.#valueMasks.forName(inner.at(-1) ?? name);
  }

  #masked(mask: ValueMask, raw: Buffer): Buffer {
    const value = formText(raw);
    return formBytes(Buffer.from(this.#valueMasks.text(mask, value, 0, value.length) ?? ''));
  }

  #scrubbed(raw: Buffer): Buffer {
    const meant = formText(raw);
    return this.#context.masks.scrub(meant, (whole) => [0, whole.length]) === 0 ? raw : formBytes(meant);
  }
}

const equalsSign = Buffer.from('=');

/** What is written, percent-decoded; a copy. */
export function formText(raw: Buffer): Buffer {
  const out = Buffer.allocUnsafe(raw.length);
  let to = 0;
  for (let at = 0; at < raw.length; at++) {
    const byte = raw[at]!;
    if (byte === 0x25 && /^[0-9a-f]{2}$/i.test(raw.toString('latin1', at + 1, at + 3))) {
      out[to++] = Number.parseInt(raw.toString('latin1', at + 1, at + 3), 16);
      at += 2;
    } else out[to++] = byte === 0x2b ? 0x20 : byte;
  }
  return out.subarray(0, to);
}

function formBytes(meant: Buffer): Buffer {
  let text = '';
  for (const byte of meant) {
    const character = String.fromCharCode(byte);
    if (/[\w*.-]/.test(character)) text += character;
    else text += byte === 0x20 ? '+' : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return Buffer.from(text);
}
