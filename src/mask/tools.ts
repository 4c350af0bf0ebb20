import type { MaskMethod } from '../model/decision.ts';
import { Refusal } from '../model/errors.ts';
import type { Detector, ValuesOf } from './detect/detector.ts';
import { classificationOf } from './detect/kinds.ts';
import { Keyed } from './keyed.ts';
import { Ledger } from './ledger.ts';
import { maskText } from './methods.ts';

/** The room as the line uses it: methods, a ledger per exchange, and the detectors where they are switched on. */
export interface MaskingTools {
  text(method: MaskMethod, classification: string, original: string): string | null;
  ledger(): Ledger;
  /**
   * Scrubs `bytes` and notes what was found under the field `(content)`. A kind whose classification `method` reveals is left alone.
   * Without `values` the bytes must be one value: when something is found in bytes that hold NULs, and so are framed, throws
   * Refusal MASK_IMPOSSIBLE, because an overwritten length would be worse.
   */
  scrub?(
    bytes: Buffer,
    ledger: Ledger,
    values: ValuesOf | undefined,
    method: (classification: string) => MaskMethod,
  ): number;
}

/**
 * `key`: at least 32 secret bytes, the same on every node, or tokens would not join. One result serves every session; without a
 * detector content is not searched.
 */
export function maskingTools(key: Uint8Array, detector?: Detector): MaskingTools {
  const keyed = new Keyed(key);
  const tools: MaskingTools = {
    text: (method, classification, original) => maskText(method, classification, original, keyed),
    ledger: () => new Ledger(keyed),
  };
  if (detector === undefined) return tools;
  return {
    ...tools,
    scrub: (bytes, ledger, values, method) =>
      detector.scrub(
        bytes,
        values ?? unframed,
        (kind, count, originals) => ledger.masked('(content)', classificationOf[kind], 'redact', count, originals),
        (kind) => method(classificationOf[kind]) === 'reveal',
      ),
  };
}

const unframed: ValuesOf = (bytes) => {
  if (bytes.includes(0)) {
    throw new Refusal(
      'MASK_IMPOSSIBLE',
      'the reply holds what looks like a secret, in bytes whose values are not known',
    );
  }
  return [0, bytes.length];
};
