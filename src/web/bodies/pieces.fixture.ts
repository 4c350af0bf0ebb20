import type { BodyMasker } from './masker.ts';

/** What a masker shows in all for these pieces. */
export function shownOf(masker: BodyMasker, pieces: readonly Buffer[]): Buffer {
  return Buffer.concat([...pieces.map((piece) => Buffer.from(masker.write(Buffer.from(piece)))), masker.end()]);
}

/** The same bytes in every way in which they could arrive in two pieces, byte by byte, and whole. */
export function* splits(bytes: Buffer): Generator<readonly Buffer[]> {
  yield [bytes];
  yield Array.from(bytes, (byte) => Buffer.of(byte));
  for (let at = 1; at < bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)];
}

/** Pieces of these sizes in turn. */
export function cutInto(bytes: Buffer, sizes: readonly number[]): readonly Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}
