import type { PeerError, Refusal } from '../../../../model/errors.ts';
import type { BodySink, Fields } from '../../../../web/message.ts';
import { sha256Hex } from './canonical.ts';
import { ChunkSignatures } from './chunk-signature.ts';
import { deliver } from './deliver.ts';
import type { Payload } from './payload.ts';
import type { Seed } from './sign.ts';

/** Bytes of data in each chunk but the last. S3 takes none smaller than 8 KiB but the last. */
export const chunkBytes = 64 * 1024;

type Chunked = Payload & { readonly kind: 'chunked' };

/** Puts a payload into aws-chunked framing, signing each chunk where `payload` says so. Trailing fields are those that `end` is given. */
export class ChunkedWriter implements BodySink {
  readonly #next: BodySink;
  readonly #payload: Chunked;
  readonly #signatures: ChunkSignatures;
  #held: Buffer[] = [];
  #size = 0;
  #over = false;

  constructor(payload: Chunked, seed: Seed, next: BodySink) {
    this.#payload = payload;
    this.#signatures = new ChunkSignatures(seed);
    this.#next = next;
  }

  data(bytes: Buffer): Promise<void> | undefined {
    if (this.#over) return undefined;
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + chunkBytes - this.#size);
      at += piece.length;
      this.#held.push(piece);
      this.#size += piece.length;
      if (this.#size === chunkBytes) pieces.push(this.#chunk());
    }
    return deliver(this.#next, pieces, () => this.#over);
  }

  end(trailers: Fields): void {
    if (this.#over) return;
    this.#over = true;
    const pieces = this.#size > 0 ? [this.#chunk()] : [];
    pieces.push(this.#end(trailers));
    // Bounded by one chunk; a taker that is slow keeps it until it goes on.
    const waiting = this.#next.data(Buffer.concat(pieces));
    if (waiting === undefined) this.#next.end([]);
    else waiting.then(() => this.#next.end([]), givenUp);
  }

  fail(error: PeerError | Refusal): void {
    if (this.#over) return;
    this.#over = true;
    this.#next.fail(error);
  }

  #chunk(): Buffer {
    const data = this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held);
    this.#held = [];
    this.#size = 0;
    return Buffer.concat([this.#sizeLine(data), data, Buffer.from('\r\n')]);
  }

  #sizeLine(data: Buffer): Buffer {
    const size = data.length.toString(16);
    if (!this.#payload.signed) return Buffer.from(`${size}\r\n`);
    return Buffer.from(`${size};chunk-signature=${this.#signatures.chunk(sha256Hex(data))}\r\n`);
  }

  #end(trailers: Fields): Buffer {
    const pieces = [this.#sizeLine(Buffer.alloc(0))];
    if (this.#payload.trailer) {
      for (let index = 0; index < trailers.length; index += 2)
        pieces.push(Buffer.from(`${trailers[index]}:${trailers[index + 1]}\r\n`));
      if (this.#payload.signed)
        pieces.push(Buffer.from(`x-amz-trailer-signature:${this.#signatures.trailer(trailers)}\r\n`));
    }
    pieces.push(Buffer.from('\r\n'));
    return Buffer.concat(pieces);
  }
}

/** Length of the value of each checksum that can stand in a trailing field, Base64. */
const checksumLengths: Readonly<Record<string, number>> = {
  'x-amz-checksum-crc32': 8,
  'x-amz-checksum-crc32c': 8,
  'x-amz-checksum-crc64nvme': 12,
  'x-amz-checksum-sha1': 28,
  'x-amz-checksum-sha256': 44,
};

/** Bytes of a payload of `decodedLength` in framing as ChunkedWriter makes it; undefined where a trailing field's length is not known. */
export function framedLength(
  payload: Chunked,
  decodedLength: number,
  trailerNames: string | undefined,
): number | undefined {
  const line = (size: number) => size.toString(16).length + (payload.signed ? ';chunk-signature='.length + 64 : 0) + 2;
  const rest = decodedLength % chunkBytes;
  let length = Math.floor(decodedLength / chunkBytes) * (line(chunkBytes) + chunkBytes + 2);
  if (rest > 0) length += line(rest) + rest + 2;
  length += line(0) + 2;
  if (!payload.trailer) return length;
  for (const name of (trailerNames ?? '').split(',').map((text) => text.trim().toLowerCase())) {
    if (name === '') continue;
    const value = checksumLengths[name];
    if (value === undefined) return undefined;
    length += name.length + 1 + value + 2;
  }
  return payload.signed ? length + 'x-amz-trailer-signature:'.length + 64 + 2 : length;
}

/** Whoever takes the bytes has given up, and says so itself. */
function givenUp(): void {}
