import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { AuditEvent } from '../model/event.ts';
import { type Backoff, delayAfter, usualBackoff } from './backoff.ts';
import { CursorError, type CursorFile } from './cursor.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { Feed } from './feed.ts';
import type { RecordFormat } from './formats/formats.ts';
import { recordOf, type ShippedRecord } from './record.ts';
import { BatchRefused, type RefusedRecord, type Sink, Undelivered } from './sink.ts';

export interface ShipperOptions {
  readonly name: string;
  readonly kind: string;
  readonly format: RecordFormat;
  /** Where a sink begins that has no cursor yet. */
  readonly from: 'beginning' | 'now';
  /** For one try, ms. */
  readonly timeoutMs: number;
  readonly sink: Sink;
  readonly feed: Feed;
  readonly cursor: CursorFile;
  readonly deadLetters: DeadLetters;
  /** The audit log's origin. */
  readonly log: string;
  /** Into the audit log. */
  readonly record: (event: AuditEvent) => Promise<unknown>;
  /** For the operator. */
  readonly warn: (message: string, fields: Readonly<Record<string, string | number>>) => void;
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  readonly backoff?: Backoff;
  /** How long a sink fails before that is an event, ms. */
  readonly announceMs?: number;
}

/** How a sink does. */
export interface SinkMetrics {
  readonly name: string;
  readonly kind: string;
  /** `stopped`: its cursor cannot be trusted; a person has to look. */
  readonly state: 'shipping' | 'failing' | 'stopped';
  /** Acknowledged up to this event. */
  readonly seq: number;
  /** Numbers between the cursor and the end of the log. */
  readonly lagEvents: number;
  /** Age of the oldest event that is not acknowledged; 0 when there is none. */
  readonly lagSeconds: number;
  /** Since the gateway started: records acknowledged, records refused for good, failed tries. */
  readonly sent: number;
  readonly refused: number;
  readonly failures: number;
  /** Why the last try failed; absent while all is well. */
  readonly reason?: string;
}

/** So many single records refused and none taken: it is not the records. */
const refusedInARow = 16;
/** How long records are made without a break: the same thread carries the traffic, ms. */
const turnMs = 1;
/** A try that is under way when the gateway stops may take so much longer, ms. */
const graceMs = 2000;

/**
 * Ships the log to one sink: reads behind the writer, sends a batch, and moves the durable cursor when the receiver has acknowledged it. So a crash
 * repeats at most one batch, and loses none. A record is given up only when the receiver refuses it and takes another: one that refuses
 * everything is failing, and is waited for.
 */
export class Shipper {
  readonly #options: ShipperOptions;
  readonly #closing = new AbortController();
  readonly #aborted = new AbortController();
  #running: Promise<void> = Promise.resolve();
  /** Settles when the sink is done with the last batch. */
  #underWay: Promise<void> = Promise.resolve();
  #wake: (() => void) | undefined;
  #seq = 0;
  /** The end of a batch that is to be sent as it was. */
  #sending: number | undefined;
  #state: SinkMetrics['state'] = 'shipping';
  #oldest = 0;
  #sent = 0;
  #refused = 0;
  #failures = 0;
  #streak = 0;
  #failingSince = 0;
  #announced = false;
  #reason: string | undefined;

