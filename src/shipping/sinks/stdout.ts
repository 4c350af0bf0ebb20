import type { Writable } from 'node:stream';
import type { ShippedRecord } from '../record.ts';
import { type RefusedRecord, type Sink, Undelivered } from '../sink.ts';

/** JSON lines on a stream. Acknowledged means: the stream took them. What reads the other end can lose them; the file is the durable way. */
export class StreamSink implements Sink {
  readonly limits = { records: 500, bytes: 1024 * 1024, recordBytes: 1024 * 1024 };
  readonly #stream: Writable;
  #broken: Error | undefined;
  /** What the stream has not let go of yet: it would be there twice if it were written again. */
  #pending: { readonly id: string; readonly done: Promise<void> } | undefined;
  readonly #onError = (error: Error): void => {
    this.#broken = error;
  };

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('error', this.#onError);
  }

  async send(batch: readonly ShippedRecord[], signal: AbortSignal): Promise<readonly RefusedRecord[]> {
    if (this.#broken !== undefined) throw new Undelivered('the stream is closed');
    const id = `${batch[0]?.id} ${batch.at(-1)?.id}`;
    if (this.#pending?.id !== id) {
      await this.#pending?.done;
      const text = batch.map(({ json }) => `${json}\n`).join('');
      const done = new Promise<void>((resolve, reject) => {
        this.#stream.write(text, (error) => (error ? reject(new Undelivered('the stream is closed')) : resolve()));
      });
      done.catch(() => undefined); // Whoever waits is told.
      this.#pending = { id, done };
    }
    await unlessAborted(this.#pending.done, signal);
    this.#pending = undefined;
    return [];
  }

  async close(): Promise<void> {
    this.#stream.off('error', this.#onError);
  }
}

function unlessAborted(done: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    done.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
