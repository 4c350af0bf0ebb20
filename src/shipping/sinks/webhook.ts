import { createHmac } from 'node:crypto';
import { HttpReceiver, requireSuccess } from '../receiver.ts';
import type { ShippedRecord } from '../record.ts';
import type { SinkSecret } from '../secret.ts';
import { type RefusedRecord, type Sink, Undelivered } from '../sink.ts';
import type { ClientTls } from '../tls.ts';

export interface WebhookSinkOptions {
  readonly url: URL;
  readonly tls: ClientTls;
  /** The first signs; while secrets are being replaced there are two, and the receiver accepts either signature. */
  readonly secrets: readonly SinkSecret[];
  readonly now: () => number;
}

/**
 * Posts batches, signed as Standard Webhooks says: `webhook-id`, `webhook-timestamp`, `webhook-signature` (HMAC-SHA-256 of
 * `id.timestamp.body`). The id is the batch's range, the same for every try.
 */
export class WebhookSink implements Sink {
  readonly limits = { records: 500, bytes: 512 * 1024, recordBytes: 256 * 1024 };
  readonly #options: WebhookSinkOptions;
  readonly #receiver: HttpReceiver;

  constructor(options: WebhookSinkOptions) {
    this.#options = options;
    this.#receiver = new HttpReceiver(options.url, options.tls);
  }

  async send(batch: readonly ShippedRecord[], signal: AbortSignal): Promise<readonly RefusedRecord[]> {
    const { url, secrets, now } = this.#options;
    const keys = await Promise.all(secrets.map(async (secret) => webhookKey(await secret.get())));
    const { id, body } = webhookBody(batch);
    const timestamp = Math.floor(now() / 1000);
    const headers = {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': keys.map((key) => `v1,${webhookSignature(key, id, timestamp, body)}`).join(' '),
    };
    const answer = await this.#receiver.request('POST', `${url.pathname}${url.search}`, headers, body, signal);
    requireSuccess(answer, now());
    return [];
  }

  async close(): Promise<void> {
    this.#receiver.close();
  }
}

/** `{"type":"audit.records","log":…,"first":…,"last":…,"records":[…]}` and the id of the message. */
export function webhookBody(batch: readonly ShippedRecord[]): { readonly id: string; readonly body: string } {
  const [first] = batch as readonly [ShippedRecord, ...ShippedRecord[]];
  const last = batch.at(-1) as ShippedRecord;
  const head = { type: 'audit.records', log: first.log, first: first.event.seq, last: last.event.seq };
  const records = batch.map(({ json }) => json).join(',');
  return {
    id: `${first.log}#${head.first}-${head.last}`,
    body: `${JSON.stringify(head).slice(0, -1)},"records":[${records}]}`,
  };
}

export function webhookSignature(key: Buffer, id: string, timestamp: number, body: string): string {
  return createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
}

function webhookKey(secret: string): Buffer {
  const key = Buffer.from(/^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1] ?? '', 'base64');
  if (key.length < 24 || key.length > 64)
    throw new Undelivered('the credential is not a webhook secret: whsec_ and 24–64 bytes in base64');
  return key;
}
