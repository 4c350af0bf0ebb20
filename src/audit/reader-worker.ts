import { parentPort, workerData } from 'node:worker_threads';
import { type ExportOptions, exportLog } from './export.ts';
import { type EventQuery, LogQuery, type SessionQuery } from './query.ts';

/** What the thread for questions is asked. Exports are pulled piece by piece, so that a slow receiver holds nothing up. */
export type ReadRequest =
  | { readonly kind: 'events'; readonly query: EventQuery }
  | { readonly kind: 'event'; readonly seq: number }
  | { readonly kind: 'sessionList'; readonly query: SessionQuery }
  | { readonly kind: 'sessionGet'; readonly id: string }
  | { readonly kind: 'exportBegin'; readonly options: Omit<ExportOptions, 'dir'> }
  | { readonly kind: 'exportNext'; readonly export: number }
  | { readonly kind: 'exportEnd'; readonly export: number };

export interface ReadAnswer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
  /** The question was wrong, rather than the log. */
  readonly range?: boolean;
}

/** One piece of an export holds at least this, but for the last. */
const pieceBytes = 256 * 1024;

if (parentPort !== null) serve((workerData as { readonly dir: string }).dir);

function serve(dir: string): void {
  const query = new LogQuery(dir);
  const exports = new Map<number, Generator<Buffer>>();
  let nextExport = 0;

  const answer = (request: ReadRequest): unknown => {
    switch (request.kind) {
      case 'events':
        return query.events(request.query);
      case 'event':
        return query.event(request.seq);
      case 'sessionList':
        return query.sessionList(request.query);
      case 'sessionGet':
        return query.sessionGet(request.id);
      case 'exportBegin':
        exports.set(nextExport, exportLog({ ...request.options, dir }));
        return nextExport++;
      case 'exportNext':
        return nextPiece(exports.get(request.export));
      case 'exportEnd':
        exports.get(request.export)?.return(undefined);
        exports.delete(request.export);
        return undefined;
    }
  };

  parentPort?.on('message', ({ id, request }: { readonly id: number; readonly request: ReadRequest }) => {
    try {
      parentPort?.postMessage({ id, value: answer(request) } satisfies ReadAnswer);
    } catch (error) {
      parentPort?.postMessage({
        id,
        error: (error as Error).message,
        range: error instanceof RangeError,
      } satisfies ReadAnswer);
    }
  });
}

function nextPiece(pieces: Generator<Buffer> | undefined): Uint8Array | undefined {
  const taken: Buffer[] = [];
  let bytes = 0;
  while (bytes < pieceBytes) {
    const piece = pieces?.next();
    if (piece === undefined || piece.done === true) break;
    taken.push(piece.value);
    bytes += piece.value.length;
  }
  return bytes === 0 ? undefined : Buffer.concat(taken);
}
