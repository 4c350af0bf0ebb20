import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../../model/errors.ts';
import { sha256Hex, signingKey } from './canonical.ts';
import { ChunkedReader } from './chunked-reader.ts';
import { ChunkedWriter, chunkBytes, framedLength } from './chunked-writer.ts';
import { Collector } from './collector.fixture.ts';
import { HashCheck } from './hash-check.ts';
import type { Payload } from './payload.ts';
import type { Seed } from './sign.ts';

const scope = { date: '20261120', region: 'eu-central-1', service: 's3' };
const seed: Seed = { key: signingKey('secret', scope), time: '20261120T120000Z', scope, signature: '0'.repeat(64) };
type Chunked = Payload & { kind: 'chunked' };
const kinds: readonly Chunked[] = [
  { kind: 'chunked', signed: true, trailer: false },
  { kind: 'chunked', signed: true, trailer: true },
  { kind: 'chunked', signed: false, trailer: true },
];
const trailers = ['x-amz-checksum-crc32', 'AAAAAA=='];

function frame(payload: Chunked, data: Buffer): Buffer {
  const sink = new Collector();
  const writer = new ChunkedWriter(payload, seed, sink);
  void writer.data(data);
  writer.end(payload.trailer ? trailers : []);
  return sink.bytes();
}

function open(
  payload: Chunked,
  decodedLength: number,
  sink: Collector,
  announced = payload.trailer ? 'x-amz-checksum-crc32' : undefined,
) {
  return new ChunkedReader({ payload, seed, decodedLength }, announced, sink);
}

function read(payload: Chunked, bytes: Buffer, decodedLength: number, announced?: string) {
  const sink = new Collector();
  const reader = open(payload, decodedLength, sink, announced);
  void reader.data(bytes);
  reader.end([]);
  return sink.outcome();
}

describe.each(kinds)('a payload in chunks, $signed $trailer', (payload) => {
  it('comes out as it went in, at the length that was foretold, whatever its size and pieces', async () => {
    const sizes = fc.oneof(fc.nat(300), fc.constantFrom(chunkBytes - 1, chunkBytes, chunkBytes + 1, 2 * chunkBytes));
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.array(fc.integer({ min: 1, max: 70_000 }), { maxLength: 6 }),
        fc.boolean(),
        async (size, cuts, slow) => {
          const data = Buffer.alloc(size, 'sallyport');
          const framed = frame(payload, data);
          expect(framedLength(payload, size, 'x-amz-checksum-crc32')).toBe(framed.length);
          const sink = new Collector(slow);
          const rewritten = new ChunkedWriter(payload, seed, sink);
          const reader = new ChunkedReader(
            { payload, seed, decodedLength: size },
            payload.trailer ? 'x-amz-checksum-crc32' : undefined,
            rewritten,
          );
          let at = 0;
          for (const cut of [...cuts, framed.length]) {
            const waiting = reader.data(framed.subarray(at, at + cut));
            if (waiting !== undefined) await waiting;
            at = Math.min(framed.length, at + cut);
          }
          reader.end([]);
          await new Promise((done) => setTimeout(done, slow ? 2 : 0));
          expect(sink.bytes().equals(framed)).toBe(true);
          expect(sink.outcome()).toMatchObject({ trailers: [] });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is read the same cut at every byte', () => {
    const framed = frame(payload, Buffer.from('hello'));
    for (let at = 0; at <= framed.length; at++) {
      const sink = new Collector();
      const reader = open(payload, 5, sink);
      for (const piece of [framed.subarray(0, at), framed.subarray(at)]) void reader.data(piece);
      reader.end([]);
      expect(sink.outcome()).toEqual({ length: 5, trailers: payload.trailer ? trailers : [] });
    }
  });

  it('is never complete when a byte is changed that is vouched for', () => {
    const framed = frame(payload, Buffer.from('hello'));
    for (let at = 0; at < framed.length; at++) {
      const broken = Buffer.from(framed);
      broken[at] = (broken[at] as number) ^ 1;
      const found = read(payload, broken, 5);
      // Without signatures only the framing is checked; the checksum is the target's to check.
      if (payload.signed) expect(found).toBeTypeOf('string');
      else if (typeof found !== 'string') expect(found?.length).toBe(5);
    }
  });

  it('is refused when it is longer or shorter than it said', () => {
    const framed = frame(payload, Buffer.from('hello'));
    expect(read(payload, framed, 4)).toContain('longer than');
    expect(read(payload, framed, 6)).toContain('shorter than');
  });

  it('ends in a failure, whatever the bytes', () => {
    const piece = fc.constantFrom(
      '5',
      '0',
      '\r\n',
      '\n',
      'hello',
      ';chunk-signature=',
      '0'.repeat(64),
      'x-amz-checksum-crc32:AAAAAA==',
      ':',
      'ffffffffff',
      ' ',
      '-1',
      '0x5',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const found = read(payload, Buffer.from(pieces.join('')), 5);
        if (typeof found !== 'string') expect(found?.length).toBe(5);
      }),
      { numRuns: 500 },
    );
  });

  it('breaks off once, and takes no more', () => {
    const sink = new Collector();
    const reader = open(payload, 5, sink);
    void reader.data(Buffer.from('zz\r\n'));
    expect(reader.data(Buffer.from('5\r\nhello\r\n'))).toBeUndefined();
    reader.fail(new Refusal('CLIENT_PROTOCOL', 'gone'));
    reader.end([]);
    expect(sink.pieces).toEqual([]);
    expect(sink.outcome()).toContain('chunk size that cannot be read');
  });
});

