import type { BodySink, Fields } from '../../../../web/message.ts';

/** A taker for tests: keeps what it is given, and can be slow. */
export class Collector implements BodySink {
  readonly pieces: Buffer[] = [];
  readonly #slow: boolean;
  #end: { trailers: Fields } | { error: Error } | undefined;
  #busy = false;

  constructor(slow = false) {
    this.#slow = slow;
  }

  data(bytes: Buffer): Promise<void> | undefined {
    if (this.#end !== undefined) throw new Error('bytes behind the end');
    if (this.#busy) throw new Error('bytes before there was room');
    this.pieces.push(Buffer.from(bytes));
    if (!this.#slow) return undefined;
    this.#busy = true;
    return new Promise((done) =>
      setImmediate(() => {
        this.#busy = false;
        done();
      }),
    );
  }

  end(trailers: Fields): void {
    if (this.#end !== undefined || this.#busy) throw new Error('an end too many or too early');
    this.#end = { trailers };
  }

  fail(error: Error): void {
    if (this.#end !== undefined) throw new Error('a failure behind the end');
    this.#end = { error };
  }

  bytes(): Buffer {
    return Buffer.concat(this.pieces);
  }

  /** How it ended: length and trailers, or the message of the failure. */
  outcome(): { length: number; trailers: Fields } | string | undefined {
    if (this.#end === undefined) return undefined;
    return 'error' in this.#end
      ? this.#end.error.message
      : { length: this.bytes().length, trailers: this.#end.trailers };
  }
}
