import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import {
  FrameError,
  frameChecksum,
  frameHeaderBytes,
  maxEntryBytes,
  type Position,
  segmentHeaderBytes,
} from './frame.ts';
import { segmentPath } from './segment.ts';

const chunkBytes = 1024 * 1024;

/** One entry as it lies in a segment. */
export interface Frame {
  /** A view that is good until the next frame is asked for. The byte before it belongs to the reader and may be overwritten. */
  readonly payload: Buffer;
  readonly at: Position;
  /** Where the next frame begins. */
  readonly next: Position;
}

/**
 * The frames from one position to another (or to where the zeros begin), in order, each checked against its checksum.
 * Throws FrameError at the first that is not whole, and when the zeros begin before `to`. Memory: one chunk.
 */
export function* readFrames(dir: string, from: Position, to?: Position): Generator<Frame, Position> {
  let at = from;
  for (;;) {
    const last = to === undefined || at.segment === to.segment;
    const end = yield* segmentFrames(dir, at, to?.segment === at.segment ? to.offset : undefined);
    if (last) return end;
    at = { segment: at.segment + 1, offset: segmentHeaderBytes };
  }
}

function* segmentFrames(dir: string, from: Position, limit: number | undefined): Generator<Frame, Position> {
  const { segment } = from;
  const fd = openSync(segmentPath(dir, segment), 'r');
  try {
    const stop = limit ?? fstatSync(fd).size;
    const chunk = Buffer.allocUnsafe(chunkBytes);
    let start = from.offset; // of the chunk, in the file
    let have = 0; // bytes of the chunk that are filled
    let offset = from.offset;
    const fill = (): void => {
      chunk.copyWithin(0, offset - start, have);
      have -= offset - start;
      start = offset;
      const count = readSync(fd, chunk, have, Math.min(chunkBytes - have, stop - start - have), start + have);
      have += count;
    };
    while (stop - offset >= frameHeaderBytes) {
      if (have - (offset - start) < frameHeaderBytes) fill();
      const at = { segment, offset };
      const length = have - (offset - start) < frameHeaderBytes ? 0 : chunk.readUInt32BE(offset - start);
      if (length === 0) break;
      const size = frameHeaderBytes + length;
      if (length > maxEntryBytes || offset + size > stop) throw new FrameError(`a frame claims ${length} bytes`, at);
      if (have - (offset - start) < size) fill();
      const i = offset - start;
      if (have - i < size) throw new FrameError('the file ends inside a frame', at);
      const payload = chunk.subarray(i + frameHeaderBytes, i + size);
      if (frameChecksum(payload) !== chunk.readUInt32BE(i + 4))
        throw new FrameError('a frame does not match its checksum', at);
      offset += size;
      yield { payload, at, next: { segment, offset } };
    }
    if (limit !== undefined && offset !== limit)
      throw new FrameError(`the frames end before byte ${limit}`, { segment, offset });
    return { segment, offset };
  } finally {
    closeSync(fd);
  }
}
