import { createHash } from 'node:crypto';
import { type PeerError, Refusal } from '../../../../model/errors.ts';
import type { BodySink, Fields } from '../../../../web/message.ts';

/**
 * Compares a payload with the hash that was signed. The last bytes are held back until it fits, so that a target that counts bytes
 * never has the whole of a payload that does not.
 */
export class HashCheck implements BodySink {
  readonly #expected: string;
  readonly #next: BodySink;
  readonly #hash = createHash('sha256');
  #last: Buffer | undefined;
  #over = false;

  /** `expected` is hex. */
  constructor(expected: string, next: BodySink) {
    this.#expected = expected;
    this.#next = next;
  }

  data(bytes: Buffer): Promise<void> | undefined {
    if (this.#over || bytes.length === 0) return undefined;
    this.#hash.update(bytes);
    const before = this.#last;
    this.#last = bytes;
    return before === undefined ? undefined : this.#next.data(before);
  }

  end(trailers: Fields): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#hash.digest('hex') !== this.#expected) {
      const advice = 'send what was signed';
      this.#next.fail(
        new Refusal('UNPARSABLE', 'the payload is not the one that was signed: its SHA-256 differs', { advice }),
      );
      return;
    }
    const waiting = this.#last === undefined ? undefined : this.#next.data(this.#last);
    if (waiting === undefined) this.#next.end(trailers);
    else waiting.then(() => this.#next.end(trailers), givenUp);
  }

  fail(error: PeerError | Refusal): void {
    if (this.#over) return;
    this.#over = true;
    this.#next.fail(error);
  }
}

/** Whoever takes the bytes has given up, and says so itself. */
function givenUp(): void {}
