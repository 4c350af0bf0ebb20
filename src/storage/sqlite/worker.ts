import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import type { FromWorker, ToWorker, WorkerData } from './messages.ts';

/**
 * The thread that owns the database file, so that a commit (an fsync) never blocks the data path's event loop. The entry
 * point of a worker, never imported. Statements run one at a time, in the order they arrive.
 */
const { file, busyMs } = workerData as WorkerData;
const port = parentPort;
if (port === null) throw new Error('worker.ts runs as a worker thread only');

const database = new DatabaseSync(file, {
  timeout: busyMs,
  enableForeignKeyConstraints: true,
  enableDoubleQuotedStringLiterals: false,
});
// FULL: in WAL mode every commit is synced, so what was acknowledged survives a power cut.
database.exec('pragma synchronous = full; pragma trusted_schema = off');
enterWal();

const statements = new Map<string, StatementSync>();
const statementsKept = 100;

port.on('message', (message: ToWorker) => {
  port.postMessage(answer(message));
  if (message.kind === 'close') port.close();
});

function answer(message: ToWorker): FromWorker {
  try {
    if (message.kind === 'close') {
      database.close();
      return { id: message.id, kind: 'done', rows: [], changes: 0 };
    }
    const statement = prepared(message.sql);
    if (statement.columns().length > 0) {
      const rows = statement.all(...message.parameters);
      return { id: message.id, kind: 'done', rows, changes: rows.length };
    }
    return { id: message.id, kind: 'done', rows: [], changes: Number(statement.run(...message.parameters).changes) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { code, errcode } = error as { code?: string; errcode?: number };
    return {
      id: message.id,
      kind: 'error',
      message: error.message,
      ...(code === undefined ? {} : { code }),
      ...(errcode === undefined ? {} : { errcode }),
    };
  }
}

function prepared(sql: string): StatementSync {
  const known = statements.get(sql);
  if (known !== undefined) return known;
  const statement = database.prepare(sql);
  if (statements.size >= statementsKept) statements.delete(statements.keys().next().value as string);
  statements.set(sql, statement);
  return statement;
}

/** The busy timeout does not cover the change of journal mode: when two processes create the file together, the later one asks again. */
function enterWal(): void {
  for (let attempt = 1; ; attempt++) {
    try {
      const row = database.prepare('pragma journal_mode = wal').get();
      if (row?.journal_mode === 'wal') return;
      throw new Error(
        `write-ahead logging is not possible here (journal mode ${String(row?.journal_mode)}); is this a network file system?`,
      );
    } catch (error) {
      const busy = error instanceof Error && 'errcode' in error && Number(error.errcode) % 256 === 5;
      if (!busy || attempt * 10 > busyMs) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
