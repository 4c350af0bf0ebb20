import { emptyRoot, hashBytes, nodeHash, perfectRoot } from './tree.ts';

/** Hashes in a full tile: C2SP tlog-tiles, "Merkle Tree". */
export const tileWidth = 256;

/** `tile/<level>/<index>[.p/<width>]`, the index in groups of three digits: 1234067 is `x001/x234/067`. */
export function tilePath(level: number, index: number, width: number = tileWidth): string {
  return `tile/${level}/${indexPath(index)}${width === tileWidth ? '' : `.p/${width}`}`;
}

/** `tile/entries/<index>[.p/<width>]`. */
export function bundlePath(index: number, width: number = tileWidth): string {
  return `tile/entries/${indexPath(index)}${width === tileWidth ? '' : `.p/${width}`}`;
}

function indexPath(index: number): string {
  const digits = String(index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0');
  const groups = padded.match(/\d{3}/g) ?? [];
  return groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
}

/** The tiles at the right edge of a tree of this size, widths below 256, lowest level first. */
export function partialTiles(
  size: number,
): readonly { readonly level: number; readonly index: number; readonly width: number }[] {
  const tiles: { level: number; index: number; width: number }[] = [];
  let count = size;
  for (let level = 0; count > 0; level++) {
    const width = count % tileWidth;
    count = Math.floor(count / tileWidth);
    if (width > 0) tiles.push({ level, index: count, width });
  }
  return tiles;
}

/**
 * An append-only tree that remembers its right edge only: one tile a level. `full` is called with each tile that is complete, from the
 * lowest level up; the buffer is used again afterwards.
 */
export class TileTree {
  readonly #full: (level: number, index: number, hashes: Buffer) => void;
  readonly #levels: { readonly hashes: Buffer; width: number; index: number }[] = [];
  #size = 0;

  constructor(full: (level: number, index: number, hashes: Buffer) => void) {
    this.#full = full;
  }

  get size(): number {
    return this.#size;
  }

  append(leaf: Buffer): void {
    this.#size++;
    this.#add(0, leaf);
  }

  #add(level: number, hash: Buffer): void {
    const tile = this.#level(level);
    hash.copy(tile.hashes, tile.width * hashBytes);
    tile.width++;
    if (tile.width < tileWidth) return;
    const root = perfectRoot(tile.hashes, 0, tileWidth);
    this.#full(level, tile.index, tile.hashes);
    tile.width = 0;
    tile.index++;
    this.#add(level + 1, root);
  }

  #level(level: number) {
    let tile = this.#levels[level];
    if (tile === undefined) {
      tile = { hashes: Buffer.alloc(tileWidth * hashBytes), width: 0, index: 0 };
      this.#levels[level] = tile;
    }
    return tile;
  }

  /** RFC 6962, section 2.1: perfect subtrees folded from the right, which is the smallest first. */
  root(): Buffer {
    let root: Buffer | undefined;
    for (const tile of this.#levels) {
      for (let end = tile.width; end > 0; ) {
        const count = end & -end;
        end -= count;
        const subtree = perfectRoot(tile.hashes, end, count);
        root = root === undefined ? subtree : nodeHash(subtree, root);
      }
    }
    return root ?? emptyRoot();
  }

  /** The tiles that are begun and not full. The hashes are a view. */
  partial(): readonly {
    readonly level: number;
    readonly index: number;
    readonly width: number;
    readonly hashes: Buffer;
  }[] {
    return this.#levels
      .map((tile, level) => ({
        level,
        index: tile.index,
        width: tile.width,
        hashes: tile.hashes.subarray(0, tile.width * hashBytes),
      }))
      .filter((tile) => tile.width > 0);
  }

  /** Goes on from a size for which the right edge is known. False (and nothing is changed) when a tile is missing or too short. */
  restore(size: number, read: (level: number, index: number, width: number) => Buffer | undefined): boolean {
    const edge = partialTiles(size).map((tile) => ({ ...tile, hashes: read(tile.level, tile.index, tile.width) }));
    if (edge.some((tile) => tile.hashes === undefined || tile.hashes.length < tile.width * hashBytes)) return false;
    this.#levels.length = 0;
    this.#size = size;
    let count = size;
    for (let level = 0; count > 0; level++) {
      count = Math.floor(count / tileWidth);
      this.#level(level).index = count;
    }
    for (const { level, width, hashes } of edge) {
      const tile = this.#level(level);
      hashes?.copy(tile.hashes, 0, 0, width * hashBytes);
      tile.width = width;
    }
    return true;
  }
}
