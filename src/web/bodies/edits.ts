/** What replaces which pieces of some bytes. */
export class Edits {
  readonly #edits: Edit[] = [];
  #growth = 0;
  #sorted = true;

  get empty(): boolean {
    return this.#edits.length === 0;
  }

  /** Pieces must not overlap; they need not come in order. */
  add(start: number, end: number, by: Buffer): void {
    const last = this.#edits.at(-1);
    if (last !== undefined && start < last.start) this.#sorted = false;
    this.#edits.push({ start, end, by });
    this.#growth += by.length - (end - start);
  }

  /** New bytes with the pieces replaced; forgets them. */
  apply(bytes: Buffer): Buffer {
    if (!this.#sorted) this.#edits.sort((a, b) => a.start - b.start);
    const out = Buffer.allocUnsafe(bytes.length + this.#growth);
    let from = 0;
    let to = 0;
    for (const { start, end, by } of this.#edits) {
      to = put(out, to, bytes, from, start);
      to = put(out, to, by, 0, by.length);
      from = end;
    }
    put(out, to, bytes, from, bytes.length);
    this.#edits.length = 0;
    this.#growth = 0;
    this.#sorted = true;
    return out;
  }
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly by: Buffer;
}

/** Short copies are quicker byte by byte than through a native call. */
function put(out: Buffer, to: number, from: Buffer, start: number, end: number): number {
  const size = end - start;
  if (size < 48) for (let i = 0; i < size; i++) out[to + i] = from[start + i]!;
  else from.copy(out, to, start, end);
  return to + size;
}
