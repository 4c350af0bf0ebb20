import type { PeerError, Refusal } from '../../model/errors.ts';
import type { BodySink, Fields } from '../message.ts';
import type { BodyWriter } from './body-writer.ts';
import type { Outbox } from './outbox.ts';

/** What a request's body needs of the exchange. */
export interface RequestOwner {
  readonly outbox: Outbox;
  /** All of the request is out. */
  sent(): void;
  /** The request cannot be completed; the target must not take it for complete. */
  broken(error: PeerError | Refusal | undefined): void;
}

/** Takes a request's body to the target, until nobody wants that any more. */
export class RequestSink implements BodySink {
  readonly #writer: BodyWriter;
  readonly #owner: RequestOwner;
  #stopped = false;

  constructor(writer: BodyWriter, owner: RequestOwner) {
    this.#writer = writer;
    this.#owner = owner;
  }

  /** Takes no more: the answer is there, or nobody waits for it. */
  stop(): void {
    this.#stopped = true;
  }

  data(bytes: Buffer): Promise<void> | undefined {
    if (this.#stopped) return undefined;
    if (this.#writer.data(bytes)) return this.#owner.outbox.pressure();
    this.#break(undefined);
    return undefined;
  }

  end(trailers: Fields): void {
    if (this.#stopped) return;
    if (this.#ended(trailers)) {
      this.#stopped = true;
      this.#owner.sent();
    } else this.#break(undefined);
  }

  fail(error: PeerError | Refusal): void {
    if (!this.#stopped) this.#break(error);
  }

  #ended(trailers: Fields): boolean {
    try {
      return this.#writer.end(trailers);
    } catch (error) {
      if (error instanceof TypeError) return false;
      throw error;
    }
  }

  #break(error: PeerError | Refusal | undefined): void {
    this.#stopped = true;
    this.#owner.broken(error);
  }
}
