import { parentPort, workerData } from 'node:worker_threads';
import { Follower, type FollowerOptions } from './follower.ts';
import type { Position } from './frame.ts';
import type { OpenWork } from './log-index.ts';
import { listSegments, preallocateSegment } from './segment.ts';

/** The thread behind the log: follows it, and makes segments ahead of it. */
export interface WorkerOptions extends FollowerOptions {
  readonly end: Position & { readonly entries: number };
  readonly segmentBytes: number;
  /** Segments that wait ahead of the writer. */
  readonly spares: number;
  /** Time between two checkpoints while the log grows, ms. */
  readonly publishMs: number;
}

export type ToWorker =
  | { readonly kind: 'durable'; readonly to: Position }
  /** Index all up to there, sign it if `sign`, and answer. */
  | { readonly kind: 'sync'; readonly to: Position; readonly id: number; readonly sign: boolean }
  | { readonly kind: 'close'; readonly to: Position };

export type FromWorker =
  | { readonly kind: 'ready'; readonly open: OpenWork; readonly note: string }
  | { readonly kind: 'synced'; readonly id: number; readonly note: string }
  | { readonly kind: 'noSpare'; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'closed' };

if (parentPort !== null) run(workerData as WorkerOptions, (message) => parentPort?.postMessage(message));

function run(options: WorkerOptions, post: (message: FromWorker) => void): void {
  const port = parentPort;
  if (port === null) return;
  const fail = (error: unknown): void => {
    post({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
    port.close();
  };
  let follower: Follower;
  try {
    follower = new Follower(options, options.end);
  } catch (error) {
    fail(error);
    return;
  }
  post({ kind: 'ready', open: follower.openWork(), note: follower.note });

  let timer: NodeJS.Timeout | undefined;
  const publish = (): void => {
    timer = undefined;
    try {
      follower.publish();
    } catch (error) {
      fail(error);
    }
  };
  // Made from the first message on: at start the disk is measured, and is to be left alone.
  const spares = keepSpares(options, post);
  port.on('message', (message: ToWorker) => {
    try {
      follower.advance(message.to);
      if (message.kind === 'durable') {
        timer ??= setTimeout(publish, options.publishMs);
      } else if (message.kind === 'sync') {
        if (message.sign) follower.publish();
        else follower.commit();
        timer ??= setTimeout(publish, options.publishMs);
        post({ kind: 'synced', id: message.id, note: follower.note });
      } else {
        clearTimeout(timer);
        follower.close();
        post({ kind: 'closed' });
        port.close();
        return;
      }
      spares(message.to.segment);
    } catch (error) {
      clearTimeout(timer);
      fail(error);
    }
  });
}

/** Keeps some segments ready ahead of the one in use, one being made at a time. */
function keepSpares(options: WorkerOptions, post: (message: FromWorker) => void): (current: number) => void {
  let wanted = -1;
  let made = Math.max(-1, ...listSegments(options.dir));
  let busy = false;
  const next = (): void => {
    if (busy || made >= wanted) return;
    busy = true;
    const segment = made + 1;
    preallocateSegment(options.dir, segment, options.segmentBytes, true)
      .then(
        () => {
          made = segment;
        },
        (error: Error) => {
          // Tried again when the writer has gone on; it stops by itself when it has no room left.
          wanted = -1;
          post({ kind: 'noSpare', message: error.message });
        },
      )
      .finally(() => {
        busy = false;
        next();
      });
  };
  return (current) => {
    wanted = Math.max(wanted, current + options.spares);
    next();
  };
}
