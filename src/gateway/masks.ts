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
export class ExchangeMasks<L extends MaskLedger> implements Masks {
  readonly #masks: Readonly<Record<string, MaskMethod>>;
  readonly #tools: MaskTools<L>;
  #ledger: L | undefined;

  constructor(decision: Decision & { outcome: 'allow' | 'hold' }, tools: MaskTools<L>) {
    this.#masks = decision.obligations.masks;
    this.#tools = tools;
  }

  method(classification: string): MaskMethod {
    return this.#masks[classification] ?? 'redact';
  }

  text(classification: string, original: string): string | null {
    return this.#tools.text(this.method(classification), classification, original);
  }

  masked(field: string, classification: string, count: number, originals: Buffer): void {
    this.#open().masked(field, classification, this.method(classification), count, originals);
  }

  scrub(bytes: Buffer, values?: ValuesOf): number {
    const { scrub } = this.#tools;
    return scrub === undefined
      ? 0
      : scrub(bytes, this.#open(), values, (classification) => this.method(classification));
  }

  /** What was masked; call once, when the reply is complete. */
  fields(): readonly MaskedField[] {
    return this.#ledger === undefined ? none : this.#ledger.fields();
  }

  #open(): L {
    this.#ledger ??= this.#tools.ledger();
    return this.#ledger;
  }
}
