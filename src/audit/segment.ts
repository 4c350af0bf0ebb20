import {
  closeSync,
  constants,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  write,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { decodeSegmentHeader, type SegmentHeader, segmentHeaderBytes } from './frame.ts';

export const defaultSegmentBytes = 64 * 1024 * 1024;

const zeros = Buffer.alloc(1024 * 1024);

/** A segment open for durable writes: what is written is on disk when the call returns (or the promise resolves). */
export interface SegmentFile {
  writeSync(bytes: Buffer, position: number): void;
  write(bytes: Buffer, position: number): Promise<void>;
  close(): void;
}

export function segmentsDir(dir: string): string {
  return join(dir, 'segments');
}

export function segmentPath(dir: string, segment: number): string {
  return join(segmentsDir(dir), `${String(segment).padStart(10, '0')}.seg`);
}

/** Numbers of the segment files that are there, spares included, in order. */
export function listSegments(dir: string): readonly number[] {
  return readdirSync(segmentsDir(dir))
    .filter((name) => /^\d{10}\.seg$/.test(name))
    .map((name) => Number(name.slice(0, 10)))
    .sort((a, b) => a - b);
}

/** Undefined for a spare: a segment that is full of zeros and waits for its turn. */
export function readSegmentHeader(dir: string, segment: number): SegmentHeader | undefined {
  const fd = openSync(segmentPath(dir, segment), 'r');
  try {
    const bytes = Buffer.alloc(segmentHeaderBytes);
    const length = readSync(fd, bytes, 0, segmentHeaderBytes, 0);
    const header = decodeSegmentHeader(bytes.subarray(0, length));
    return header?.segment === segment ? header : undefined;
  } finally {
    closeSync(fd);
  }
}

/** Opens with O_DSYNC: one system call writes and makes durable, and fails as a whole. Where the system has none, O_SYNC. */
export function openSegmentFile(path: string): SegmentFile {
  const fd = openSync(path, constants.O_WRONLY | (constants.O_DSYNC ?? constants.O_SYNC));
  return {
    writeSync(bytes, position) {
      for (let done = 0; done < bytes.length; )
        done += written(writeSync(fd, bytes, done, bytes.length - done, position + done));
    },
    async write(bytes, position) {
      for (let done = 0; done < bytes.length; ) {
        const { promise, resolve, reject } = Promise.withResolvers<number>();
        write(fd, bytes, done, bytes.length - done, position + done, (error, count) =>
          error ? reject(error) : resolve(count),
        );
        done += written(await promise);
      }
    },
    close: () => closeSync(fd),
  };
}

function written(count: number): number {
  if (count === 0) throw new Error('the disk took no bytes of a write');
  return count;
}

/**
 * Makes a segment full of zeros, under its final name only when all of it is on disk. Written rather than reserved: a later
 * write then changes no metadata, which saves a journal commit each. `gently` pauses between pieces, to leave the disk to others.
 */
export async function preallocateSegment(dir: string, segment: number, bytes: number, gently: boolean): Promise<void> {
  const path = segmentPath(dir, segment);
  const file = await open(`${path}.tmp`, 'w', 0o600);
  try {
    const piece = gently ? zeros.length / 4 : zeros.length;
    for (let done = 0; done < bytes; done += piece) {
      await file.write(zeros, 0, Math.min(piece, bytes - done), done);
      if (gently) {
        await file.datasync();
        await delay(2);
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
  place(dir, `${path}.tmp`, path);
}

/** The same at once, for the case that the log is faster than the preallocation. */
export function preallocateSegmentSync(dir: string, segment: number, bytes: number): void {
  const path = segmentPath(dir, segment);
  // Not the name the worker uses: it may be in the middle of the same segment.
  const fd = openSync(`${path}.now.tmp`, 'w', 0o600);
  try {
    for (let done = 0; done < bytes; done += zeros.length)
      writeSync(fd, zeros, 0, Math.min(zeros.length, bytes - done), done);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  place(dir, `${path}.now.tmp`, path);
}

/** Gives a finished file its name, unless the name is taken: a segment that is in use is never replaced. */
function place(dir: string, from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  rmSync(from);
  syncDirectory(segmentsDir(dir));
}

/** What an interrupted preallocation left. */
export function removeUnfinished(dir: string): void {
  for (const name of readdirSync(segmentsDir(dir))) if (name.endsWith('.tmp')) rmSync(join(segmentsDir(dir), name));
}

export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
