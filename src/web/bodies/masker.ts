import type { Masks } from '../../gateway/protocol.ts';

/** Masks one body as it streams by. Synchronous, so that it fits `Exchange.mask`. */
export interface BodyMasker {
  /**
   * Takes the next bytes, which are not kept and not changed; returns those that may be shown now, possibly none. Throws Refusal
   * MASK_IMPOSSIBLE when it cannot tell what may be shown; nothing more may be shown then, and every further call throws too.
   */
  write(bytes: Buffer): Buffer;
  /** The body is complete: the bytes that were still held. */
  end(): Buffer;
}

export interface BodyLimits {
  /** Longest single value (a string, a number, a field of a form, a row of a table, an event) that is held to be masked, bytes. */
  readonly valueBytes: number;
  /** Deepest nesting of arrays and objects. */
  readonly depth: number;
}

export const bodyLimits: BodyLimits = { valueBytes: 1024 * 1024, depth: 512 };

/** What every masker works with. */
export interface MaskerContext {
  readonly masks: Masks;
  readonly limits: BodyLimits;
}

export const nothing: Buffer = Buffer.alloc(0);
