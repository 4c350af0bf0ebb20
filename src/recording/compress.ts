import { constants, ZstdCompress, zstdDecompress } from 'node:zlib';

/** Below this a frame of zstd costs more than it saves. */
const worthIt = 256;

/** The thread pool has four threads unless it is told otherwise, and the audit log's writes need one at any time. */
const mostAtOnce = 3;

interface Job {
  readonly plain: Buffer;
  readonly resolve: (packed: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * zstd level 1 in the thread pool, with contexts that are kept: making one costs the loop's thread more than a small segment costs
 * the pool, and the memory that each reports has V8 collect garbage far more often. At most three, of about 1 MiB each.
 */
export class Compressor {
  readonly #idle: Context[] = [];
  readonly #waiting: Job[] = [];
  #contexts = 0;

  /** Gives the plain bytes back where compressing does not pay. They may not change until it resolves; rejects only when zstd itself fails. */
  compress(plain: Buffer): Promise<Buffer> {
    if (plain.length < worthIt) return Promise.resolve(plain);
    return new Promise((resolve, reject) => {
      const job = { plain, resolve, reject };
      const context = this.#idle.pop() ?? this.#another();
      if (context === undefined) this.#waiting.push(job);
      else this.#run(context, job);
    });
  }

  /** Frees the contexts that are not in use. */
  close(): void {
    for (const context of this.#idle.splice(0)) context.close();
    this.#contexts = 0;
  }

  #another(): Context | undefined {
    if (this.#contexts === mostAtOnce) return undefined;
    this.#contexts += 1;
    return new Context();
  }

  #run(context: Context, { plain, resolve, reject }: Job): void {
    context.pack(plain).then(
      (packed) => {
        resolve(packed.length < plain.length ? packed : plain);
        const next = this.#waiting.shift();
        if (next === undefined) this.#idle.push(context);
        else this.#run(context, next);
      },
      (error: Error) => {
        reject(error);
        // What failed once is not used again.
        this.#contexts -= 1;
        const next = this.#waiting.shift();
        if (next !== undefined) this.#run(this.#another()!, next);
      },
    );
  }
}

/** One zstd context. `ZSTD_e_end` makes every write a frame of its own, in one trip to the pool and with tables that fit its size. */
class Context {
  readonly #stream = new ZstdCompress({
    chunkSize: 65_536,
    flush: constants.ZSTD_e_end,
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
  });
  readonly #parts: Buffer[] = [];

  constructor() {
    this.#stream.on('data', (part: Buffer) => this.#parts.push(part));
    this.#stream.on('error', () => undefined); // the write's callback tells
  }

  /** One at a time. */
  pack(plain: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#stream.write(plain, (error) => {
        const parts = this.#parts.splice(0);
        if (error) reject(error);
        // It would end up in front of the next frame.
        else if (this.#stream.readableLength > 0) reject(new Error('zstd kept a part of a frame back'));
        else resolve(parts.length === 1 ? parts[0]! : Buffer.concat(parts));
      });
    });
  }

  close(): void {
    this.#stream.destroy();
  }
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
