import type { RecordLimits, ShippedRecord } from './record.ts';

/** Brings records to one receiver. One batch at a time; the engine waits for each before the next. */
export interface Sink {
  /** The most that one batch may hold. */
  readonly limits: BatchLimits;
  /**
   * Resolves when the receiver has acknowledged every record but those it returns as refused for good. Throws Undelivered when
   * nothing is known to be taken and the batch is to be tried again; BatchRefused when the receiver will never take it as it is.
   */
  send(batch: readonly ShippedRecord[], signal: AbortSignal): Promise<readonly RefusedRecord[]>;
  /** Lets go of connections and files. */
  close(): Promise<void>;
}

export interface BatchLimits extends RecordLimits {
  readonly records: number;
  readonly bytes: number;
  /** A batch is named by its range, and the same range has to be tried again after a restart. */
  readonly sameRange?: boolean;
  /** How long a batch that is not full waits for more, ms. */
  readonly gatherMs?: number;
}

export interface RefusedRecord {
  readonly record: ShippedRecord;
  /** The receiver's words, cut. */
  readonly reason: string;
  /** The receiver said how many of a batch it refused, and not which. */
  readonly unsure?: boolean;
}

/** The batch did not arrive, or nobody knows; it is tried again. Text for operators: no secret, no address with one. */
export class Undelivered extends Error {
  override readonly name = 'Undelivered';
  /** The receiver's wish, ms. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: { readonly retryAfterMs?: number | undefined; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The receiver will not take this batch as it is, now or later. Its halves may fare better. */
export class BatchRefused extends Error {
  override readonly name = 'BatchRefused';
}

/** A receiver's words as they may stand in a log: one line, no more than this. */
export function receiverWords(words: string): string {
  return words
    .replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .trim()
    .slice(0, 300);
}
