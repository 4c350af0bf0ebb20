import type { ReplayItem } from '../../gateway/protocol.ts';

/** Lines of one COPY that are shown; the recording holds all of them. */
const shownLines = 1000;
const shownBytes = 4096;

/** What a caller sent for a COPY, as lines for the screen: text and CSV as they are, the binary form by its size. */
export class CopiedLines {
  readonly #exchange: number;
  #carry = '';
  #lines = 0;
  #bytes = 0;
  #binary: boolean | undefined;

  constructor(exchange: number) {
    this.#exchange = exchange;
  }

  *feed(bytes: Buffer): Generator<ReplayItem> {
    // PostgreSQL manual, COPY, “Binary Format”: the signature.
    this.#binary ??= bytes.toString('latin1', 0, 7) === 'PGCOPY\n';
    this.#bytes += bytes.length;
    if (this.#binary || this.#lines > shownLines) return;
    const [first = '', ...rest] = (this.#carry + bytes.toString('utf8')).split('\n');
    let line = first;
    for (const next of rest) {
      yield this.#row(line);
      line = next;
      if (++this.#lines > shownLines) {
        yield this.#row('…');
        return;
      }
    }
    this.#carry = line.slice(0, shownBytes);
  }

  /** The command is complete. */
  *end(): Generator<ReplayItem> {
    if (this.#binary) yield this.#row(`(${this.#bytes} bytes in COPY's binary form)`);
    else if (this.#carry !== '' && this.#lines <= shownLines) yield this.#row(this.#carry);
    this.#carry = '';
  }

  #row(line: string): ReplayItem {
    return { kind: 'row', exchange: this.#exchange, values: [`> ${line.slice(0, shownBytes)}`] };
  }
}
