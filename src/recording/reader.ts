import { type FileHandle, open } from 'node:fs/promises';
import type { RecordedFrame, RecordingEnd } from '../gateway/protocol.ts';
import { RecordingDamaged } from './damaged.ts';
import { FrameParser } from './frame.ts';
import { Scan } from './scan.ts';

/**
 * Frames of the first of these files that exists. `until` marks a session that goes on: reading ends there, without a seal.
 * Throws RecordingDamaged after the last intact frame, RangeError when there is no such file.
 */
export async function* readFrames(
  paths: readonly string[],
  options: { until?: number } = {},
): AsyncGenerator<RecordedFrame, RecordingEnd> {
  const handle = await openFirst(paths);
  try {
    const scan = new Scan(handle, options.until);
    await scan.header();
    const parser = new FrameParser();
    for (;;) {
      const block = await scan.next();
      if (block?.kind === 'seal') return block.seal.truncated ? 'truncated' : 'sealed';
      if (block === undefined) {
        if (options.until !== undefined) return 'live';
        throw new RecordingDamaged(
          scan.segments + 1,
          `the recording ends without a seal after segment ${scan.segments}`,
        );
      }
      const frames = parser.parse(block.plain, block.frames);
      if (frames === undefined)
        throw new RecordingDamaged(block.number, `segment ${block.number} of the recording holds no whole frames`);
      yield* frames;
    }
  } finally {
    await handle.close();
  }
}

export interface VerifiedRecording {
  readonly session: string;
  /** To be compared with the `digest` of the audit log's `recording.sealed`. */
  readonly digest: string;
  readonly segments: number;
  readonly frames: number;
  /** Reply bytes that the client was shown. */
  readonly bytes: number;
  /** Closed after a crash. */
  readonly truncated: boolean;
}

/** Reads all of a sealed recording. Throws RecordingDamaged. Only the digest in the audit log tells a recording from a forged one. */
export async function verifyRecording(path: string): Promise<VerifiedRecording> {
  const handle = await openFirst([path]);
  try {
    const scan = new Scan(handle);
    const { session } = await scan.header();
    const parser = new FrameParser();
    let bytes = 0;
    for (;;) {
      const block = await scan.next();
      if (block === undefined)
        throw new RecordingDamaged(
          scan.segments + 1,
          `the recording ends without a seal after segment ${scan.segments}`,
        );
      if (block.kind === 'seal') {
        const { truncated, segments, frames } = block.seal;
        if (bytes !== block.seal.bytes)
          throw new RecordingDamaged(segments, 'the seal counts other bytes than the segments hold');
        return { session, digest: scan.digest.toString('hex'), segments, frames, bytes, truncated };
      }
      const frames = parser.parse(block.plain, block.frames);
      if (frames === undefined)
        throw new RecordingDamaged(block.number, `segment ${block.number} of the recording holds no whole frames`);
      for (const frame of frames) if (frame.direction === 'reply') bytes += frame.bytes.length;
    }
  } finally {
    await handle.close();
  }
}

async function openFirst(paths: readonly string[]): Promise<FileHandle> {
  for (const path of paths) {
    try {
      return await open(path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new RangeError('there is no such recording');
}
