import { ExchangeMasks } from '../../gateway/masks.ts';
import type { Masks } from '../../gateway/protocol.ts';
import { createDetector } from '../../mask/detect/detector.ts';
import { maskingTools } from '../../mask/tools.ts';
import type { MaskMethod } from '../../model/decision.ts';
import type { MaskedField } from '../../model/event.ts';

const key = Buffer.alloc(32, 7);
const tools = { plain: maskingTools(key), detecting: maskingTools(key, createDetector()) };

/** Masks as the line makes them for one exchange. */
export function realMasks(
  methods: Readonly<Record<string, MaskMethod>> = {},
  detecting = true,
): Masks & { fields(): readonly MaskedField[] } {
  const decision = {
    outcome: 'allow',
    rule: 'test',
    rules: ['test'],
    policyVersion: '1',
    obligations: { masks: methods },
  } as const;
  return new ExchangeMasks(decision, detecting ? tools.detecting : tools.plain);
}

export interface Noted {
  readonly field: string;
  readonly classification: string;
  readonly originals: readonly string[];
}

/** The same, with what was noted in clear. */
export function watchedMasks(methods: Readonly<Record<string, MaskMethod>> = {}): Masks & { readonly noted: Noted[] } {
  const real = realMasks(methods);
  const noted: Noted[] = [];
  return {
    noted,
    method: (classification) => real.method(classification),
    text: (classification, original) => real.text(classification, original),
    scrub: (bytes, values) => real.scrub(bytes, values),
    masked(field, classification, count, originals) {
      const values: string[] = [];
      for (let at = 0; at < originals.length; ) {
        const size = originals.readUInt32BE(at);
        values.push(originals.toString('utf8', at + 4, at + 4 + size));
        at += 4 + size;
      }
      if (values.length !== count) throw new Error('count and originals differ');
      noted.push({ field, classification, originals: values });
      real.masked(field, classification, count, originals);
    },
  };
}