  constructor(options: ShipperOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** There may be something new in the log. */
  wake(): void {
    this.#wake?.();
  }

  metrics(): SinkMetrics {
    const { name, kind, feed, now } = this.#options;
    const behind = Math.max(0, feed.head.seq - this.#seq);
    const oldest = this.#oldest === 0 ? feed.head.time : this.#oldest;
    return {
      name,
      kind,
      state: this.#state,
      seq: this.#seq,
      lagEvents: behind,
      lagSeconds: behind === 0 ? 0 : Math.max(0, (now() - oldest) / 1000),
      sent: this.#sent,
      refused: this.#refused,
      failures: this.#failures,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
    };
  }

  /** Resolves when nothing of it runs any more. What was not acknowledged is sent at the next start. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#wake?.();
    const grace = setTimeout(() => this.#aborted.abort(), graceMs);
    await this.#running;
    clearTimeout(grace);
    this.#aborted.abort();
    // A disk that hangs must not keep the gateway from stopping.
    const closed = this.#options.sink.close().catch(() => undefined);
    await Promise.race([closed, sleep(graceMs, undefined, { ref: false })]);
  }

  get #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  async #run(): Promise<void> {
    let batch: readonly ShippedRecord[] = [];
    for (let begun = false; !this.#isClosing; ) {
      try {
        if (!begun) {
          await this.#begin();
          begun = true;
        }
        if (batch.length === 0) batch = await this.#gather();
        const last = batch.at(-1)?.event.seq;
        if (last === undefined) continue;
        const { limits } = this.#options.sink;
        if (limits.sameRange === true && this.#sending !== last) {
          await this.#options.cursor.write({ seq: this.#seq, sending: last });
          this.#sending = last;
        }
        const refused = await this.#attempt(batch, { taken: 0, refused: 0 });
        // A batch of other records may tell whether it is these.
        if (refused.length === batch.length && refused.every(({ unsure }) => unsure !== true)) {
          const why = refused[0]?.reason ?? 'no reason given';
          batch = [];
          this.#sending = undefined;
          throw new Undelivered(`refuses every record: ${why}`);
        }
        if (refused.length > 0) await this.#giveUp(refused);
        await this.#options.cursor.write({ seq: last });
        this.#acknowledged(last, batch.length - refused.length);
        batch = [];
      } catch (error) {
        if (error instanceof CursorError) return this.#stop(error);
        await this.#failed(error);
      }
    }
  }

  async #begin(): Promise<void> {
    const { cursor, feed, from, name } = this.#options;
    await feed.look();
    const found = await cursor.read();
    if (found !== undefined && found.seq > feed.head.seq)
      throw new CursorError(`the cursor of ${name} is at event ${found.seq}, and the log ends with ${feed.head.seq}`);
    this.#seq = found?.seq ?? (from === 'now' ? feed.head.seq : 0);
    this.#sending = found?.sending;
    if (found === undefined) await cursor.write({ seq: this.#seq });
  }

  /** The next batch; empty when the sink is closing. */
  async #gather(): Promise<readonly ShippedRecord[]> {
    const { feed, format, log, sink } = this.#options;
    const { limits } = sink;
    const { records, bytes, gatherMs = 0 } = limits;
    const end = this.#sending;
    const batch: ShippedRecord[] = [];
    let size = 0;
    let last = this.#seq;
    let deadline = 0;
    while (!this.#isClosing) {
      const events = await feed.after(last);
      let turn = performance.now();
      for (const event of events) {
        if (performance.now() - turn > turnMs) {
          await nextTurn();
          turn = performance.now();
        }
        if (end !== undefined && event.seq > end) return batch;
        const record = recordOf(await feed.whole(event), format, { log, after: last }, limits);
        const length = Buffer.byteLength(record.json);
        const full = batch.length >= records || size + length > bytes;
        if (end === undefined && full && batch.length > 0) return batch;
        if (batch.length === 0) this.#oldest = Date.parse(event.time);
        batch.push(record);
        size += length;
        last = event.seq;
      }
      if (events.length > 0) continue;
      if (batch.length === 0) await this.#idle(undefined);
      else {
        if (deadline === 0) deadline = performance.now() + gatherMs;
        if (end !== undefined || performance.now() >= deadline) return batch;
        await this.#idle(deadline - performance.now());
      }
    }
    return [];
  }

  /** Until something is new, or for so long. */
  async #idle(forMs: number | undefined): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (forMs !== undefined) timer = setTimeout(resolve, forMs);
      if (this.#isClosing) resolve();
    });
    clearTimeout(timer);
    this.#wake = undefined;
  }

  /** Sends a batch; one that is refused as a whole is halved until the records are found that are to blame. */
  async #attempt(
    batch: readonly ShippedRecord[],
    count: { taken: number; refused: number },
  ): Promise<readonly RefusedRecord[]> {
    const { sink, timeoutMs } = this.#options;
    try {
      const signal = AbortSignal.any([this.#aborted.signal, AbortSignal.timeout(timeoutMs)]);
      // What does not heed the signal (a disk that hangs) is still under way, and two at once would be out of order.
      await unlessAborted(this.#underWay, signal);
      const sending = sink.send(batch, signal);
      this.#underWay = sending.then(
        () => undefined,
        () => undefined,
      );
      const refused = await unlessAborted(sending, signal);
      count.taken += batch.length - refused.length;
      return refused;
    } catch (error) {
      const [only] = batch;
      if (!(error instanceof BatchRefused) || only === undefined) throw error;
      if (batch.length === 1) {
        count.refused += 1;
        if (count.refused >= refusedInARow && count.taken === 0)
          throw new Undelivered(`refuses every record: ${error.message}`);
        return [{ record: only, reason: error.message }];
      }
      const half = batch.length >> 1;
      const first = await this.#attempt(batch.slice(0, half), count);
      return [...first, ...(await this.#attempt(batch.slice(half), count))];
    }
  }

  async #giveUp(refused: readonly RefusedRecord[]): Promise<void> {
    const { deadLetters, name, record, warn, now } = this.#options;
    await deadLetters.add(refused, now());
    this.#refused += refused.length;
    const [first] = refused as readonly [RefusedRecord, ...RefusedRecord[]];
    const last = refused.at(-1) as RefusedRecord;
    const what = { sink: name, count: refused.length, first: first.record.event.seq, last: last.record.event.seq };
    warn('a receiver of the audit log refuses records for good', { ...what, reason: first.reason });
    // Of events about shipping itself there is no further event, or they would never end.
    if (refused.every(({ record: { event } }) => event.type.startsWith('shipping.'))) return;
    await record({ type: 'shipping.refused', ...what, reason: first.reason, report: deadLetters.file });
  }

  #acknowledged(last: number, count: number): void {
    const { name, warn, now } = this.#options;
    this.#seq = last;
    this.#sending = undefined;
    this.#sent += count;
    this.#oldest = 0;
    this.#reason = undefined;
    if (this.#state !== 'failing') return;
    this.#state = 'shipping';
    const fields = { sink: name, failedSeconds: Math.round((now() - this.#failingSince) / 1000), tries: this.#streak };
    this.#streak = 0;
    warn('a receiver of the audit log takes records again', fields);
    if (this.#announced) this.#tell({ type: 'shipping.recovered', ...fields });
    this.#announced = false;
  }

  /** Counts a failure, and waits before the next try. */
  async #failed(error: unknown): Promise<void> {
    if (this.#aborted.signal.aborted) return;
    const { name, warn, now, random, backoff = usualBackoff, announceMs = 60_000 } = this.#options;
    const reason = reasonOf(error, this.#options.timeoutMs);
    this.#failures += 1;
    this.#streak += 1;
    this.#reason = reason;
    if (this.#state !== 'failing') {
      this.#state = 'failing';
      this.#failingSince = now();
      warn('a receiver of the audit log cannot be reached or refuses; its records wait', { sink: name, reason });
    }
    if (!this.#announced && now() - this.#failingSince >= announceMs) {
      this.#announced = true;
      this.#tell({ type: 'shipping.failing', ...this.#failing(reason) });
    }
    const wish = error instanceof Undelivered ? error.retryAfterMs : undefined;
    const wait = delayAfter(this.#streak, random(), wish, backoff);
    await sleep(wait, undefined, { signal: this.#closing.signal, ref: false }).catch(() => undefined);
  }

  #stop(error: CursorError): void {
    const { name, warn, now } = this.#options;
    this.#state = 'stopped';
    this.#reason = error.message;
    this.#failingSince = now();
    warn('the audit log is not shipped to a receiver', { sink: name, reason: error.message });
    this.#tell({ type: 'shipping.failing', ...this.#failing(error.message) });
  }

  #failing(reason: string): Record<string, unknown> {
    const { seq, lagEvents, lagSeconds } = this.metrics();
    const since = new Date(this.#failingSince).toISOString();
    return {
      sink: this.#options.name,
      reason,
      since,
      acknowledged: seq,
      lagEvents,
      lagSeconds: Math.round(lagSeconds),
    };
  }

  /** An event that nothing waits for. */
  #tell(event: AuditEvent): void {
    const { name, record, warn } = this.#options;
    record(event).catch((error: unknown) =>
      warn('an event about shipping was not recorded', { sink: name, reason: String(error) }),
    );
  }
}

/** Rejects with the signal's reason when that fires first. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function reasonOf(error: unknown, timeoutMs: number): string {
  if (error instanceof Undelivered) return error.message;
  if (!(error instanceof Error)) return 'an unknown error';
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return `no answer within ${timeoutMs} ms`;
  // The text of other errors may hold an address, and an address may hold a token.
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : error.name;
}
