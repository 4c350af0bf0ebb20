import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bundlePath, partialTiles, TileTree, tilePath } from './tiles.ts';
import {
  consistencyProof,
  emptyRoot,
  inclusionProof,
  leafHash,
  leafHashInPlace,
  nodeHash,
  rootOf,
  type SubtreeReader,
  verifyConsistency,
  verifyInclusion,
} from './tree.ts';

// The leaves, roots and proofs that Certificate Transparency's implementations have published for RFC 6962.
const published = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const roots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const leaves = published.map((hex) => leafHash(Buffer.from(hex, 'hex')));

/** The definition, word for word: RFC 6962, section 2.1. */
function naiveRoot(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 0) return emptyRoot();
  if (hashes.length === 1) return hashes[0] as Buffer;
  const k = 2 ** (Math.ceil(Math.log2(hashes.length)) - 1);
  return nodeHash(naiveRoot(hashes.slice(0, k)), naiveRoot(hashes.slice(k)));
}

function readerOf(hashes: readonly Buffer[]): SubtreeReader {
  return (level, index) => naiveRoot(hashes.slice(index * 2 ** level, (index + 1) * 2 ** level));
}

function numbered(count: number): Buffer[] {
  return Array.from({ length: count }, (_, i) => hash('sha256', `leaf ${i}`, 'buffer'));
}

describe('the tree', () => {
  it('has the published roots for every size', () => {
    const tree = new TileTree(() => {});
    roots.forEach((root, size) => {
      expect(rootOf(readerOf(leaves), size).toString('hex')).toBe(root);
      expect(tree.root().toString('hex')).toBe(root);
      const next = leaves[size];
      if (next !== undefined) tree.append(next);
    });
  });

  it('makes the published proofs', () => {
    const hex = (proof: readonly Buffer[]) => proof.map((one) => one.toString('hex'));
    expect(hex(inclusionProof(readerOf(leaves), 0, 8))).toEqual([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ]);
    expect(hex(inclusionProof(readerOf(leaves), 5, 8))).toEqual([
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
    expect(hex(consistencyProof(readerOf(leaves), 6, 8))).toEqual([
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
    expect(hex(consistencyProof(readerOf(leaves), 2, 5))).toEqual([
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ]);
  });

  it('hashes a leaf in place as it does elsewhere', () => {
    const bytes = Buffer.from('xxentry');
    expect(leafHashInPlace(bytes, 2, 7)).toEqual(leafHash(Buffer.from('entry')));
  });

  it('proves that an entry is in it, and no other one', () => {
    const hashes = numbered(70);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), fc.nat(), (size, pick, other) => {
        const index = pick % size;
        const proof = inclusionProof(readerOf(hashes), index, size);
        const root = naiveRoot(hashes.slice(0, size));
        expect(verifyInclusion(hashes[index] as Buffer, index, size, proof, root)).toBe(true);
        const wrong = other % size;
        if (wrong !== index) {
          expect(verifyInclusion(hashes[wrong] as Buffer, index, size, proof, root)).toBe(false);
          expect(verifyInclusion(hashes[index] as Buffer, wrong, size, proof, root)).toBe(false);
        }
        expect(verifyInclusion(hashes[index] as Buffer, index, size, [...proof, root], root)).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it('proves that it only grew, and not that another one did', () => {
    const hashes = numbered(70);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), (to, pick) => {
        const from = 1 + (pick % to);
        const proof = consistencyProof(readerOf(hashes), from, to);
        const before = naiveRoot(hashes.slice(0, from));
        const after = naiveRoot(hashes.slice(0, to));
        expect(verifyConsistency(from, before, to, after, proof)).toBe(true);
        const changed = naiveRoot([leafHash(Buffer.from('another')), ...hashes.slice(1, from)]);
        expect(verifyConsistency(from, changed, to, after, proof)).toBe(false);
      }),
      { numRuns: 60 },
    );
  });
});

describe('tiles', () => {
  it('have the paths of the specification', () => {
    expect(tilePath(0, 1234067)).toBe('tile/0/x001/x234/067');
    expect(tilePath(2, 5, 17)).toBe('tile/2/005.p/17');
    expect(bundlePath(1000, 3)).toBe('tile/entries/x001/000.p/3');
  });

  it('lead to the same root as the definition over several levels, and go on from any size', {
    timeout: 20_000,
  }, () => {
    const hashes = numbered(66_000);
    const stored = new Map<string, Buffer>();
    const tree = new TileTree((level, index, tile) => stored.set(tilePath(level, index), Buffer.from(tile)));
    const checked = new Set([1, 255, 256, 257, 511, 65_536, 66_000]);
    hashes.forEach((leaf, i) => {
      tree.append(leaf);
      const size = i + 1;
      if (!checked.has(size)) return;
      const root = naiveRoot(hashes.slice(0, size));
      expect(tree.root()).toEqual(root);
      const partial = new Map(
        tree.partial().map((tile) => [tilePath(tile.level, tile.index, tile.width), Buffer.from(tile.hashes)]),
      );
      expect([...partial.keys()]).toEqual(
        partialTiles(size).map((tile) => tilePath(tile.level, tile.index, tile.width)),
      );
      const again = new TileTree(() => {});
      expect(again.restore(size, (level, index, width) => partial.get(tilePath(level, index, width)))).toBe(true);
      expect(again.root()).toEqual(root);
    });
    expect([...stored.keys()].filter((path) => path.startsWith('tile/1/'))).toEqual(['tile/1/000']);
  });

  it('refuse to go on when a tile is missing or short', () => {
    const tree = new TileTree(() => {});
    expect(tree.restore(300, () => undefined)).toBe(false);
    expect(tree.restore(300, () => Buffer.alloc(32 * 3))).toBe(false);
    expect(tree.size).toBe(0);
  });
});
