import { writeLastChunk } from '../../wire/http1/write-head.ts';
import type { Fields } from '../message.ts';
import type { Outbox } from './outbox.ts';

/** `none`: nothing may follow, and what is given is dropped (the answer to HEAD). */
export type BodyFraming = number | 'chunked' | 'close' | 'none';

/** Writes one body, exactly as long as its head said. */
export class BodyWriter {
  readonly #outbox: Outbox;
  readonly #framing: BodyFraming;
  #left: number;

  constructor(outbox: Outbox, framing: BodyFraming) {
    this.#outbox = outbox;
    this.#framing = framing;
    this.#left = typeof framing === 'number' ? framing : Number.POSITIVE_INFINITY;
  }

  get untilClose(): boolean {
    return this.#framing === 'close';
  }

  /** False where that is more than was announced; none of it is written then. */
  data(bytes: Buffer): boolean {
    if (bytes.length === 0 || this.#framing === 'none') return true;
    if (bytes.length > this.#left) return false;
    this.#left -= bytes.length;
    if (this.#framing === 'chunked') this.#outbox.chunk(bytes);
    else this.#outbox.bytes(bytes);
    return true;
  }

  /** False where less came than was announced. Trailers go out where the framing has room for them. */
  end(trailers: Fields): boolean {
    if (this.#framing === 'chunked') this.#outbox.text(writeLastChunk(trailers));
    return typeof this.#framing !== 'number' || this.#left === 0;
  }
}
