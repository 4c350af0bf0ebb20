import { segmentHeaderBytes } from './frame.ts';
import { readFrames } from './frames.ts';
import type { Checkpoint } from './note.ts';
import { listSegments } from './segment.ts';
import { tarEnd, tarHeader, tarPadding } from './tar.ts';
import { TileStore } from './tile-store.ts';
import { bundlePath, partialTiles, tilePath, tileWidth } from './tiles.ts';

export interface ExportOptions {
  readonly dir: string;
  readonly note: string;
  readonly checkpoint: Checkpoint;
  readonly vkey: string;
  /** ms since the epoch; the archive's time stamps. */
  readonly now: number;
}

/** What an export says about itself. Part of what is verified. */
export function exportReadme(origin: string): string {
  return `Audit log ${origin}

checkpoint       the signed tree head (C2SP signed-note, tlog-checkpoint): origin, number of entries, root hash
log.vkey         the public key it was signed with, for convenience: compare it with the one you were given another way
tile/<L>/<N>     hashes of the Merkle tree (RFC 6962, SHA-256), 256 a tile (C2SP tlog-tiles)
tile/entries/<N> the entries, 256 a file, each preceded by its length (16 bits, big endian)

An entry holds one or more events, one JSON object a line, numbered without gaps by "seq". An event with "large" had fields that do
not fit an entry: their JSON text is in the "data" of the audit.part events that the field names, in order.

Verify offline:  sallyport audit verify THIS_FILE --vkey KEY
`;
}

/** The log up to a checkpoint as a ustar archive, in pieces. Memory: one bundle of entries, 16 MiB at most. */
export function* exportLog({ dir, note, checkpoint, vkey, now }: ExportOptions): Generator<Buffer> {
  function* member(name: string, content: Buffer): Generator<Buffer> {
    yield Buffer.concat([tarHeader(name, content.length, now), content, tarPadding(content.length)]);
  }
  yield* member('README', Buffer.from(exportReadme(checkpoint.origin)));
  yield* member('checkpoint', Buffer.from(note));
  yield* member('log.vkey', Buffer.from(`${vkey}\n`));
  yield* tiles(dir, checkpoint.size, member);
  yield* bundles(dir, checkpoint.size, member);
  yield tarEnd();
}

type Member = (name: string, content: Buffer) => Generator<Buffer>;

function* tiles(dir: string, size: number, member: Member): Generator<Buffer> {
  const store = new TileStore(dir);
  const read = (level: number, index: number, width: number): Buffer => {
    const hashes = store.read(level, index, width);
    if (hashes === undefined)
      throw new Error(
        `${tilePath(level, index, width)} of the audit log is missing; it is made anew at the next start`,
      );
    return hashes;
  };
  let count = size;
  for (let level = 0; count > 0; level++) {
    count = Math.floor(count / tileWidth);
    for (let index = 0; index < count; index++) yield* member(tilePath(level, index), read(level, index, tileWidth));
  }
  for (const { level, index, width } of partialTiles(size))
    yield* member(tilePath(level, index, width), read(level, index, width));
}

function* bundles(dir: string, size: number, member: Member): Generator<Buffer> {
  const first = listSegments(dir)[0] ?? 0;
  let entry = 0;
  let bundle: Buffer[] = [];
  let at = { segment: first, offset: segmentHeaderBytes };
  while (entry < size) {
    for (const frame of readFrames(dir, at)) {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(frame.payload.length);
      bundle.push(length, Buffer.from(frame.payload));
      entry++;
      if (entry % tileWidth === 0 || entry === size) {
        yield* member(
          bundlePath(Math.floor((entry - 1) / tileWidth), entry % tileWidth || tileWidth),
          Buffer.concat(bundle),
        );
        bundle = [];
      }
      if (entry === size) return;
    }
    at = { segment: at.segment + 1, offset: segmentHeaderBytes };
  }
}
