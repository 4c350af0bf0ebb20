import { Refusal } from '../../model/errors.ts';
import { HeldBytes } from './held-bytes.ts';
import { type BodyMasker, type MaskerContext, nothing } from './masker.ts';
import type { ValueMask, ValueMasks } from './value-masks.ts';

/** A body that is one classified value: held, and shown as its mask. */
export class WholeValue implements BodyMasker {
  readonly #mask: ValueMask;
  readonly #valueMasks: ValueMasks;
  readonly #context: MaskerContext;
  readonly #held = new HeldBytes();

  constructor(mask: ValueMask, valueMasks: ValueMasks, context: MaskerContext) {
    this.#mask = mask;
    this.#valueMasks = valueMasks;
    this.#context = context;
  }

  write(bytes: Buffer): Buffer {
    this.#held.add(bytes);
    if (this.#held.length > this.#context.limits.valueBytes) {
      throw new Refusal('MASK_IMPOSSIBLE', 'a classified value is too long to be masked');
    }
    return nothing;
  }

  /** Reported by the owner of the masks. */
  end(): Buffer {
    const value = this.#held.take(this.#held.length);
    return Buffer.from(this.#valueMasks.text(this.#mask, value, 0, value.length) ?? '');
  }
}
