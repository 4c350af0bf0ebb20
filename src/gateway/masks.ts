import type { Decision, MaskMethod } from '../model/decision.ts';
import type { MaskedField } from '../model/event.ts';
import type { Masks, ValuesOf } from './protocol.ts';

/** What `mask/` offers, as the line needs it; composed in main.ts. */
export interface MaskTools<L extends MaskLedger = MaskLedger> {
  text(method: MaskMethod, classification: string, original: string): string | null;
  ledger(): L;
  /** Overwrites in place what the detectors find; absent where the target has them switched off. */
  scrub?(
    bytes: Buffer,
    ledger: MaskLedger,
    values: ValuesOf | undefined,
    method: (classification: string) => MaskMethod,
  ): number;
}

export interface MaskLedger {
  masked(field: string, classification: string, method: string, count: number, originals: Buffer): void;
  fields(): readonly MaskedField[];
}

const none: readonly MaskedField[] = [];

/** Masks for one exchange. The ledger is made on the first masked value: most replies have none. */
export function masksFor<L extends MaskLedger>(
  decision: Decision & { outcome: 'allow' | 'hold' },
  tools: MaskTools<L>,
): Masks & { ledger(): readonly MaskedField[] } {
  const { masks } = decision.obligations;
  let ledger: L | undefined;
  const open = () => {
    ledger ??= tools.ledger();
    return ledger;
  };
  const method = (classification: string): MaskMethod => masks[classification] ?? 'redact';
  return {
    method,
    text: (classification, original) => tools.text(method(classification), classification, original),
    masked: (field, classification, count, originals) =>
      open().masked(field, classification, method(classification), count, originals),
    scrub: (bytes, values) => (tools.scrub === undefined ? 0 : tools.scrub(bytes, open(), values, method)),
    ledger: () => (ledger === undefined ? none : ledger.fields()),
  };
}
