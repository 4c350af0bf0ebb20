import { shapeOf } from '../../../sql/shape.ts';

/** A change of a text, at offsets into its UTF-8; those of one text come in order and do not overlap. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

interface Piece {
  /** How many literals of the original stand before it. */
  readonly after: number;
  /** Where it starts and ends in the text that the template was made from, less what literals before it take up. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * How texts of one shape are rewritten: their literals are of other lengths, and nothing else of them differs. Only for texts whose
 * characters are one byte each, and edits that leave literals alone.
 */
export class Template {
  readonly #pieces: readonly Piece[];

  private constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  static of(text: string, literals: readonly number[], edits: readonly Edit[]): Template | undefined {
    if (Buffer.byteLength(text) !== text.length) return undefined;
    const pieces: Piece[] = [];
    for (const { start, end, text: put } of edits) {
      let after = 0;
      let before = 0;
      while (after * 2 < literals.length && literals[after * 2]! < start) {
        before += literals[after * 2 + 1]! - literals[after * 2]!;
        after += 1;
      }
      const overlaps =
        (after > 0 && literals[after * 2 - 1]! > start) || (after * 2 < literals.length && literals[after * 2]! < end);
      if (overlaps) return undefined;
      pieces.push({ after, start: start - before, end: end - before, text: put });
    }
    return new Template(pieces);
  }

  /** `literals`: where those of `text` are, which is of the template's shape. Undefined where it cannot be used for this text. */
  apply(text: string, literals: readonly number[]): string | undefined {
    if (Buffer.byteLength(text) !== text.length) return undefined;
    let made = '';
    let copied = 0;
    let after = 0;
    let before = 0;
    for (const piece of this.#pieces) {
      while (after < piece.after) {
        before += literals[after * 2 + 1]! - literals[after * 2]!;
        after += 1;
      }
      made += text.slice(copied, piece.start + before) + piece.text;
      copied = piece.end + before;
    }
    return made + text.slice(copied);
  }
}

/** Where the literals of a text are, and its shape; undefined where it has none, or where a number may be of several types. */
export function literalsOf(text: string): { readonly key: string; readonly literals: readonly number[] } | undefined {
  const literals: number[] = [];
  const shape = shapeOf(text, literals);
  return shape === undefined || shape.key.includes(numeric) ? undefined : { key: shape.key, literals };
}

/** What stands for a number that is no integer, or too large for one, in the key of a shape. */
const numeric = '\u0002';
