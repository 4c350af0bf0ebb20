import type { KeyObject } from 'node:crypto';
import { statSync } from 'node:fs';
import { openCheckpoint, readCheckpointNote, vkeyOf, writeCheckpoint } from './checkpoint.ts';
import { type Position, segmentHeaderBytes } from './frame.ts';
import { readFrames } from './frames.ts';
import { LogIndex, type OpenWork } from './log-index.ts';
import type { Checkpoint } from './note.ts';
import { listSegments, readSegmentHeader, segmentPath } from './segment.ts';
import { TileStore } from './tile-store.ts';
import { TileTree, tileWidth } from './tiles.ts';
import { hashBytes, leafHashInPlace } from './tree.ts';

export interface FollowerOptions {
  readonly dir: string;
  readonly origin: string;
  readonly signingKey: KeyObject;
  /** Up to this much history is read in full at start; of a longer one the last segment, and what the tiles say about the rest. */
  readonly fullCheckBytes: number;
}

/**
 * Walks behind the writer over entries that are durable: hashes them into the tree, keeps tiles, signs checkpoints, keeps the index.
 * Everything it keeps but the checkpoint is derived from the segments.
 */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #store: TileStore;
  readonly #index: LogIndex;
  #tree: TileTree;
  #at: Position;
  #note: string;
  #signed: Checkpoint;

  /**
   * Opens the log's derived files and brings them up to `end`. Throws when the history is not the one that was signed: entries
   * that are missing, or that hash to another root.
   */
  constructor(options: FollowerOptions, end: Position & { readonly entries: number }) {
    this.#options = options;
    this.#store = new TileStore(options.dir);
    const note = readCheckpointNote(options.dir);
    if (note === undefined) throw new Error('the checkpoint is missing');
    this.#note = note;
    this.#signed = openCheckpoint(note, vkeyOf(options.origin, options.signingKey));
    this.#index = LogIndex.open(options.dir, options.origin, end.entries);
    this.#at = end;
    this.#tree = this.#newTree();
    if (this.#short() || !this.#fromTiles(end)) this.#fromSegments(end);
    this.#at = { segment: end.segment, offset: end.offset };
    this.#index.commit();
    if (this.#tree.size === this.#signed.size) this.#writeEdge();
  }

  get note(): string {
    return this.#note;
  }

  openWork(): OpenWork {
    return this.#index.openWork();
  }

  /** Short enough to be read in full. */
  #short(): boolean {
    return (
      listSegments(this.#options.dir).reduce((sum, segment) => sum + usedBytes(this.#options.dir, segment), 0) <=
      this.#options.fullCheckBytes
    );
  }

  #newTree(): TileTree {
    return new TileTree((level, index, hashes) => {
      this.#store.put(level, index, tileWidth, hashes);
      this.#store.removePartial(level, index);
    });
  }

  /** The usual way: the tiles lead to the signed root, and the last segments' entries are those the tiles say. */
  #fromTiles(end: Position): boolean {
    const { size, root } = this.#signed;
    const read = this.#store.read.bind(this.#store);
    if (!this.#tree.restore(size, read) || !this.#tree.root().equals(root)) return false;
    return this.#walk(segmentOf(this.#options.dir, Math.min(size, this.#index.position.entry)), end);
  }

  /** Tiles are missing or changed, or the entries are: all of the history is read, and decides. */
  #fromSegments(end: Position): void {
    this.#tree = this.#newTree();
    const first = listSegments(this.#options.dir)[0] ?? 0;
    this.#walk({ segment: first, entry: readSegmentHeader(this.#options.dir, first)?.firstEntry ?? 0 }, end);
  }

  #walk(from: { readonly segment: number; readonly entry: number }, end: Position): boolean {
    const known = this.#tree.size;
    const { size, root } = this.#signed;
    let entry = from.entry;
    let tile: Buffer | undefined;
    let tileIndex = -1;
    const unlike = (): Error =>
      new Error(`the audit log's first ${size} entries are not those that were signed: the history was changed`);
    if (known === size && !this.#tree.root().equals(root)) throw unlike();
    for (const frame of readFrames(this.#options.dir, { segment: from.segment, offset: segmentHeaderBytes }, end)) {
      const leaf = leafOf(frame.payload);
      if (entry < known) {
        const index = Math.floor(entry / tileWidth);
        if (index !== tileIndex) {
          tile = this.#store.read(0, index, Math.min(tileWidth, known - index * tileWidth));
          tileIndex = index;
        }
        const at = (entry % tileWidth) * hashBytes;
        if (tile === undefined || !tile.subarray(at, at + hashBytes).equals(leaf)) return false;
      } else {
        this.#tree.append(leaf);
        if (this.#tree.size === size && !this.#tree.root().equals(root)) throw unlike();
      }
      if (entry === this.#index.position.entry) this.#index.add(frame);
      entry++;
    }
    return true;
  }

  /** Takes in what is durable now. */
  advance(to: Position): void {
    for (const frame of readFrames(this.#options.dir, this.#at, to)) {
      this.#tree.append(leafOf(frame.payload));
      this.#index.add(frame);
    }
    this.#at = to;
  }

  /** Makes what was taken in visible to readers. */
  commit(): void {
    this.#index.commit();
  }

  /** The same, and signs the tree head. */
  publish(): void {
    this.#index.commit();
    if (this.#tree.size !== this.#signed.size) this.#sign();
  }

  /** Tiles first, so that a checkpoint never speaks of tiles that are not there. */
  #sign(): void {
    const edge = this.#writeEdge();
    this.#signed = { origin: this.#options.origin, size: this.#tree.size, root: this.#tree.root() };
    this.#note = writeCheckpoint(this.#options.dir, this.#signed, this.#options.signingKey);
    for (const { level, index, width } of edge) this.#store.removePartial(level, index, width);
  }

  #writeEdge(): ReturnType<TileTree['partial']> {
    const edge = this.#tree.partial();
    for (const { level, index, width, hashes } of edge) this.#store.put(level, index, width, hashes);
    return edge;
  }

  close(): void {
    this.publish();
    this.#index.close();
  }
}

/** A spare counts for nothing. */
function usedBytes(dir: string, segment: number): number {
  return readSegmentHeader(dir, segment) === undefined ? 0 : statSync(segmentPath(dir, segment)).size;
}

/** A frame's payload has its header before it in memory, which a reader may overwrite. */
function leafOf(payload: Buffer): Buffer {
  const whole = Buffer.from(payload.buffer, payload.byteOffset - 1, payload.length + 1);
  return leafHashInPlace(whole, 1, whole.length);
}

/** The segment that holds an entry, and the first entry in it. */
export function segmentOf(dir: string, entry: number): { readonly segment: number; readonly entry: number } {
  let found = { segment: 0, entry: 0 };
  for (const segment of listSegments(dir)) {
    const header = readSegmentHeader(dir, segment);
    if (header === undefined || header.firstEntry > entry) break;
    found = { segment, entry: header.firstEntry };
  }
  return found;
}
