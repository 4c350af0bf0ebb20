import { webcrypto } from 'node:crypto';
import { HttpReceiver, requireSuccess } from '../receiver.ts';
import type { ShippedRecord } from '../record.ts';
import type { SinkSecret } from '../secret.ts';
import { BatchRefused, type RefusedRecord, type Sink, Undelivered } from '../sink.ts';
import type { ClientTls } from '../tls.ts';
import { encodeKey, signS3 } from './sigv4.ts';

export interface S3SinkOptions {
  /** Endpoint and bucket: `https://s3.eu-central-1.amazonaws.com/bucket`. */
  readonly url: URL;
  readonly tls: ClientTls;
  readonly region: string;
  readonly accessKey: string;
  readonly secret: SinkSecret;
  readonly prefix: string;
  readonly objectBytes: number;
  readonly gatherMs: number;
  readonly now: () => number;
}

/**
 * Objects of JSON lines in a bucket, each named by the range of events in it and its content, and put only where there is none of that name. The range is kept
 * before it is put, so that a restart puts the same again: no event is in two objects. A role that may only put is enough.
 */
export class S3Sink implements Sink {
  readonly limits: Sink['limits'];
  readonly #options: S3SinkOptions;
  readonly #receiver: HttpReceiver;

  constructor(options: S3SinkOptions) {
    this.#options = options;
    this.#receiver = new HttpReceiver(options.url, options.tls);
    const { objectBytes, gatherMs } = options;
    this.limits = { records: 100_000, bytes: objectBytes, recordBytes: 1024 * 1024, sameRange: true, gatherMs };
  }

  async send(batch: readonly ShippedRecord[], signal: AbortSignal): Promise<readonly RefusedRecord[]> {
    const { url, region, accessKey, secret, prefix, now } = this.#options;
    const body = Buffer.from(batch.map(({ json }) => `${json}\n`).join(''));
    // Objects are large: this hashes in another thread.
    const digest = Buffer.from(await webcrypto.subtle.digest('SHA-256', body));
    const payload = digest.toString('hex');
    const name = objectName(batch, prefix, payload);
    const path = encodeKey(`${decodeURIComponent(url.pathname).replace(/\/$/, '')}/${name}`);
    const fields = {
      'content-type': 'application/x-ndjson',
      'if-none-match': '*',
      // Buckets with Object Lock ask for one.
      'x-amz-checksum-sha256': digest.toString('base64'),
    };
    const key = { id: accessKey, secret: await secret.get(), region };
    const headers = signS3({ method: 'PUT', host: url.host, path, headers: fields, payload }, key, now());
    const answer = await this.#receiver.request('PUT', path, headers, body, signal);
    // There already: the answer to an earlier try was lost.
    if (answer.status === 412) return [];
    try {
      requireSuccess(answer, now());
    } catch (error) {
      // It is never about a single record.
      throw error instanceof BatchRefused ? new Undelivered(error.message) : error;
    }
    return [];
  }

  async close(): Promise<void> {
    this.#receiver.close();
  }
}

/**
 * `prefix`, the log, the day of the first event (UTC), the range, and the beginning of the content's SHA-256:
 * `gw.example/audit/2026/11/20/00000000000042-00000000004711-9f86d081884c7d65.jsonl`. So what is there under this name is this.
 */
export function objectName(batch: readonly ShippedRecord[], prefix: string, digest: string): string {
  const { event: first, log } = batch[0] as ShippedRecord;
  const last = (batch.at(-1) as ShippedRecord).event;
  const number = (seq: number): string => String(seq).padStart(14, '0');
  const day = first.time.slice(0, 10).replaceAll('-', '/');
  return `${prefix}${log}/${day}/${number(first.seq)}-${number(last.seq)}-${digest.slice(0, 16)}.jsonl`;
}
