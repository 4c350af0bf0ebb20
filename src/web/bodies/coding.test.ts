import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { PeerError, Refusal } from '../../model/errors.ts';
import type { BodySink, Fields } from '../message.ts';
import { codingsOf, type DecodingLimits, openDecoder, openEncoder } from './coding.ts';
import { cutInto } from './pieces.fixture.ts';

/** Gathers what arrives; `slow` makes every piece take a turn of the event loop. */
class Gathered implements BodySink {
  readonly pieces: Buffer[] = [];
  readonly slow: boolean;
  readonly finished: Promise<Buffer>;
  trailers: Fields | undefined;
  /** Pieces that came while an earlier one was being taken. */
  pushed = 0;
  #busy = false;
  #resolve: (bytes: Buffer) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(slow = false) {
    this.slow = slow;
    this.finished = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.finished.catch(() => {});
  }

  data(bytes: Buffer): Promise<void> | undefined {
    if (this.#busy) this.pushed += 1;
    this.pieces.push(bytes);
    if (!this.slow) return undefined;
    this.#busy = true;
    return new Promise((resolve) =>
      setImmediate(() => {
        this.#busy = false;
        resolve();
      }),
    );
  }

  end(trailers: Fields): void {
    if (this.trailers !== undefined) throw new Error('ended twice');
    this.trailers = trailers;
    this.#resolve(Buffer.concat(this.pieces));
  }

  fail(error: PeerError | Refusal): void {
    this.#reject(error);
  }
}

async function send(sink: BodySink, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) await sink.data(piece);
  sink.end(['x-trailer', '1']);
}

async function decoded(coding: string, pieces: readonly Buffer[], limits?: DecodingLimits): Promise<Buffer> {
  const sink = new Gathered();
  await send(openDecoder(coding, sink, limits), pieces);
  return sink.finished;
}

const text = Buffer.from(JSON.stringify(Array.from({ length: 3000 }, (_, i) => ({ id: i, name: `customer ${i}` }))));
const coded: readonly (readonly [string, Buffer])[] = [
  ['gzip', gzipSync(text)],
  ['X-GZIP', gzipSync(text)],
  ['deflate', deflateSync(text)],
  ['deflate', deflateRawSync(text)],
  ['br', brotliCompressSync(text)],
  ['zstd', zstdCompressSync(text)],
  ['gzip, br', brotliCompressSync(gzipSync(text))],
  ['identity', text],
  ['', text],
];

describe('codings', () => {
  it.each(coded)('%s is taken off in pieces of any size', async (coding, bytes) => {
    for (const size of [bytes.length, 1000, 7]) {
      expect((await decoded(coding, cutInto(bytes, [size]))).equals(text)).toBe(true);
    }
  });

  it.each(['gzip', 'deflate', 'br', 'zstd', 'gzip, zstd', 'br,identity'])(
    '%s is put on and taken off again',
    async (coding) => {
      const sink = new Gathered(true);
      const round = openEncoder(coding, openDecoder(coding, sink));
      await send(round, cutInto(text, [5000]));
      expect((await sink.finished).equals(text)).toBe(true);
      expect(sink.trailers).toEqual(['x-trailer', '1']);
      expect(sink.pushed).toBe(0);
    },
  );

  it.each(['gzip', 'br', 'zstd', 'deflate'])('%s lets a stream flow: what was written can be read', async (coding) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const decoder = openDecoder(coding, { data: (bytes) => void resolve(bytes.toString()), end() {}, fail() {} });
    const encoder = openEncoder(coding, decoder);
    void encoder.data(Buffer.from('data: 1\n\n'));
    expect(await promise).toBe('data: 1\n\n');
    encoder.end([]);
  });

  it.each(['gzip', 'deflate', 'br', 'zstd'])('%s of nothing is nothing', async (coding) => {
    expect(await decoded(coding, [])).toHaveLength(0);
    const sink = new Gathered();
    await send(openEncoder(coding, sink), []);
    expect(await decoded(coding, [await sink.finished])).toHaveLength(0);
  });

  it.each(['compress', 'gzip, x-own', 'aes128gcm', 'dcb', 'gzip,gzip,gzip,gzip', 'gzip;q=1'])(
    '%s cannot be seen through',
    (coding) => {
      expect(() => codingsOf(coding)).toThrow(Refusal);
      expect(() => openDecoder(coding, new Gathered())).toThrow('cannot be masked');
    },
  );
});

