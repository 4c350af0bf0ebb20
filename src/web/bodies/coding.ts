import {
  constants,
  createBrotliCompress,
  createBrotliDecompress,
  createDeflate,
  createGunzip,
  createGzip,
  createInflate,
  createInflateRaw,
  createZstdCompress,
  createZstdDecompress,
} from 'node:zlib';
import { Refusal } from '../../model/errors.ts';
import type { BodySink } from '../message.ts';
import { DecodingStage, EncodingStage } from './coding-stage.ts';

/** How far a body may grow when it is decoded. */
export interface DecodingLimits {
  /** Decoded bytes in all. */
  readonly bytes: number;
  /** Decoded bytes for each one that arrived, once `freeBytes` are out. */
  readonly ratio: number;
  readonly freeBytes: number;
}

export const decodingLimits: DecodingLimits = { bytes: 16 * 1024 ** 3, ratio: 200, freeBytes: 8 * 1024 ** 2 };

/** The codings that can be taken off and put on: what a request's `Accept-Encoding` may ask for. */
export const knownCodings: readonly string[] = ['gzip', 'deflate', 'br', 'zstd'];

/** What leaves a decoder at a time. */
const chunkSize = 65_536;

const none: readonly string[] = [];

/** Most codings on one body. */
const mostCodings = 3;

/**
 * The codings of a `Content-Encoding` (RFC 9110 section 8.4) in the order in which they were put on; none for `identity`.
 * Throws Refusal MASK_IMPOSSIBLE for one that is not known: what it hides cannot be seen.
 */
export function codingsOf(contentEncoding: string | undefined): readonly string[] {
  if (contentEncoding === undefined) return none;
  const codings = contentEncoding
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity')
    .map((coding) => (coding === 'x-gzip' ? 'gzip' : coding));
  const unknown = codings.find((coding) => !knownCodings.includes(coding));
  if (unknown !== undefined || codings.length > mostCodings) {
    const what = unknown === undefined ? 'in too many codings at once' : `in a coding that cannot be read`;
    throw new Refusal('MASK_IMPOSSIBLE', `the body is ${what}, so it cannot be masked`, {
      advice: 'ask with `Accept-Encoding: identity`, or one of gzip, br, zstd',
    });
  }
  return codings;
}

/**
 * Takes codings off: write the body as it arrives to what is returned; `sink` gets what it means. Gives PeerError UPSTREAM_PROTOCOL
 * for bytes that are not so coded, Refusal LIMIT_EXCEEDED for a body that grows too far. Returns `sink` where there is nothing to do.
 */
export function openDecoder(
  contentEncoding: string | undefined,
  sink: BodySink,
  limits: DecodingLimits = decodingLimits,
): BodySink {
  if (contentEncoding === undefined) return sink;
  return codingsOf(contentEncoding).reduce<BodySink>(
    (next, coding) => new DecodingStage(coding, (first) => decoder(coding, first), next, limits),
    sink,
  );
}

/** Puts the same codings on again. What was written so far can be read at once: streams stay streams. */
export function openEncoder(contentEncoding: string | undefined, sink: BodySink): BodySink {
  if (contentEncoding === undefined) return sink;
  return [...codingsOf(contentEncoding)]
    .reverse()
    .reduce<BodySink>((next, coding) => new EncodingStage(encoder(coding), next), sink);
}

function decoder(coding: string, first: number) {
  switch (coding) {
    case 'gzip':
      return createGunzip({ chunkSize });
    case 'deflate':
      // RFC 9110 means zlib's format; many servers leave its head out.
      return (first & 0x0f) === 8 ? createInflate({ chunkSize }) : createInflateRaw({ chunkSize });
    case 'br':
      return createBrotliDecompress({ chunkSize });
    default:
      // RFC 9659: no more than 8 MB of window.
      return createZstdDecompress({ chunkSize, params: { [constants.ZSTD_d_windowLogMax]: 23 } });
  }
}

function encoder(coding: string) {
  switch (coding) {
    case 'gzip':
      return createGzip({ level: 1, flush: constants.Z_SYNC_FLUSH });
    case 'deflate':
      return createDeflate({ level: 1, flush: constants.Z_SYNC_FLUSH });
    case 'br':
      return createBrotliCompress({
        flush: constants.BROTLI_OPERATION_FLUSH,
        params: { [constants.BROTLI_PARAM_QUALITY]: 2, [constants.BROTLI_PARAM_LGWIN]: 20 },
      });
    default:
      return createZstdCompress({
        flush: constants.ZSTD_e_flush,
        params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_windowLog]: 20 },
      });
  }
}
