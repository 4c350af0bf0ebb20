import type { LogSource } from '../audit/source.ts';
import { tileWidth } from '../audit/tiles.ts';
import { hashBytes, nodeHash, perfectRoot, type SubtreeReader } from '../audit/tree.ts';

/** Tiles that are kept at hand while proofs are made. */
const keptTiles = 64;

/** Reads perfect subtrees out of the tiles of a log of `size` entries. Throws when a tile is missing. */
export function subtreesOf(source: Pick<LogSource, 'tile'>, size: number): SubtreeReader {
  const kept = new Map<string, Buffer>();
  const tile = (level: number, index: number): Buffer => {
    const key = `${level}/${index}`;
    let hashes = kept.get(key);
    if (hashes === undefined) {
      const width = Math.min(tileWidth, Math.floor(size / tileWidth ** level) - index * tileWidth);
      const read = source.tile(level, index, width);
      if (read === undefined) throw new Error(`tile ${index} of level ${level} is missing`);
      hashes = Buffer.from(read);
      if (kept.size === keptTiles) kept.delete(kept.keys().next().value as string);
      kept.set(key, hashes);
    }
    return hashes;
  };
  return (level, index) => {
    const inTile = level % 8;
    const first = index * 2 ** inTile;
    return Buffer.from(
      perfectRoot(tile((level - inTile) / 8, Math.floor(first / tileWidth)), first % tileWidth, 2 ** inTile),
    );
  };
}

/**
 * What is needed besides leaves [from, to) to get to the root of the tree of `size` leaves: the roots of the subtrees (RFC 6962,
 * section 2.1) that lie outside of it, as a walk from left to right meets them. Together with the leaves they prove that
 * exactly these stand at exactly these places, none left out.
 */
export function rangeProof(read: SubtreeReader, from: number, to: number, size: number): readonly Buffer[] {
  const proof: Buffer[] = [];
  const walk = (low: number, high: number): void => {
    if (high <= from || low >= to) {
      proof.push(subtree(read, low, high));
    } else if (low < from || high > to) {
      const middle = low + largestPowerBelow(high - low);
      walk(low, middle);
      walk(middle, high);
    }
  };
  if (size > 0) walk(0, size);
  return proof;
}

/** The root that leaves [from, to) and the proof lead to; undefined when there are too few or too many of either. */
export function rootOfRange(
  leaves: Iterator<Buffer>,
  from: number,
  to: number,
  size: number,
  proof: readonly Buffer[],
): Buffer | undefined {
  let used = 0;
  let short = false;
  const walk = (low: number, high: number): Buffer => {
    if (high <= from || low >= to) return proof[used++] ?? missing();
    if (high - low === 1) {
      const leaf = leaves.next();
      return leaf.done === true ? missing() : leaf.value;
    }
    const middle = low + largestPowerBelow(high - low);
    const left = walk(low, middle);
    return nodeHash(left, walk(middle, high));
  };
  const missing = (): Buffer => {
    short = true;
    return Buffer.alloc(hashBytes);
  };
  if (size === 0 || from < 0 || from >= to || to > size) return undefined;
  const root = walk(0, size);
  return short || used !== proof.length || leaves.next().done !== true ? undefined : root;
}

function subtree(read: SubtreeReader, low: number, high: number): Buffer {
  const width = high - low;
  if (Number.isInteger(Math.log2(width))) return read(Math.log2(width), low / width);
  const middle = low + largestPowerBelow(width);
  return nodeHash(subtree(read, low, middle), subtree(read, middle, high));
}

function largestPowerBelow(n: number): number {
  return 2 ** (Math.ceil(Math.log2(n)) - 1);
}
