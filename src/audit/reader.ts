import { Worker } from 'node:worker_threads';
import type { AuditAdmin, Page, SessionSummary } from '../gateway/admin.ts';
import type { RecordedEvent } from '../model/event.ts';
import type { Caller } from '../model/principal.ts';
import { openCheckpoint } from './checkpoint.ts';
import type { AuditLog } from './log.ts';
import type { EventQuery, SessionQuery } from './query.ts';
import type { ReadAnswer, ReadRequest } from './reader-worker.ts';

/**
 * Reads a log that is open for writing. Every answer covers what was durable when it was asked for. The work is done in a thread of
 * its own, started with the first question. Authorisation is the caller's business. A cursor or time that makes no sense rejects
 * with RangeError.
 */
export interface AuditReader extends AuditAdmin {
  /** One event by its number, with the fields that were too large for an entry put back. */
  event(seq: number): Promise<RecordedEvent | undefined>;
  sessionList(query: SessionQuery): Promise<Page<SessionSummary>>;
  sessionGet(id: string): Promise<SessionSummary | undefined>;
  close(): Promise<void>;
}

export function openAuditReader(log: AuditLog, now: () => number = Date.now): AuditReader {
  const thread = new ReaderThread(log.dir);
  const ask = async <T>(request: ReadRequest): Promise<T> => {
    await log.settle();
    return (await thread.ask(request)) as T;
  };
  return {
    events: (query: EventQuery) => ask({ kind: 'events', query }),
    event: (seq) => ask({ kind: 'event', seq }),
    sessionList: (query) => ask({ kind: 'sessionList', query }),
    sessionGet: (id) => ask({ kind: 'sessionGet', id }),
    checkpoint: () => log.checkpoint(),
    export: (by: Caller) => exportStream(log, thread, by, now()),
    close: () => thread.close(),
  };
}

/** The export holds the event that records it. */
async function* exportStream(log: AuditLog, thread: ReaderThread, by: Caller, now: number): AsyncGenerator<Buffer> {
  await log.record({ type: 'audit.exported', principal: by.principal.id });
  const { note, vkey } = await log.checkpoint();
  const checkpoint = openCheckpoint(note, vkey);
  const id = (await thread.ask({ kind: 'exportBegin', options: { note, vkey, checkpoint, now } })) as number;
  try {
    for (;;) {
      const piece = (await thread.ask({ kind: 'exportNext', export: id })) as Uint8Array | undefined;
      if (piece === undefined) return;
      yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    }
  } finally {
    await thread.ask({ kind: 'exportEnd', export: id });
  }
}

class ReaderThread {
  readonly #dir: string;
  #worker: Worker | undefined;
  #closed = false;
  #next = 0;
  readonly #asked = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  ask(request: ReadRequest): Promise<unknown> {
    if (this.#closed) return Promise.reject(new Error('the audit reader is closed'));
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      worker.postMessage({ id, request });
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const file = import.meta.url.endsWith('.ts') ? './reader-worker.ts' : './reader-worker.js';
    const worker = new Worker(new URL(file, import.meta.url), { workerData: { dir: this.#dir }, execArgv: [] });
    worker.on('message', ({ id, value, error, range }: ReadAnswer) => {
      const asked = this.#asked.get(id);
      this.#asked.delete(id);
      if (error === undefined) asked?.resolve(value);
      else asked?.reject(range === true ? new RangeError(error) : new Error(error));
    });
    // The questions that were open fail; the next one starts a new thread.
    const gone = (error: Error): void => {
      if (this.#worker === worker) this.#worker = undefined;
      for (const { reject } of this.#asked.values()) reject(error);
      this.#asked.clear();
    };
    worker.on('error', gone);
    worker.on('exit', () => gone(new Error('the thread that reads the audit log has stopped')));
    return worker;
  }
}
