import type { RecordedEvent } from '../../model/event.ts';
import { severityOf } from '../formats/meaning.ts';
import { HttpReceiver, jsonOf, requireSuccess } from '../receiver.ts';
import type { ShippedRecord } from '../record.ts';
import type { SinkSecret } from '../secret.ts';
import { type RefusedRecord, receiverWords, type Sink } from '../sink.ts';
import type { ClientTls } from '../tls.ts';

export interface OtlpSinkOptions {
  readonly url: URL;
  readonly tls: ClientTls;
  readonly secret: SinkSecret;
  /** The field that the secret goes into as it is; `authorization: Bearer` without. */
  readonly header: string | undefined;
  readonly now: () => number;
}

/**
 * OpenTelemetry logs over OTLP/HTTP in JSON encoding. Of a partial success the receiver says how many records it rejected and not which, and the
 * protocol forbids sending them again; so all of that batch go into the report, marked as unsure.
 */
export class OtlpSink implements Sink {
  readonly limits = { records: 500, bytes: 512 * 1024, recordBytes: 256 * 1024 };
  readonly #options: OtlpSinkOptions;
  readonly #receiver: HttpReceiver;

  constructor(options: OtlpSinkOptions) {
    this.#options = options;
    this.#receiver = new HttpReceiver(options.url, options.tls);
  }

  async send(batch: readonly ShippedRecord[], signal: AbortSignal): Promise<readonly RefusedRecord[]> {
    const { url, secret, header, now } = this.#options;
    const value = await secret.maybe();
    const headers = {
      'content-type': 'application/json',
      ...(value === undefined ? {} : header === undefined ? { authorization: `Bearer ${value}` } : { [header]: value }),
    };
    const path = `${url.pathname === '/' ? '/v1/logs' : url.pathname}${url.search}`;
    const answer = await this.#receiver.request('POST', path, headers, JSON.stringify(logsRequest(batch)), signal);
    requireSuccess(answer, now());
    const partial = jsonOf(answer)?.partialSuccess as
      | { rejectedLogRecords?: unknown; errorMessage?: unknown }
      | undefined;
    // int64 is text in this JSON.
    const rejected = Number(partial?.rejectedLogRecords ?? 0);
    if (!(rejected > 0)) return [];
    const words = receiverWords(String(partial?.errorMessage ?? 'no reason given'));
    if (rejected >= batch.length) return batch.map((record) => ({ record, reason: words }));
    return batch.map((record) => ({
      record,
      reason: `${rejected} of ${batch.length} rejected: ${words}`,
      unsure: true,
    }));
  }

  async close(): Promise<void> {
    this.#receiver.close();
  }
}

/** ExportLogsServiceRequest. Severities as OpenTelemetry numbers them: 9 INFO, 10 INFO2, 13 WARN. */
export function logsRequest(batch: readonly ShippedRecord[]): object {
  return {
    resourceLogs: [
      {
        resource: {
          attributes: [attribute('service.name', 'sallyport'), attribute('service.instance.id', batch[0]?.log ?? '')],
        },
        scopeLogs: [{ scope: { name: 'sallyport.audit', version: '1' }, logRecords: batch.map(logRecord) }],
      },
    ],
  };
}

function logRecord({ event, json, id, log, after }: ShippedRecord): object {
  const time = `${Date.parse(event.time)}000000`;
  const severity = severityOf(event);
  const names = ['session', 'principal', 'target'] as const;
  return {
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber: severity === 1 ? 9 : severity === 2 ? 10 : 13,
    severityText: severity === 1 ? 'INFO' : severity === 2 ? 'INFO2' : 'WARN',
    eventName: event.type,
    body: { stringValue: json },
    attributes: [
      attribute('log.record.uid', id),
      attribute('sallyport.log', log),
      { key: 'sallyport.seq', value: { intValue: String(event.seq) } },
      { key: 'sallyport.after', value: { intValue: String(after) } },
      attribute('event.name', event.type),
      ...names.flatMap((name) => textAttribute(event, name)),
    ],
  };
}

function textAttribute(event: RecordedEvent, name: 'session' | 'principal' | 'target'): object[] {
  const value = event[name];
  return typeof value === 'string' ? [attribute(`sallyport.${name}`, value)] : [];
}

function attribute(key: string, value: string): object {
  return { key, value: { stringValue: value } };
}