describe('a body that lies about its coding', () => {
  it.each(['gzip', 'deflate', 'br', 'zstd'])('fails as %s', async (coding) => {
    await expect(decoded(coding, [Buffer.from('{"ssn":"123-45-6789"} and more of it')])).rejects.toThrow(PeerError);
  });

  it.each(coded.slice(0, 6))('fails when it is cut off: %s', async (coding, bytes) => {
    await expect(decoded(coding, [bytes.subarray(0, bytes.length - 9)])).rejects.toThrow(PeerError);
  });

  it.each(['gzip', 'br', 'deflate', 'zstd'])('fails when something follows: %s', async (coding) => {
    const bytes = coded.find(([name]) => name === coding)![1];
    const more = Buffer.from('{"ssn":"123-45-6789"}');
    await expect(decoded(coding, [Buffer.concat([bytes, more])])).rejects.toThrow(PeerError);
    await expect(decoded(coding, [bytes, more])).rejects.toThrow(PeerError);
  });

  it('may be several members of gzip', async () => {
    expect((await decoded('gzip', [gzipSync('a'), gzipSync('b')])).toString()).toBe('ab');
  });
});

describe('a bomb', () => {
  const zeros = Buffer.alloc(64 * 1024 * 1024);
  it.each([
    ['gzip', gzipSync(zeros, { level: 9 })],
    ['br', brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } })],
    ['zstd', zstdCompressSync(zeros)],
    ['gzip, gzip', gzipSync(gzipSync(zeros))],
  ])('of %s is stopped by its ratio', async (coding, bytes) => {
    const sink = new Gathered();
    await send(openDecoder(coding, sink), [bytes]);
    await expect(sink.finished).rejects.toThrow('grows too far');
    expect(Buffer.concat(sink.pieces).length).toBeLessThan(16 * 1024 * 1024);
  });

  it('is stopped by its size', async () => {
    const limits = { bytes: 100_000, ratio: 1e9, freeBytes: 0 };
    await expect(decoded('gzip', [gzipSync(zeros.subarray(0, 200_000))], limits)).rejects.toThrow(Refusal);
  });

  it('waits while nobody takes it', async () => {
    const sink: BodySink & { got: number } = {
      got: 0,
      data(bytes) {
        this.got += bytes.length;
        return new Promise(() => {});
      },
      end() {},
      fail() {},
    };
    void openDecoder('gzip', sink, { bytes: 1e12, ratio: 1e9, freeBytes: 0 }).data(gzipSync(zeros));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(sink.got).toBeGreaterThan(0);
    expect(sink.got).toBeLessThan(1024 * 1024);
  });

  it('of zstd may not ask for a large window', async () => {
    const wide = zstdCompressSync(Buffer.from(text), {
      params: { [constants.ZSTD_c_windowLog]: 27, [constants.ZSTD_c_contentSizeFlag]: 0 },
    });
    expect(wide.length).toBeGreaterThan(0);
    const noise = Buffer.alloc(20 * 1024 * 1024, 'ab');
    const far = zstdCompressSync(noise, {
      params: { [constants.ZSTD_c_windowLog]: 27, [constants.ZSTD_c_contentSizeFlag]: 0 },
    });
    await expect(decoded('zstd', [far])).rejects.toThrow(PeerError);
  });
});

it('passes on that the sender broke off', async () => {
  const sink = new Gathered();
  const decoder = openDecoder('gzip', sink);
  await decoder.data(gzipSync(text).subarray(0, 500));
  decoder.fail(new PeerError('UPSTREAM_PROTOCOL', 'gone'));
  await expect(sink.finished).rejects.toThrow('gone');
  expect(await decoder.data(Buffer.from('x'))).toBeUndefined();
});
