/** A change of a text: what is between two places, and what comes there. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Replacements in a text, at UTF-16 positions of the original. They must not overlap. */
export class Splices {
  readonly #all: Splice[] = [];

  replace(start: number, end: number, text: string): void {
    this.#all.push({ start, end, text });
  }

  insert(at: number, text: string): void {
    this.#all.push({ start: at, end: at, text });
  }

  get empty(): boolean {
    return this.#all.length === 0;
  }

  /** In the order of the text; those at one place in the order in which they came. */
  get sorted(): readonly Splice[] {
    return this.#all.toSorted((one, other) => one.start - other.start || one.end - other.end);
  }

  /** The text between two places, changed. Throws RangeError for changes that overlap. */
  applyTo(source: string, from = 0, to = source.length): string {
    const parts: string[] = [];
    let at = from;
    for (const { start, end, text } of this.sorted) {
      if (start < from || end > to) continue;
      if (start < at) throw new RangeError('two changes of one place');
      parts.push(source.slice(at, start), text);
      at = end;
    }
    parts.push(source.slice(at, to));
    return parts.join('');
  }
}

/** The same at offsets into the text's UTF-8. */
export function inBytes(splices: readonly Splice[], source: string): readonly Splice[] {
  if (Buffer.byteLength(source) === source.length) return splices;
  const offset = (at: number) => Buffer.byteLength(source.slice(0, at));
  return splices.map(({ start, end, text }) => ({ start: offset(start), end: offset(end), text }));
}