describe('trailing fields', () => {
  const payload = kinds[2] as Chunked;
  it.each([
    ['5\r\nhello\r\n0\r\n\r\n', 'lacks a trailing field'],
    ['5\r\nhello\r\n0\r\nx-amz-checksum-sha1:AAAA\r\n\r\n', 'was not announced'],
    ['5\r\nhello\r\n0\r\nx-amz-acl:public-read\r\n\r\n', 'was not announced'],
    ['5\r\nhello\r\n0\r\nx-amz-checksum-crc32:A\r\nx-amz-checksum-crc32:B\r\n\r\n', 'was not announced'],
    ['5\r\nhello\r\n0\r\nx-amz-trailer-signature:A\r\n\r\n', 'was not announced'],
    [`5\r\nhello\r\n0\r\nx-amz-checksum-crc32:${'A'.repeat(600)}\r\n\r\n`, 'too long'],
    ['5\r\nhello\r\n0\r\nx-amz-checksum-crc32\r\n\r\n', 'was not announced'],
    ['5\nhello\r\n0\r\n\r\n', 'does not end in CR LF'],
    ['5\r\nhelloo\r\n0\r\n\r\n', 'longer than its size'],
    ['5;chunk-signature=x\r\nhello\r\n', 'chunk size that cannot be read'],
    [`5;chunk-signature=${'0'.repeat(64)}\r\nhello\r\n`, 'chunk size that cannot be read'],
    ['5 \r\nhello\r\n', 'chunk size that cannot be read'],
    ['00000000005\r\nhello\r\n', 'chunk size that cannot be read'],
  ])('%j: %s', (text, message) => {
    expect(read(payload, Buffer.from(text), 5)).toContain(message);
  });

  it('that say who may read are none of them, even announced', () => {
    const bytes = Buffer.from('5\r\nhello\r\n0\r\nx-amz-acl:public-read\r\n\r\n');
    expect(read(payload, bytes, 5, 'x-amz-acl')).toContain('was not announced');
  });
});

describe('a payload with its hash', () => {
  const data = Buffer.from('hello');
  const pass = (expected: string, pieces: readonly string[]) => {
    const sink = new Collector();
    const check = new HashCheck(expected, sink);
    for (const piece of pieces) void check.data(Buffer.from(piece));
    check.end(['a', 'b']);
    return sink;
  };

  it('goes through when it fits', () => {
    expect(pass(sha256Hex(data), ['he', '', 'l', 'lo']).outcome()).toEqual({ length: 5, trailers: ['a', 'b'] });
    expect(pass(sha256Hex(''), []).outcome()).toEqual({ length: 0, trailers: ['a', 'b'] });
  });

  it('is never handed on whole when it does not', () => {
    for (const pieces of [['hellp'], ['he', 'llp'], ['h', 'e', 'l', 'l', 'p']]) {
      const sink = pass(sha256Hex(data), pieces);
      expect(sink.outcome()).toContain('its SHA-256 differs');
      expect(sink.bytes().length).toBeLessThan(5);
    }
  });

  it('that its sender breaks off ends so', () => {
    const sink = new Collector();
    const check = new HashCheck(sha256Hex(data), sink);
    void check.data(data);
    check.fail(new Refusal('CLIENT_PROTOCOL', 'gone'));
    check.end([]);
    expect(sink.outcome()).toBe('gone');
  });
});
