import type { ObjectFormat } from '../push.ts';
import { idLength } from './object-id.ts';

export interface PackEntry {
  readonly id: string;
  /** Where the object begins in the pack. */
  readonly offset: number;
}

/** The entries of a pack index that git wrote (gitformat-pack(5), version 2), by id, one after the other. */
export function* packEntries(index: Buffer, format: ObjectFormat): Generator<PackEntry> {
  if (index.length < 1032 || index.readUInt32BE(0) !== 0xff744f63 || index.readUInt32BE(4) !== 2) {
    throw new Error('not a pack index of version 2');
  }
  const count = index.readUInt32BE(8 + 255 * 4);
  const digits = idLength(format);
  const ids = 8 + 256 * 4;
  const offsets = ids + count * (digits / 2) + count * 4; // check sums stand between
  const long = offsets + count * 4;
  for (let i = 0; i < count; i++) {
    const short = index.readUInt32BE(offsets + i * 4);
    const offset = short < 0x80000000 ? short : Number(index.readBigUInt64BE(long + (short - 0x80000000) * 8));
    yield { id: index.toString('hex', ids + (i * digits) / 2, ids + ((i + 1) * digits) / 2), offset };
  }
}
