import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Session } from '../src/model/session.ts';
import { uuidv7 } from '../src/model/uuid.ts';
import { sealedPath } from '../src/recording/files.ts';
import { openRecorder, type Recorder } from '../src/recording/recorder.ts';
import { rows } from './mask.ts';

/** Speed and memory of recording, onto the disk under the system's folder for temporary files. */
export interface RecordingFigures {
  /** One session, replies of 64 KiB, up to the sealed and synced file. */
  readonly megabytesPerSecond: number;
  /** Of the whole process: the loop's thread and the thread pool. */
  readonly cpuMsPerMegabyte: number;
  readonly compression: number;
  /** Reading it back, verified. */
  readonly replayMegabytesPerSecond: number;
  readonly small: SmallFigures;
}

/** A request and a reply of 100 bytes, from 32 sessions in turn, at 100,000 a second or so. */
export interface SmallFigures {
  /** µs that the caller stands still. */
  readonly callUs: number;
  /** CPU µs of everything: the loop's thread and the thread pool, compressing and writing included. */
  readonly cpuUs: number;
}

export interface IdleFigures {
  /**
   * Bytes on V8's heap and beside it per session that was opened and recorded one small exchange, after its segment was written. Not the
   * resident memory: what a burst of sessions makes V8 reserve is not the sessions'.
   */
  readonly bytesPerSession: number;
  readonly sessions: number;
}

const audit = { record: async () => 1 };

function newSession(): Session {
  const principal = { id: 'ci:a', kind: 'ci', issuer: 'ci', subject: 'a', name: 'a', groups: [], claims: {} } as const;
  const startedAt = Date.now();
  return {
    id: uuidv7(startedAt),
    principal,
    target: 'shop',
    protocol: 'postgres',
    client: { address: '::1' },
    startedAt,
  };
}

export async function measureRecording(megabytes = 400): Promise<RecordingFigures> {
  const dir = await mkdtemp(join(tmpdir(), 'recording-bench-'));
  try {
    const recorder = openRecorder({ dir, audit, now: Date.now });
    const chunks = Array.from({ length: 32 }, (_, i) => rows(0, i * 500));
    const run = async (size: number) => {
      const session = newSession();
      const recording = recorder.open(session);
      for (let sent = 0, i = 0; sent < size; i++) {
        const chunk = chunks[i % chunks.length]!;
        await recording.reply(1, chunk);
        sent += chunk.length;
      }
      await recording.close();
      return session;
    };
    await run(30e6);
    const cpu = process.cpuUsage();
    const start = performance.now();
    const session = await run(megabytes * 1e6);
    const seconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const { size } = await stat(sealedPath(dir, session.id));

    const replayStart = performance.now();
    let read = 0;
    for await (const frame of recorder.frames(session.id) ?? []) read += frame.bytes.length;
    const replaySeconds = (performance.now() - replayStart) / 1000;

    const small = await measureSmall(recorder);
    await recorder.close();
    return {
      megabytesPerSecond: read / 1e6 / seconds,
      cpuMsPerMegabyte: (user + system) / 1000 / (read / 1e6),
      compression: read / size,
      replayMegabytesPerSecond: read / 1e6 / replaySeconds,
      small,
    };
  } finally {
    await rm(dir, { recursive: true });
  }
}

async function measureSmall(recorder: Recorder): Promise<SmallFigures> {
  const recordings = Array.from({ length: 32 }, () => recorder.open(newSession()));
  const reply = Buffer.from('x'.repeat(100));
  const batch = 500;
  const run = async (batches: number) => {
    let busy = 0;
    const cpu = process.cpuUsage();
    for (let n = 0; n < batches; n++) {
      const from = performance.now();
      for (let i = 0; i < batch; i++) {
        const recording = recordings[i % recordings.length]!;
        recording.request(i, `{"text":"SELECT abalance FROM pgbench_accounts WHERE aid = ${n * batch + i}"}`);
        void recording.reply(i, reply);
      }
      busy += performance.now() - from;
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    const { user, system } = process.cpuUsage(cpu);
    return { callUs: (busy * 1000) / batches / batch, cpuUs: (user + system) / batches / batch };
  };
  await run(200);
  return run(600);
}

export async function measureIdle(sessions = 1000): Promise<IdleFigures> {
  const dir = await mkdtemp(join(tmpdir(), 'recording-bench-'));
  try {
    const recorder = openRecorder({ dir, audit, now: Date.now, sealAfterMs: 50 });
    const settle = async () => {
      await new Promise((resolve) => setTimeout(resolve, 800));
      (globalThis as { gc?: () => void }).gc?.();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const open = (count: number) => {
      for (let i = 0; i < count; i++) {
        const recording = recorder.open(newSession());
        recording.request(1, '{"text":"select 1"}');
        void recording.reply(1, Buffer.from('one small row'));
      }
    };
    open(sessions);
    const before = await settle();
    open(sessions);
    const after = await settle();
    await recorder.close();
    return { sessions, bytesPerSession: (after - before) / sessions };
  } finally {
    await rm(dir, { recursive: true });
  }
}

if (import.meta.main) {
  const idle = await measureIdle();
  const { megabytesPerSecond, cpuMsPerMegabyte, compression, replayMegabytesPerSecond, small } =
    await measureRecording();
  console.log(
    `recording: ${megabytesPerSecond.toFixed(0)} MB/s, ${cpuMsPerMegabyte.toFixed(2)} CPU ms/MB, compressed ${compression.toFixed(1)}-fold`,
  );
  console.log(`a small exchange: ${small.callUs.toFixed(2)} µs, ${small.cpuUs.toFixed(2)} CPU µs in all`);
  console.log(`replay, verified: ${replayMegabytesPerSecond.toFixed(0)} MB/s`);
  console.log(`${idle.sessions} idle recordings: ${(idle.bytesPerSession / 1024).toFixed(1)} KiB each`);
}
