import { createHash, type Hash, timingSafeEqual } from 'node:crypto';
import { type PeerError, Refusal } from '../../../../model/errors.ts';
import type { BodySink, Fields } from '../../../../web/message.ts';
import { ChunkSignatures } from './chunk-signature.ts';
import { deliver } from './deliver.ts';
import type { Verified } from './verify.ts';

const longestLine = 512;
const mostTrailers = 16;

/**
 * Takes aws-chunked framing off a payload and checks each chunk's signature where chunks are signed. What is handed on is complete
 * only with `end`, which comes when everything was right: until then the taker must not take it for the whole.
 */
export class ChunkedReader implements BodySink {
  readonly #next: BodySink;
  readonly #signatures: ChunkSignatures | undefined;
  readonly #announced: ReadonlySet<string>;
  readonly #trailers: string[] = [];
  readonly #takesTrailer: boolean;
  #state: 'size' | 'data' | 'data-end' | 'trailer' | 'done' | 'broken' = 'size';
  #line = '';
  /** Bytes of data that the chunk still lacks. */
  #missing = 0;
  /** Bytes of payload that are still to come. */
  #left: number;
  #hash: Hash = createHash('sha256');
  #claimed = '';
  #trailerSignature: string | undefined;

  /** `trailerNames` is the request's `x-amz-trailer`. */
  constructor(verified: Verified, trailerNames: string | undefined, next: BodySink) {
    const { payload, seed, decodedLength } = verified;
    if (payload.kind !== 'chunked') throw new Error('the payload is not chunked');
    this.#signatures = payload.signed ? new ChunkSignatures(seed) : undefined;
    this.#takesTrailer = payload.trailer;
    this.#announced = new Set(
      (trailerNames ?? '')
        .split(',')
        .map((name) => name.trim().toLowerCase())
        .filter((name) => name !== ''),
    );
    this.#left = decodedLength ?? 0;
    this.#next = next;
  }

  data(bytes: Buffer): Promise<void> | undefined {
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      if (this.#state === 'done') this.#break('goes on behind its end');
      if (this.#state === 'broken') return undefined;
      if (this.#state === 'data') {
        const piece = bytes.subarray(at, at + this.#missing);
        at += piece.length;
        this.#missing -= piece.length;
        this.#left -= piece.length;
        if (this.#signatures !== undefined) this.#hash.update(piece);
        pieces.push(piece);
        if (this.#missing === 0) this.#state = 'data-end';
      } else {
        const newline = bytes.indexOf(0x0a, at);
        const end = newline < 0 ? bytes.length : newline + 1;
        this.#line += bytes.toString('latin1', at, Math.min(end, at + longestLine + 1));
        at = end;
        if (this.#line.length > longestLine) this.#break('has a line that is too long');
        else if (newline >= 0) this.#takeLine();
      }
    }
    return deliver(this.#next, pieces, () => this.#state === 'broken');
  }

  end(trailers: Fields): void {
    if (this.#state === 'broken') return;
    if (this.#state !== 'done') this.#break('ends too early');
    else this.#next.end([...trailers, ...this.#trailers]);
  }

  fail(error: PeerError | Refusal): void {
    if (this.#state === 'broken') return;
    this.#state = 'broken';
    this.#next.fail(error);
  }

  #takeLine(): undefined {
    const line = this.#line;
    this.#line = '';
    if (!line.endsWith('\r\n')) return this.#break('has a line that does not end in CR LF');
    const text = line.slice(0, -2);
    if (this.#state === 'size') this.#takeSize(text);
    else if (this.#state === 'data-end') this.#takeChunkEnd(text);
    else this.#takeTrailer(text);
  }

  #takeSize(text: string): undefined {
    const match = /^([0-9a-f]{1,10})(?:;chunk-signature=([0-9a-f]{64}))?$/i.exec(text);
    const signed = match?.[2] !== undefined;
    if (match === null || signed !== (this.#signatures !== undefined))
      return this.#break('has a chunk size that cannot be read');
    this.#missing = Number.parseInt(match[1] as string, 16);
    if (this.#missing > this.#left) return this.#break('is longer than X-Amz-Decoded-Content-Length says');
    this.#claimed = match[2] ?? '';
    if (this.#missing > 0) {
      this.#state = 'data';
      return;
    }
    if (this.#left > 0) return this.#break('is shorter than X-Amz-Decoded-Content-Length says');
    if (this.#chunkIsWrong()) return;
    this.#state = 'trailer';
  }

  #takeChunkEnd(text: string): undefined {
    if (text !== '') return this.#break('has a chunk that is longer than its size');
    if (this.#chunkIsWrong()) return;
    this.#state = 'size';
  }

  #chunkIsWrong(): boolean {
    if (this.#signatures === undefined) return false;
    const expected = this.#signatures.chunk(this.#hash.digest('hex'));
    this.#hash = createHash('sha256');
    if (equal(expected, this.#claimed)) return false;
    this.#break('has a chunk whose signature is wrong');
    return true;
  }

  #takeTrailer(text: string): undefined {
    if (text === '') return this.#takeEnd();
    const [, name = '', value = ''] = /^([a-z0-9-]{1,100}):[ \t]*([\x21-\x7e]{1,256})[ \t]*$/i.exec(text) ?? [];
    const folded = name.toLowerCase();
    if (
      folded === 'x-amz-trailer-signature' &&
      this.#signatures !== undefined &&
      this.#trailerSignature === undefined
    ) {
      this.#trailerSignature = value;
      return;
    }
    const known = this.#takesTrailer && this.#announced.has(folded) && folded.startsWith('x-amz-checksum-');
    const late = this.#trailerSignature !== undefined || this.#trailers.includes(folded);
    if (!known || late || this.#trailers.length >= 2 * mostTrailers)
      return this.#break('has a trailing field that was not announced');
    this.#trailers.push(folded, value);
  }

  #takeEnd(): undefined {
    if (this.#signatures !== undefined && this.#takesTrailer) {
      const expected = this.#signatures.trailer(this.#trailers);
      if (!equal(expected, this.#trailerSignature ?? ''))
        return this.#break('has trailing fields whose signature is wrong');
    } else if (this.#trailerSignature !== undefined) return this.#break('has a trailing field that was not announced');
    if (this.#trailers.length !== 2 * (this.#takesTrailer ? this.#announced.size : 0))
      return this.#break('lacks a trailing field that was announced');
    this.#state = 'done';
  }

  #break(what: string): undefined {
    if (this.#state === 'broken') return;
    this.#state = 'broken';
    this.#next.fail(new Refusal('UNPARSABLE', `the aws-chunked payload ${what}`, { advice: 'send it again' }));
  }
}

function equal(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given.toLowerCase())];
  return a.length === b.length && timingSafeEqual(a, b);
}
