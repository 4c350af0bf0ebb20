import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { segmentLimit } from './format.ts';

/** Below this a frame of zstd costs more than it saves. */
const worthIt = 256;

/** zstd level 1 in the thread pool. Gives the plain bytes back where compressing does not pay. Rejects only when zstd itself fails. */
export function compress(plain: Buffer): Promise<Buffer> {
  if (plain.length < worthIt) return Promise.resolve(plain);
  return new Promise((resolve, reject) => {
    zstdCompress(plain, options(plain.length), (error, packed) => {
      if (error !== null) reject(error);
      else resolve(packed.length < plain.length ? packed : plain);
    });
  });
}

/** Rejects when the result would be longer than said. */
export function decompress(packed: Buffer, plainLength: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunkSize = Math.max(64, plainLength);
    zstdDecompress(packed, { chunkSize, maxOutputLength: Math.max(1, plainLength) }, (error, plain) => {
      if (error !== null) reject(error);
      else resolve(plain);
    });
  });
}

/** One chunk holds the result, so that compressing is one trip to the thread pool; a known size lets zstd choose small tables. */
function options(size: number) {
  return {
    chunkSize: Math.min(segmentLimit, size) + 1024,
    pledgedSrcSize: size,
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
  };
}
