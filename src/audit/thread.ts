import { Worker } from 'node:worker_threads';
import { ConfigError } from '../model/errors.ts';
import type { Position } from './frame.ts';
import type { OpenWork } from './index.ts';
import type { FromWorker, ToWorker, WorkerOptions } from './worker.ts';

/** The main thread's end of worker.ts. */
export class FollowerThread {
  readonly #worker: Worker;
  readonly #syncs = new Map<number, { resolve(note: string): void; reject(error: Error): void }>();
  #nextSync = 0;
  #failure: Error | undefined;
  #closing: (() => void) | undefined;
  #listener: ((error: Error) => void) | undefined;
  /** What the crash before left open. */
  readonly open: OpenWork;

  private constructor(worker: Worker, open: OpenWork) {
    this.#worker = worker;
    this.open = open;
    worker.on('message', (message: FromWorker) => this.#received(message));
    worker.on('error', (error: Error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new Error('the thread behind the audit log has stopped')));
  }

  /** Resolves when the thread has caught up with the end of the log; throws ConfigError when the history is not the signed one. */
  static async start(options: WorkerOptions): Promise<FollowerThread> {
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
    const worker = new Worker(new URL(file, import.meta.url), { workerData: options, execArgv: [] });
    const { promise, resolve, reject } = Promise.withResolvers<OpenWork>();
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'ready') resolve(message.open);
      if (message.kind === 'failed') reject(new ConfigError(`${options.dir}: ${message.message}`));
    });
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the thread behind the audit log did not start')));
    try {
      const open = await promise;
      worker.removeAllListeners();
      return new FollowerThread(worker, open);
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  durable(to: Position): void {
    this.#send({ kind: 'durable', to });
  }

  /** Everything up to there is indexed and signed when this resolves, with the note. */
  sync(to: Position): Promise<string> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#nextSync++;
    return new Promise((resolve, reject) => {
      this.#syncs.set(id, { resolve, reject });
      this.#send({ kind: 'sync', to, id });
    });
  }

  onFailure(listener: (error: Error) => void): void {
    this.#listener = listener;
    if (this.#failure !== undefined) listener(this.#failure);
  }

  /** Publishes up to `to` and stops; without it, just stops. */
  async close(to: Position | undefined): Promise<void> {
    if (to !== undefined && this.#failure === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#closing = resolve;
      this.#send({ kind: 'close', to });
      await promise;
    }
    this.#listener = undefined;
    await this.#worker.terminate();
    if (to !== undefined && this.#failure !== undefined && !(this.#failure instanceof Stopped)) throw this.#failure;
  }

  #send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #received(message: FromWorker): void {
    if (message.kind === 'synced') {
      this.#syncs.get(message.id)?.resolve(message.note);
      this.#syncs.delete(message.id);
    }
    if (message.kind === 'failed') this.#fail(new Error(message.message));
    if (message.kind === 'closed') this.#fail(new Stopped());
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    for (const { reject } of this.#syncs.values()) reject(error);
    this.#syncs.clear();
    this.#closing?.();
    if (!(error instanceof Stopped)) this.#listener?.(error);
  }
}

class Stopped extends Error {
  override readonly message = 'the audit log is closed';
}
