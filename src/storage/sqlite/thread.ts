import { Worker } from 'node:worker_threads';
import type { FromWorker, SqlValue, ToWorker, WorkerData } from './messages.ts';

export interface Reply {
  readonly rows: readonly Record<string, SqlValue>[];
  /** Rows inserted, updated, deleted or returned. */
  readonly changes: number;
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The loop's end of the worker thread. Every call is answered exactly once. If the thread dies, whatever waits is rejected and so is
 * every later call: there is no second thread, because nobody knows what the first one had done.
 */
export class DatabaseThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #failed = new AbortController();
  #last = 0;
  #ended: Error | undefined;

  constructor(data: WorkerData) {
    // Compiled for publishing, this file and its worker are JavaScript; run as written, both are TypeScript.
    const entry = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
    this.#worker = new Worker(entry, { workerData: data, name: 'sallyport-store' });
    this.#worker.on('message', (message: FromWorker) => this.#settle(message));
    this.#worker.on('messageerror', (error) => this.#fail(error));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', (code) => this.#fail(new Error(`its thread ended with code ${code}`)));
    this.#worker.unref();
  }

  /** Fires when the thread is gone though nobody closed it; the reason says why. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  run(sql: string, parameters: readonly SqlValue[]): Promise<Reply> {
    return this.#ask((id) => ({ id, kind: 'run', sql, parameters }));
  }

  /** Closes the file and ends the thread. Safe to call twice, and after a failure. */
  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const closed = this.#ask((id) => ({ id, kind: 'close' }));
    this.#ended = new Error('the store is closed');
    const exited = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()));
    await closed;
    this.#worker.ref();
    await exited;
  }

  #ask(message: (id: number) => ToWorker): Promise<Reply> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      // An idle store does not keep the process alive; one that owes an answer does.
      if (this.#waiting.size === 0) this.#worker.ref();
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage(message(id));
    });
  }

  #settle(message: FromWorker): void {
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    this.#waiting.delete(message.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if (message.kind === 'done') waiting.resolve(message);
    else waiting.reject(Object.assign(new Error(message.message), { code: message.code, errcode: message.errcode }));
  }

  #fail(cause: Error): void {
    if (this.#ended !== undefined && this.#waiting.size === 0) return;
    const error = new Error(`the store has failed: ${cause.message}`, { cause });
    this.#ended ??= error;
    this.#failed.abort(error);
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}
