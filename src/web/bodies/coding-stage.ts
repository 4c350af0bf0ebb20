import type { Transform } from 'node:stream';
import { PeerError, Refusal } from '../../model/errors.ts';
import type { BodySink, Fields } from '../message.ts';
import type { DecodingLimits } from './coding.ts';

/** A stream of node:zlib between two sinks: no more is read than is taken, and no more is taken than is read. */
abstract class Stage implements BodySink {
  protected readonly next: BodySink;
  #stream: (Transform & Counted) | undefined;
  #trailers: Fields = [];
  #arrived = 0;
  #over = false;
  #ending = false;
  /** The stream has given its last byte, whatever else arrives. */
  #ended = false;

  constructor(next: BodySink) {
    this.next = next;
  }

  data(bytes: Buffer): Promise<void> | undefined {
    if (this.#over || bytes.length === 0) return undefined;
    if (this.#ended) {
      this.fail(this.broken());
      return undefined;
    }
    this.#stream ??= this.#watched(this.open(bytes[0]!));
    this.#arrived += bytes.length;
    if (this.#stream.write(bytes)) return undefined;
    const stream = this.#stream;
    return new Promise((resolve) => {
      const done = () => {
        stream.off('drain', done).off('close', done);
        resolve();
      };
      stream.on('drain', done).on('close', done);
    });
  }

  end(trailers: Fields): void {
    if (this.#over) return;
    this.#trailers = trailers;
    this.#ending = true;
    if (this.#stream === undefined) {
      const stream = this.empty();
      this.#stream = stream === undefined ? undefined : this.#watched(stream);
    }
    if (this.#stream === undefined || this.#ended) this.#finish();
    else this.#stream.end();
  }

  fail(error: PeerError | Refusal): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream?.destroy();
    this.next.fail(error);
  }

  /** The stream, given the body's first byte. */
  protected abstract open(first: number): Transform & Counted;
  /** The stream for a body of nothing; undefined where that stays nothing. */
  protected abstract empty(): (Transform & Counted) | undefined;
  /** Some bytes have come out; may fail the stage. */
  protected abstract left(count: number): void;
  protected abstract broken(): PeerError | Refusal;

  protected get arrived(): number {
    return this.#arrived;
  }

  #watched(stream: Transform & Counted): Transform & Counted {
    stream.on('data', (bytes: Buffer) => {
      this.left(bytes.length);
      if (this.#over) return;
      const taken = this.next.data(bytes);
      if (taken === undefined) return;
      stream.pause();
      const goOn = () => stream.resume();
      taken.then(goOn, goOn);
    });
    stream.on('end', () => {
      this.#ended = true;
      // What the coding does not account for is not passed over in silence.
      if (stream.bytesWritten < this.#arrived) this.fail(this.broken());
      else if (this.#ending) this.#finish();
    });
    stream.on('error', () => this.fail(this.broken()));
    return stream;
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.next.end(this.#trailers);
  }
}

/** Streams of node:zlib count the bytes that they have made use of. */
interface Counted {
  readonly bytesWritten: number;
}

export class DecodingStage extends Stage {
  readonly #coding: string;
  readonly #make: (first: number) => Transform & Counted;
  readonly #limits: DecodingLimits;
  #out = 0;

  constructor(coding: string, make: (first: number) => Transform & Counted, next: BodySink, limits: DecodingLimits) {
    super(next);
    this.#coding = coding;
    this.#make = make;
    this.#limits = limits;
  }

  protected open(first: number): Transform & Counted {
    return this.#make(first);
  }

  protected empty(): undefined {
    return undefined;
  }

  protected left(count: number): void {
    this.#out += count;
    const { bytes, ratio, freeBytes } = this.#limits;
    if (this.#out <= bytes && this.#out <= Math.max(freeBytes, this.arrived * ratio)) return;
    this.fail(new Refusal('LIMIT_EXCEEDED', `the body grows too far when its ${this.#coding} coding is taken off`));
  }

  protected broken(): PeerError {
    return new PeerError('UPSTREAM_PROTOCOL', `the body is not ${this.#coding} as its Content-Encoding says`);
  }
}

export class EncodingStage extends Stage {
  readonly #stream: Transform & Counted;

  constructor(stream: Transform & Counted, next: BodySink) {
    super(next);
    this.#stream = stream;
  }

  protected open(): Transform & Counted {
    return this.#stream;
  }

  protected empty(): Transform & Counted {
    return this.#stream;
  }

  protected left(): void {}

  protected broken(): Refusal {
    return new Refusal('INTERNAL', 'the body could not be coded');
  }
}
