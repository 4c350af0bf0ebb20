import { Readable } from 'node:stream';
import { Refusal } from '../model/errors.ts';
import type { Caller } from '../model/principal.ts';

/** Counts the open streams of each principal, so that nobody can hold more than `most`. */
export class Streams {
  readonly #most: number;
  readonly #open = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Bytes as a stream that reads on only as its reader does, and stops its source when the reader goes away. The first bytes
   * are there when it resolves, so that what fails at once is still an answer. Throws Refusal LIMIT_EXCEEDED when the caller
   * has too many open.
   */
  async open(caller: Caller, source: AsyncIterable<Buffer>): Promise<Readable> {
    const { id } = caller.principal;
    const open = this.#open.get(id) ?? 0;
    if (open >= this.#most)
      throw new Refusal('LIMIT_EXCEEDED', `you have ${open} replays or exports open; close one first`);
    this.#open.set(id, open + 1);
    try {
      const iterator = source[Symbol.asyncIterator]();
      const first = await iterator.next();
      const stream = Readable.from(resume(first, iterator), { objectMode: false, highWaterMark: 64 * 1024 });
      stream.once('close', () => {
        this.#release(id);
        // A stream that is destroyed before it was read never started the generator that would stop the source.
        iterator.return?.().catch(() => undefined);
      });
      return stream;
    } catch (error) {
      this.#release(id);
      throw error;
    }
  }

  #release(id: string): void {
    const left = (this.#open.get(id) ?? 1) - 1;
    if (left > 0) this.#open.set(id, left);
    else this.#open.delete(id);
  }
}

async function* resume(first: IteratorResult<Buffer>, rest: AsyncIterator<Buffer>): AsyncIterable<Buffer> {
  for (let next = first; next.done !== true; next = await rest.next()) yield next.value;
}

const batch = 16 * 1024;

/** One JSON text a line (`application/x-ndjson`), several lines a chunk. */
export async function* ndjson<T>(items: AsyncIterable<T>, encode: (item: T) => unknown): AsyncIterable<Buffer> {
  let text = '';
  for await (const item of items) {
    text += `${JSON.stringify(encode(item))}\n`;
    if (text.length < batch) continue;
    yield Buffer.from(text);
    text = '';
  }
  if (text !== '') yield Buffer.from(text);
}
