import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RecordedFrame, RecordingEnd } from '../gateway/protocol.ts';
import type { AuditEvent } from '../model/event.ts';
import type { Session } from '../model/session.ts';
import { uuidv7 } from '../model/uuid.ts';
import { diskFiles, type RecordingFiles, sealedPath } from './files.ts';
import { openRecorder, type Recorder, type RecorderOptions } from './recorder.ts';

/** For tests: a recorder in a folder of its own, with a log that keeps what it is told. */
export class Fixture implements AsyncDisposable {
  readonly dir: string;
  readonly events: AuditEvent[] = [];
  readonly failures: string[] = [];
  readonly recorder: Recorder;
  now = 1_790_000_000_000;
  readonly audit = {
    record: async (event: AuditEvent) => {
      this.events.push(event);
      return this.events.length;
    },
  };

  private constructor(dir: string, options: Partial<RecorderOptions>) {
    this.dir = dir;
    const onFailure = (session: Session, cause: Error) => this.failures.push(`${session.id} ${cause.message}`);
    this.recorder = openRecorder({ dir, audit: this.audit, now: () => this.now, onFailure, ...options });
  }

  static async create(options: Partial<RecorderOptions> = {}): Promise<Fixture> {
    return new Fixture(await mkdtemp(join(tmpdir(), 'recording-')), options);
  }

  session(): Session {
    const principal = {
      id: 'ci:agent',
      kind: 'agent',
      issuer: 'ci',
      subject: 'agent',
      name: 'agent',
      groups: [],
      claims: {},
    } as const;
    return {
      id: uuidv7(this.now),
      principal,
      target: 'shop',
      protocol: 'postgres',
      client: { address: '127.0.0.1' },
      startedAt: this.now,
    };
  }

  sealedPath(session: Session): string {
    return sealedPath(this.dir, session.id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.recorder.close();
    await rm(this.dir, { recursive: true });
  }
}

/** The frames, and how they ended: regularly, or with an error. */
export async function collect(
  frames: AsyncGenerator<RecordedFrame, RecordingEnd> | undefined,
): Promise<{ readonly frames: RecordedFrame[]; readonly end?: RecordingEnd; readonly error?: Error }> {
  const collected: RecordedFrame[] = [];
  try {
    for (;;) {
      const next = await frames?.next();
      if (next === undefined) return { frames: collected };
      if (next.done === true) return { frames: collected, end: next.value };
      collected.push(next.value);
    }
  } catch (error) {
    return { frames: collected, error: error as Error };
  }
}

/** All reply bytes of one exchange. */
export function replyOf(frames: readonly RecordedFrame[], exchange: number): Buffer {
  return Buffer.concat(
    frames.filter((frame) => frame.direction === 'reply' && frame.exchange === exchange).map(({ bytes }) => bytes),
  );
}

/** A disk whose writes do what `write` says; `proceed` is the real write. */
export function disk(
  write: (proceed: () => Promise<{ bytesWritten: number }>) => Promise<{ bytesWritten: number }>,
): RecordingFiles {
  return {
    ...diskFiles,
    async open(path, flags, mode) {
      const handle = await diskFiles.open(path, flags, mode);
      return new Proxy(handle, {
        get(target, property) {
          if (property === 'writev') {
            return (parts: readonly Buffer[], position: number) => write(() => target.writev([...parts], position));
          }
          const value: unknown = Reflect.get(target, property, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    },
  };
}
