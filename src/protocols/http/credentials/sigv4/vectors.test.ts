import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  canonicalPaths,
  canonicalRequest,
  emptyHash,
  hmac,
  type Scope,
  signingKey,
  stringToSign,
} from './canonical.ts';
import { ChunkSignatures } from './chunk-signature.ts';
import { ChunkedReader } from './chunked-reader.ts';
import { ChunkedWriter, framedLength } from './chunked-writer.ts';
import { Collector } from './collector.fixture.ts';
import type { Seed } from './sign.ts';

interface Group {
  readonly scope: Scope;
  readonly time: string;
  readonly secret: string;
  readonly authority: string;
  readonly cases: readonly {
    readonly name: string;
    readonly method: string;
    readonly target: string;
    readonly fields?: readonly string[];
    readonly payload?: string;
    readonly signature: string;
  }[];
}

const groups = parse(readFileSync(new URL('./testdata/vectors.yaml', import.meta.url), 'utf8')) as readonly Group[];

describe.each(groups)('requests to $authority', ({ scope, time, secret, authority, cases }) => {
  it.each(cases)(
    'are signed as published: $name',
    ({ method, target, fields: given = [], payload = emptyHash, signature }) => {
      const own = scope.service === 's3' ? ['x-amz-content-sha256', payload] : [];
      const fields = [...given, ...own, 'x-amz-date', time];
      const names = [...new Set(['host', ...fields.filter((_, index) => index % 2 === 0)])].sort();
      const [path] = canonicalPaths(target, scope.service);
      const canonical = canonicalRequest({ method, target, authority, fields }, path as string, names, payload);
      expect(hmac(signingKey(secret, scope), stringToSign(time, scope, canonical)).toString('hex')).toBe(signature);
    },
  );
});

/** The documentation's chunked examples: 66560 times `a`, in chunks of 65536 and 1024. */
const data = Buffer.alloc(66560, 'a');
const scope = { date: '20130524', region: 'us-east-1', service: 's3' };
const seed = (signature: string): Seed => ({
  key: signingKey('wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', scope),
  time: '20130524T000000Z',
  scope,
  signature,
});

const plain = { kind: 'chunked', signed: true, trailer: false } as const;
const trailing = { kind: 'chunked', signed: true, trailer: true } as const;
const plainSeed = seed('4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9');
const trailingSeed = seed('106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e');

describe('the published chunked upload', () => {
  it('has these signatures and this length, and is read back', () => {
    const framed = new Collector();
    const writer = new ChunkedWriter(plain, plainSeed, framed);
    void writer.data(data);
    writer.end([]);
    const text = framed.bytes().toString('latin1');
    expect(text.match(/(?<=^|\r\n)[0-9a-f]{1,6};chunk-signature=[0-9a-f]{64}/g)).toEqual([
      '10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
      '400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
      '0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
    ]);
    expect(text).toHaveLength(66824);
    expect(framedLength(plain, data.length, undefined)).toBe(66824);

    const read = new Collector();
    const reader = new ChunkedReader({ payload: plain, seed: plainSeed, decodedLength: data.length }, undefined, read);
    void reader.data(Buffer.from(text, 'latin1'));
    reader.end([]);
    expect(read.outcome()).toEqual({ length: data.length, trailers: [] });
    expect(read.bytes().equals(data)).toBe(true);
  });

  it('with a trailing checksum has these', () => {
    const framed = new Collector();
    const writer = new ChunkedWriter(trailing, trailingSeed, framed);
    void writer.data(data);
    writer.end(['x-amz-checksum-crc32c', 'sOO8/Q==']);
    const text = framed.bytes().toString('latin1');
    expect(text.match(/signature[=:][0-9a-f]{64}/g)).toEqual([
      'signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
      'signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
      'signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
      'signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435',
    ]);
    expect(framedLength(trailing, data.length, 'x-amz-checksum-crc32c')).toBe(text.length);
  });

  it('chains each signature to the one before', () => {
    const signatures = new ChunkSignatures(plainSeed);
    const first = signatures.chunk(emptyHash);
    expect(signatures.chunk(emptyHash)).not.toBe(first);
    expect(new ChunkSignatures(plainSeed).chunk(emptyHash)).toBe(first);
  });
});
