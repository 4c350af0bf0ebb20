import type { Decision, MaskMethod } from '../model/decision.ts';
import type { MaskedField } from '../model/event.ts';
import type { Masks } from './protocol.ts';

/** What `mask/` offers, as the line needs it; composed in main.ts. */
export interface MaskTools {
  text(method: MaskMethod, classification: string, original: string): string | null;
  ledger(): MaskLedger;
  /** Overwrites in place what the detectors find; absent where the target has them switched off. */
  scrub?(bytes: Buffer, ledger: MaskLedger): number;
}

export interface MaskLedger {
  masked(field: string, classification: string, method: string, count: number, originals: Buffer): void;
  fields(): readonly MaskedField[];
}

const none: readonly MaskedField[] = [];

/** Masks for one exchange. The ledger is made on the first masked value: most replies have none. */
export function masksFor(
  decision: Decision & { outcome: 'allow' | 'hold' },
  tools: MaskTools,
): Masks & { ledger(): readonly MaskedField[] } {
  const { masks } = decision.obligations;
  let ledger: MaskLedger | undefined;
  const open = () => {
    ledger ??= tools.ledger();
    return ledger;
  };
  const method = (classification: string): MaskMethod => masks[classification] ?? 'redact';
  return {
    method,
    text: (classification, original) => tools.text(method(classification), classification, original),
    masked: (field, classification, count, originals) => open().masked(field, classification, method(classification), count, originals),
    scrub: (bytes) => (tools.scrub === undefined ? 0 : tools.scrub(bytes, open())),
    ledger: () => (ledger === undefined ? none : ledger.fields()),
  };
}
