import { hash } from 'node:crypto';

/** SHA-256 everywhere. */
export const hashBytes = 32;

const leafScratch = Buffer.alloc(1);
const nodeScratch = Buffer.alloc(1 + 2 * hashBytes);
nodeScratch[0] = 0x01;

/** RFC 6962, section 2.1: the hash of the empty tree. */
export function emptyRoot(): Buffer {
  return hash('sha256', Buffer.alloc(0), 'buffer');
}

/** RFC 6962, section 2.1: SHA-256(0x00 || entry). */
export function leafHash(entry: Uint8Array): Buffer {
  return hash('sha256', Buffer.concat([leafScratch, entry]), 'buffer');
}

/** The same without a copy, for an entry at `bytes[start, end)`. Overwrites the byte before it. */
export function leafHashInPlace(bytes: Buffer, start: number, end: number): Buffer {
  bytes[start - 1] = 0x00;
  return hash('sha256', bytes.subarray(start - 1, end), 'buffer');
}

/** RFC 6962, section 2.1: SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  nodeScratch.set(left, 1);
  nodeScratch.set(right, 1 + hashBytes);
  return hash('sha256', nodeScratch, 'buffer');
}

/** Root of a perfect tree over `count` (a power of two) hashes that lie one after the other. */
export function perfectRoot(hashes: Buffer, first: number, count: number): Buffer {
  let level = Buffer.from(hashes.subarray(first * hashBytes, (first + count) * hashBytes));
  for (let width = count; width > 1; width /= 2) {
    for (let i = 0; i < width; i += 2) {
      level.copy(nodeScratch, 1, i * hashBytes, (i + 2) * hashBytes);
      hash('sha256', nodeScratch, 'buffer').copy(level, (i / 2) * hashBytes);
    }
  }
  level = level.subarray(0, hashBytes);
  return level;
}

/** Reads the root of the perfect subtree over leaves [index·2^level, (index+1)·2^level). */
export type SubtreeReader = (level: number, index: number) => Buffer;

/** RFC 6962, section 2.1: the root of leaves [from, to), where `from` is a multiple of the range's largest power of two. */
function rangeRoot(read: SubtreeReader, from: number, to: number): Buffer {
  const count = to - from;
  if (count === 0) return emptyRoot();
  const level = Math.floor(Math.log2(count));
  const half = 2 ** level;
  if (half === count) return read(level, from / half);
  return nodeHash(read(level, from / half), rangeRoot(read, from + half, to));
}

export function rootOf(read: SubtreeReader, size: number): Buffer {
  return rangeRoot(read, 0, size);
}

/** RFC 6962, section 2.1.1: the audit path of leaf `index` in the tree of `size` leaves, nearest first. */
export function inclusionProof(read: SubtreeReader, index: number, size: number): readonly Buffer[] {
  const path = (from: number, to: number): Buffer[] => {
    if (to - from === 1) return [];
    const split = from + largestPowerBelow(to - from);
    return index < split
      ? [...path(from, split), rangeRoot(read, split, to)]
      : [...path(split, to), rangeRoot(read, from, split)];
  };
  return path(0, size);
}

/** RFC 9162, section 2.1.3.2. */
export function verifyInclusion(
  leaf: Buffer,
  index: number,
  size: number,
  proof: readonly Buffer[],
  root: Buffer,
): boolean {
  if (index < 0 || index >= size) return false;
  let fn = index;
  let sn = size - 1;
  let r = leaf;
  for (const p of proof) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      r = nodeHash(p, r);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else {
      r = nodeHash(r, p);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && r.equals(root);
}

/** RFC 6962, section 2.1.2: that the tree of `from` leaves is a prefix of the tree of `to` leaves. */
export function consistencyProof(read: SubtreeReader, from: number, to: number): readonly Buffer[] {
  const subproof = (m: number, first: number, end: number, whole: boolean): Buffer[] => {
    const n = end - first;
    if (m === n) return whole ? [] : [rangeRoot(read, first, end)];
    const k = largestPowerBelow(n);
    return m <= k
      ? [...subproof(m, first, first + k, whole), rangeRoot(read, first + k, end)]
      : [...subproof(m - k, first + k, end, false), rangeRoot(read, first, first + k)];
  };
  return from === 0 ? [] : subproof(from, 0, to, true);
}

/** RFC 9162, section 2.1.4.2. */
export function verifyConsistency(
  from: number,
  fromRoot: Buffer,
  to: number,
  toRoot: Buffer,
  proof: readonly Buffer[],
): boolean {
  if (from > to) return false;
  if (from === to) return proof.length === 0 && fromRoot.equals(toRoot);
  if (from === 0) return proof.length === 0;
  const path = Number.isInteger(Math.log2(from)) ? [fromRoot, ...proof] : [...proof];
  let fn = from - 1;
  let sn = to - 1;
  while (fn % 2 === 1) {
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  const first = path.shift();
  if (first === undefined) return false;
  let fr = first;
  let sr = first;
  for (const c of path) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else {
      sr = nodeHash(sr, c);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && fr.equals(fromRoot) && sr.equals(toRoot);
}

function largestPowerBelow(n: number): number {
  return 2 ** (Math.ceil(Math.log2(n)) - 1);
}
