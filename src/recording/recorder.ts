import { existsSync } from 'node:fs';
import type { AuditPort, RecordingPort } from '../gateway/ports.ts';
import type { RecordedFrame, RecordingEnd } from '../gateway/protocol.ts';
import type { Session } from '../model/session.ts';
import { Buffers } from './buffers.ts';
import { Compressor } from './compress.ts';
import { diskFiles, isSessionId, openPath, type RecordingFiles, sealedPath } from './files.ts';
import type { RecordingHeader } from './format.ts';
import { Pressure } from './pressure.ts';
import { readFrames } from './reader.ts';
import { recoverRecordings } from './recovery.ts';
import { RecordingWriter, type Sealed, type WriterDeps } from './writer.ts';

export interface RecorderOptions {
  /** Recordings stand under `YYYY/MM/DD/<session>.rec` in here; those being written under `open/`. Only one process may use it. */
  readonly dir: string;
  readonly audit: Pick<AuditPort, 'record'>;
  /** ms since the epoch, as in `Session.startedAt`. */
  readonly now: () => number;
  /** A session whose recording failed must end; its next `reply` rejects too. `cause` is for the operator's log. */
  readonly onFailure?: (session: Session, cause: Error) => void;
  readonly files?: RecordingFiles;
  /** Content is on its way to the file after at most this long. Default 1000. */
  readonly sealAfterMs?: number;
  /** Bytes on their way to the disk before `reply` asks to wait: of a session (2 MiB), of all (64 MiB). */
  readonly sessionLimit?: number;
  readonly totalLimit?: number;
}

export interface RecordingReader {
  /**
   * The frames of a recording, in order, with one segment in memory at a time; of a live session what it did up to now. Returns how it
   * ends. Undefined when there is none. Iterating throws RecordingDamaged after the last intact frame of a damaged or cut one.
   */
  frames(sessionId: string): AsyncGenerator<RecordedFrame, RecordingEnd> | undefined;
}

export interface Recorder extends RecordingPort, RecordingReader {
  /** Closes what a crash left open; see `recoverRecordings`. Before the first session. */
  recover(sessions?: readonly RecordingHeader[]): Promise<number>;
  /** Seals every recording that is still open. Rejects, when all are done, if the log did not take one of the seals. */
  close(): Promise<void>;
}

/** Does nothing on the disk before the first session has something to record. */
export function openRecorder(options: RecorderOptions): Recorder {
  const { dir, audit } = options;
  const files = options.files ?? diskFiles;
  const live = new Map<string, RecordingWriter>();
  const compressor = new Compressor();
  const ticker = new Ticker(options.sealAfterMs ?? 1000);
  const deps: WriterDeps = {
    dir,
    files,
    now: options.now,
    buffers: new Buffers(),
    compressor,
    pressure: new Pressure(options.totalLimit ?? 67_108_864),
    sessionLimit: options.sessionLimit ?? 2_097_152,
    dirty: (writer) => ticker.add(writer),
    relieve: () => ticker.sealAll(),
    failed: (session, cause) => options.onFailure?.(session, cause),
    async sealed(session, seal) {
      await audit.record(sealedEvent(session, seal));
    },
    closed: (session) => live.delete(session.id),
  };
  return {
    open(session) {
      openPath(dir, session.id); // throws for an id that makes no file name
      if (live.has(session.id)) throw new RangeError('the session is being recorded already');
      const writer = new RecordingWriter(session, deps);
      live.set(session.id, writer);
      return writer;
    },
    frames(sessionId) {
      const writer = live.get(sessionId);
      if (writer !== undefined) return liveFrames(writer, dir, () => live.has(sessionId));
      if (!isSessionId(sessionId)) return undefined;
      const paths = [sealedPath(dir, sessionId), openPath(dir, sessionId)];
      return paths.some((path) => existsSync(path)) ? readFrames(paths) : undefined;
    },
    recover: (sessions = []) => recoverRecordings({ dir, audit, files, sessions }),
    async close() {
      const closed = await Promise.allSettled([...live.values()].map((writer) => writer.close()));
      ticker.stop();
      compressor.close();
      for (const result of closed) if (result.status === 'rejected') throw result.reason;
    },
  };
}

function sealedEvent(session: Session, seal: Sealed) {
  const { truncated, ...rest } = seal;
  return {
    type: 'recording.sealed' as const,
    session: session.id,
    principal: session.principal.id,
    target: session.target,
    ...rest,
    ...(truncated ? { truncated } : {}),
  };
}

async function* liveFrames(
  writer: RecordingWriter,
  dir: string,
  live: () => boolean,
): AsyncGenerator<RecordedFrame, RecordingEnd> {
  await writer.flush();
  const until = writer.position;
  if (until === 0) return 'live';
  const { id } = writer.session;
  // It may have been sealed meanwhile, and moved.
  return yield* readFrames([openPath(dir, id), sealedPath(dir, id)], live() ? { until } : {});
}

/** Parts of the time that content may wait: at the end of each, segments whose time has come are sealed. */
const slots = 8;

/**
 * Seals segments that do not fill, when they have waited for the second half of their time. They are spread evenly over that, so that
 * sessions that began together do not all compress at the same moment. Costs one timer for all sessions, none while all are idle.
 */
class Ticker {
  readonly #everyMs: number;
  readonly #due: readonly Set<RecordingWriter>[] = Array.from({ length: slots }, () => new Set());
  #now = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(sealAfterMs: number) {
    this.#everyMs = sealAfterMs / slots;
  }

  add(writer: RecordingWriter): void {
    let least = this.#in(slots);
    for (let ahead = slots - 1; ahead > slots / 2; ahead--) {
      const due = this.#in(ahead);
      if (due.size < least.size) least = due;
    }
    least.add(writer);
    this.#timer ??= setTimeout(() => this.#tick(), this.#everyMs).unref();
  }

  sealAll(): void {
    for (const due of this.#due) this.#seal(due);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    this.#now += 1;
    this.#seal(this.#in(0));
    const idle = this.#due.every((due) => due.size === 0);
    this.#timer = idle ? undefined : setTimeout(() => this.#tick(), this.#everyMs).unref();
  }

  #seal(due: Set<RecordingWriter>): void {
    for (const writer of due) writer.seal();
    due.clear();
  }

  #in(ticks: number): Set<RecordingWriter> {
    return this.#due[(this.#now + ticks) % slots]!;
  }
}
