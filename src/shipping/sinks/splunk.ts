import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpReceiver, jsonOf, requireSuccess } from '../receiver.ts';
import type { ShippedRecord } from '../record.ts';
import type { SinkSecret } from '../secret.ts';
import { type RefusedRecord, type Sink, Undelivered } from '../sink.ts';
import type { ClientTls } from '../tls.ts';

export interface SplunkSinkOptions {
  readonly url: URL;
  readonly tls: ClientTls;
  readonly secret: SinkSecret;
  readonly index: string | undefined;
  readonly sourcetype: string;
  /** The token has indexer acknowledgement: a batch counts when it is indexed, not when it is accepted. */
  readonly acknowledgement: boolean;
  readonly now: () => number;
  /** Between two questions whether a batch is indexed, ms. */
  readonly pollMs?: number;
}

/** Splunk's HTTP Event Collector. Without indexer acknowledgement 200 says accepted, which a crash of the indexer can undo. */
export class SplunkSink implements Sink {
  readonly limits = { records: 500, bytes: 512 * 1024, recordBytes: 256 * 1024 };
  readonly #options: SplunkSinkOptions;
  readonly #receiver: HttpReceiver;
  /** Acknowledgement ids are numbered within a channel. */
  readonly #channel = randomUUID();

  constructor(options: SplunkSinkOptions) {
    this.#options = options;
    this.#receiver = new HttpReceiver(options.url, options.tls);
  }

  async send(batch: readonly ShippedRecord[], signal: AbortSignal): Promise<readonly RefusedRecord[]> {
    const { secret, now, acknowledgement } = this.#options;
    const headers = {
      authorization: `Splunk ${await secret.get()}`,
      'content-type': 'application/json',
      'x-splunk-request-channel': this.#channel,
    };
    const body = batch.map((record) => hecEvent(record, this.#options)).join('\n');
    const answer = await this.#receiver.request('POST', this.#path('event'), headers, body, signal);
    requireSuccess(answer, now());
    if (!acknowledgement) return [];
    const id = jsonOf(answer)?.ackId;
    if (typeof id !== 'number')
      throw new Undelivered('no ackId in the answer: is indexer acknowledgement on for this token?');
    await this.#indexed(id, headers, signal);
    return [];
  }

  async close(): Promise<void> {
    this.#receiver.close();
  }

  /** Until the batch is indexed. The signal ends it: then the batch is sent again. */
  async #indexed(id: number, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void> {
    const { now, pollMs = 1000 } = this.#options;
    for (;;) {
      const path = `${this.#path('ack')}?channel=${this.#channel}`;
      const answer = await this.#receiver.request('POST', path, headers, JSON.stringify({ acks: [id] }), signal);
      if (answer.status === 400) throw new Undelivered('answered 400 when asked for an acknowledgement');
      requireSuccess(answer, now());
      const acks = jsonOf(answer)?.acks as Readonly<Record<string, unknown>> | undefined;
      if (acks?.[String(id)] === true) return;
      await sleep(pollMs, undefined, { signal, ref: false });
    }
  }

  #path(leaf: 'event' | 'ack'): string {
    const { pathname } = this.#options.url;
    return pathname === '/' ? `/services/collector/${leaf}` : `${pathname.replace(/\/(?:event)?$/, '')}/${leaf}`;
  }
}

/** One event for the collector; `time` in seconds, `fields` indexed. */
export function hecEvent(
  { event, json, id, log }: ShippedRecord,
  { index, sourcetype }: Pick<SplunkSinkOptions, 'index' | 'sourcetype'>,
): string {
  const head = {
    time: Date.parse(event.time) / 1000,
    host: log,
    source: 'sallyport',
    sourcetype,
    ...(index === undefined ? {} : { index }),
    fields: { id, seq: event.seq, type: event.type },
  };
  return `${JSON.stringify(head).slice(0, -1)},"event":${json}}`;
}
