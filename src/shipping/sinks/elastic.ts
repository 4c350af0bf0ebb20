import { HttpReceiver, jsonOf, requireSuccess } from '../receiver.ts';
import type { ShippedRecord } from '../record.ts';
import type { SinkSecret } from '../secret.ts';
import { type RefusedRecord, receiverWords, type Sink, Undelivered } from '../sink.ts';
import type { ClientTls } from '../tls.ts';

export interface ElasticSinkOptions {
  readonly url: URL;
  readonly tls: ClientTls;
  readonly secret: SinkSecret;
  /** With Basic authentication; an API key otherwise. */
  readonly user: string | undefined;
  /** An index or a data stream. */
  readonly index: string;
  readonly now: () => number;
}

/**
 * Elasticsearch's bulk interface. Each record is created under its id, so that one that is there already is not there twice. An item refused
 * for good is returned; when one may yet be taken the batch is tried again, which does no harm to those that were.
 */
export class ElasticSink implements Sink {
  readonly limits = { records: 500, bytes: 1024 * 1024, recordBytes: 512 * 1024 };
  readonly #options: ElasticSinkOptions;
  readonly #receiver: HttpReceiver;

  constructor(options: ElasticSinkOptions) {
    this.#options = options;
    this.#receiver = new HttpReceiver(options.url, options.tls);
  }

  async send(batch: readonly ShippedRecord[], signal: AbortSignal): Promise<readonly RefusedRecord[]> {
    const { url, secret, user, index, now } = this.#options;
    const value = await secret.maybe();
    const headers = {
      'content-type': 'application/x-ndjson',
      ...(value === undefined ? {} : { authorization: authorization(user, value) }),
    };
    const path = `${url.pathname.replace(/\/$/, '')}/_bulk`;
    const answer = await this.#receiver.request('POST', path, headers, bulkBody(batch, index), signal);
    requireSuccess(answer, now());
    const items = jsonOf(answer)?.items;
    if (!Array.isArray(items) || items.length !== batch.length)
      throw new Undelivered('the answer does not say what became of each record');
    return refusedItems(batch, items);
  }

  async close(): Promise<void> {
    this.#receiver.close();
  }
}

/** An action line and a document line each. */
export function bulkBody(batch: readonly ShippedRecord[], index: string): string {
  return batch.map(({ id, json }) => `${JSON.stringify({ create: { _index: index, _id: id } })}\n${json}\n`).join('');
}

/** Throws Undelivered when an item may yet be taken. 409: it is there already. */
function refusedItems(batch: readonly ShippedRecord[], items: readonly unknown[]): readonly RefusedRecord[] {
  const refused: RefusedRecord[] = [];
  let waiting = 0;
  batch.forEach((record, i) => {
    const { create } = (items[i] ?? {}) as {
      create?: { status?: unknown; error?: { type?: unknown; reason?: unknown } };
    };
    const status = typeof create?.status === 'number' ? create.status : 0;
    if ((status >= 200 && status < 300) || status === 409) return;
    if (status === 400 || status === 413 || status === 422) {
      const words = [create?.error?.type, create?.error?.reason].filter((word) => typeof word === 'string').join(': ');
      refused.push({ record, reason: receiverWords(`${status} ${words}`) });
    } else waiting += 1;
  });
  if (waiting > 0) throw new Undelivered(`${waiting} of ${batch.length} records were not taken yet`);
  return refused;
}

function authorization(user: string | undefined, secret: string): string {
  return user === undefined ? `ApiKey ${secret}` : `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;
}
