import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tilePath, tileWidth } from './tiles.ts';
import { hashBytes } from './tree.ts';

/**
 * The tiles of a log as files. They are derived from the segments and are made anew when they are missing or do not lead to
 * the signed root, so they are not synced.
 */
export class TileStore {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** The first `width` hashes of a tile: from the tile of that width, or a wider one. */
  read(level: number, index: number, width: number): Buffer | undefined {
    const wider = [width, tileWidth, ...(width === tileWidth ? [] : this.#widths(level, index))];
    for (const candidate of wider) {
      if (candidate < width) continue;
      const bytes = readIfThere(join(this.#dir, tilePath(level, index, candidate)));
      if (bytes?.length === candidate * hashBytes) return bytes.subarray(0, width * hashBytes);
    }
    return undefined;
  }

  /** Puts a tile in place at once and whole, unless it is there. */
  put(level: number, index: number, width: number, hashes: Buffer): void {
    const path = join(this.#dir, tilePath(level, index, width));
    if (readIfThere(path)?.equals(hashes) === true) return;
    try {
      writeFileSync(`${path}.tmp`, hashes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(`${path}.tmp`, hashes);
    }
    renameSync(`${path}.tmp`, path);
  }

  /** Removes the partial tiles of one place, but for the one of width `keep`. */
  removePartial(level: number, index: number, keep?: number): void {
    const dir = join(this.#dir, `${tilePath(level, index)}.p`);
    if (keep === undefined) rmSync(dir, { recursive: true, force: true });
    else
      for (const width of this.#widths(level, index))
        if (width !== keep) rmSync(join(dir, String(width)), { force: true });
  }

  #widths(level: number, index: number): readonly number[] {
    try {
      return readdirSync(join(this.#dir, `${tilePath(level, index)}.p`))
        .filter((name) => /^\d+$/.test(name))
        .map(Number);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
