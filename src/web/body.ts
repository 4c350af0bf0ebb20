import { PeerError, type Refusal } from '../model/errors.ts';
import type { Body, BodySink, Fields } from './message.ts';

/** A body that is there already. */
export function bytesBody(bytes: Buffer, trailers: Fields = []): Body {
  return {
    length: bytes.length,
    pipe(sink) {
      const taken = bytes.length === 0 ? undefined : sink.data(bytes);
      if (taken === undefined) sink.end(trailers);
      else
        taken.then(
          () => sink.end(trailers),
          () => undefined, // whoever takes it has given up and says so itself
        );
    },
    cancel() {},
  };
}

/** A body whose bytes `onto` sees as they pass; what it returns slows the body down like the taker itself. */
export function tappedBody(body: Body, onto: (bytes: Buffer) => Promise<void> | undefined): Body {
  return {
    length: body.length,
    pipe: (sink) =>
      body.pipe({
        data: (bytes) => both(onto(bytes), sink.data(bytes)),
        end: (trailers) => sink.end(trailers),
        fail: (error) => sink.fail(error),
      }),
    cancel: () => body.cancel(),
  };
}

export function both(one: Promise<void> | undefined, other: Promise<void> | undefined): Promise<void> | undefined {
  if (one === undefined) return other;
  if (other === undefined) return one;
  return Promise.all([one, other]).then(() => undefined);
}

/**
 * Reads ahead, up to `limit` bytes, to see whether a body ends by then. Afterwards it is a body like any other: what was read comes
 * first. The rest stays with the sender until somebody takes it.
 */
export class ReadAhead implements Body, BodySink {
  readonly #source: Body;
  readonly #limit: number;
  readonly #seen = Promise.withResolvers<Buffer | undefined>();
  #chunks: Buffer[] = [];
  #size = 0;
  #over: { readonly trailers: Fields } | { readonly error: PeerError | Refusal } | undefined;
  #sink: BodySink | undefined;
  #blocked: PromiseWithResolvers<void> | undefined;

  constructor(source: Body, limit: number) {
    this.#source = source;
    this.#limit = limit;
    this.#seen.promise.catch(() => undefined); // told to whoever asks
  }

  get length(): number | undefined {
    return this.#source.length;
  }

  /** All of the body, or undefined when it is longer than the limit. Rejects when it breaks off before. */
  read(): Promise<Buffer | undefined> {
    this.#source.pipe(this);
    return this.#seen.promise;
  }

  data(bytes: Buffer): Promise<void> | undefined {
    if (this.#sink !== undefined) return this.#sink.data(bytes);
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    if (this.#size <= this.#limit) return undefined;
    this.#seen.resolve(undefined);
    this.#blocked ??= Promise.withResolvers<void>();
    return this.#blocked.promise;
  }

  end(trailers: Fields): void {
    this.#over = { trailers };
    if (this.#sink !== undefined) this.#sink.end(trailers);
    else this.#seen.resolve(this.#size <= this.#limit ? Buffer.concat(this.#chunks) : undefined);
  }

  fail(error: PeerError | Refusal): void {
    this.#over = { error };
    if (this.#sink !== undefined) this.#sink.fail(error);
    else this.#seen.reject(error);
  }

  pipe(sink: BodySink): void {
    this.#replay(sink).catch(() => sink.fail(new PeerError('CLIENT_PROTOCOL', 'the body was not taken')));
  }

  cancel(): void {
    this.#chunks = [];
    this.#source.cancel();
    this.#blocked?.resolve();
  }

  async #replay(sink: BodySink): Promise<void> {
    for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) await sink.data(chunk);
    this.#sink = sink;
    if (this.#over !== undefined) {
      if ('error' in this.#over) sink.fail(this.#over.error);
      else sink.end(this.#over.trailers);
    }
    this.#blocked?.resolve();
  }
}
