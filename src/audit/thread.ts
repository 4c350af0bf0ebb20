import { Worker } from 'node:worker_threads';
import { ConfigError } from '../model/errors.ts';
import type { Position } from './frame.ts';
import type { OpenWork } from './log-index.ts';
import type { FromWorker, ToWorker, WorkerOptions } from './worker.ts';

/** The main thread's end of worker.ts. */
export class FollowerThread {
  readonly #worker: Worker;
  readonly #warn: (message: string) => void;
  readonly #syncs = new Map<number, { resolve(note: string): void; reject(error: Error): void }>();
  #nextSync = 0;
  #failure: Error | undefined;
  #closing: (() => void) | undefined;
  #listener: ((error: Error) => void) | undefined;
  readonly #ready = Promise.withResolvers<void>();
  #open: OpenWork = { intents: [], sessions: [] };

  private constructor(worker: Worker, dir: string, warn: (message: string) => void) {
    this.#worker = worker;
    this.#warn = warn;
    worker.on('message', (message: FromWorker) => this.#received(message, dir));
    worker.on('error', (error: Error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new Error('the thread behind the audit log has stopped')));
  }

  /** Resolves when the thread has caught up with the end of the log; rejects with ConfigError when the history is not the signed one. */
  static async start(options: WorkerOptions, warn: (message: string) => void): Promise<FollowerThread> {
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
    const worker = new Worker(new URL(file, import.meta.url), { workerData: options, execArgv: [] });
    const thread = new FollowerThread(worker, options.dir, warn);
    try {
      await thread.#ready.promise;
      return thread;
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  /** What the crash before left open. */
  get open(): OpenWork {
    return this.#open;
  }

  durable(to: Position): void {
    this.#send({ kind: 'durable', to });
  }

  /** Everything up to there is indexed, and signed if so wished, when this resolves with the latest note. */
  sync(to: Position, sign: boolean): Promise<string> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#nextSync++;
    return new Promise((resolve, reject) => {
      this.#syncs.set(id, { resolve, reject });
      this.#send({ kind: 'sync', to, id, sign });
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

  #received(message: FromWorker, dir: string): void {
    if (message.kind === 'ready') {
      this.#open = message.open;
      this.#ready.resolve();
    }
    if (message.kind === 'synced') {
      this.#syncs.get(message.id)?.resolve(message.note);
      this.#syncs.delete(message.id);
    }
    if (message.kind === 'noSpare') this.#warn(`no segment of the audit log could be made ahead: ${message.message}`);
    if (message.kind === 'failed') this.#fail(new ConfigError(`${dir}: ${message.message}`));
    if (message.kind === 'closed') this.#fail(new Stopped());
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#ready.reject(error);
    for (const { reject } of this.#syncs.values()) reject(error);
    this.#syncs.clear();
    this.#closing?.();
    if (!(error instanceof Stopped)) this.#listener?.(error);
  }
}

class Stopped extends Error {
  override readonly message = 'the audit log is closed';
}
