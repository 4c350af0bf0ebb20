import type { Masks } from '../../gateway/protocol.ts';
import { Refusal } from '../../model/errors.ts';
import { Server } from './codec.ts';
import type { ColumnMask } from './rows.ts';

/** Copies shorter than this are quicker byte by byte than through a native call. */
const shortCopy = 48;

/**
 * Rewrites rows of one description. What lies between two masked values, over the ends of rows, is copied in one piece and
 * the lengths of the rows are put right in the copy; masks that are the same for every value are encoded once. Nothing is
 * allocated per row.
 */
export class RowMasker {
  readonly #columns: readonly (ColumnMask | undefined)[];
  /** Encoded masks with their lengths, where the method does not look at the value. By the method they were made for. */
  readonly #constants: ({ readonly method: string; readonly bytes: Buffer } | undefined)[];
  readonly #originals: (Originals | undefined)[];
  #out: Buffer = Buffer.alloc(0);
  #length = 0;
  /** Input before this is in the output. */
  #copied = 0;

  constructor(columns: readonly (ColumnMask | undefined)[]) {
    this.#columns = columns;
    this.#constants = columns.map(() => undefined);
    this.#originals = columns.map((column) => (column === undefined ? undefined : new Originals()));
  }

  /** `bytes`: whole messages. The result is in leased memory. Throws Refusal MASK_IMPOSSIBLE for a row that does not add up. */
  mask(bytes: Buffer, masks: Masks, lease: (size: number) => Buffer): Buffer {
    this.#out = lease(bytes.length + 4096);
    this.#length = 0;
    this.#copied = 0;
    for (const originals of this.#originals) originals?.reset();
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + int32(bytes, at + 1);
      if (bytes[at] === Server.DataRow) this.#row(bytes, at, end, masks);
      at = end;
    }
    this.#copyTo(bytes, bytes.length);
    this.#note(masks);
    return this.#out.subarray(0, this.#length);
  }

  #row(bytes: Buffer, start: number, end: number, masks: Masks): void {
    const columns = this.#columns;
    if (((bytes[start + 5]! << 8) | bytes[start + 6]!) !== columns.length) {
      throw new Refusal('MASK_IMPOSSIBLE', 'a row does not fit its description, so it cannot be masked');
    }
    // Where the row's length will stand in the output: behind what is still to be copied.
    const lengthAt = this.#length + (start - this.#copied) + 1;
    let grown = 0;
    let at = start + 7;
    for (let i = 0; i < columns.length; i++) {
      if (at + 4 > end) throw torn();
      const length = int32(bytes, at);
      const next = length < 0 ? at + 4 : at + 4 + length;
      if (length < -1 || next > end) throw torn();
      const column = columns[i];
      if (column !== undefined && length >= 0) {
        this.#originals[i]!.add(bytes, at, next);
        this.#copyTo(bytes, at);
        const before = this.#length;
        this.#mask(i, column, bytes, at + 4, next, masks);
        this.#copied = next;
        grown += this.#length - before - (next - at);
      }
      at = next;
    }
    if (at !== end) throw torn();
    if (grown === 0) return;
    // The head of the row has been copied with whatever came before its first masked value.
    writeInt32(this.#out, lengthAt, end - start - 1 + grown);
  }

  #mask(i: number, column: ColumnMask, bytes: Buffer, start: number, end: number, masks: Masks): void {
    const method = masks.method(column.classification);
    let constant = this.#constants[i];
    if (constant?.method !== method) {
      const fixed = column.form === 'null' || method === 'null' || method === 'redact';
      constant = fixed ? { method, bytes: encoded(column, masks, '') } : undefined;
      this.#constants[i] = constant;
    }
    const mask = constant?.bytes ?? encoded(column, masks, bytes.toString('utf8', start, end));
    this.#room(mask.length);
    this.#append(mask, 0, mask.length);
  }

  /** Copies the input up to `end` that has not been copied yet. */
  #copyTo(bytes: Buffer, end: number): void {
    const size = end - this.#copied;
    if (size <= 0) return;
    this.#room(size);
    this.#append(bytes, this.#copied, end);
    this.#copied = end;
  }

  #append(from: Buffer, start: number, end: number): void {
    const out = this.#out;
    let to = this.#length;
    if (end - start < shortCopy) for (let at = start; at < end; at++) out[to++] = from[at]!;
    else from.copy(out, to, start, end);
    this.#length += end - start;
  }

  #room(size: number): void {
    if (this.#length + size <= this.#out.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#out.length * 2, this.#length + size));
    this.#out.copy(grown, 0, 0, this.#length);
    this.#out = grown;
  }

  #note(masks: Masks): void {
    for (let i = 0; i < this.#columns.length; i++) {
      const column = this.#columns[i];
      const originals = this.#originals[i];
      if (column === undefined || originals === undefined || originals.count === 0) continue;
      masks.masked(column.field, column.classification, originals.count, originals.bytes);
    }
  }
}

/** A mask as it stands in a row: its length and its bytes in the column's type. */
function encoded({ form, classification }: ColumnMask, masks: Masks, original: string): Buffer {
  const value = form === 'null' ? null : masks.text(classification, original);
  if (value === null) return Buffer.from([0xff, 0xff, 0xff, 0xff]);
  const text = Buffer.from(form === 'text' ? value : JSON.stringify(value), 'utf8');
  const body = form === 'jsonb' ? Buffer.concat([Buffer.of(1), text]) : text; // jsonb's binary form starts with its version, 1
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** The original values of one column in one batch, each after its length, on their way into the keyed digest. */
class Originals {
  count = 0;
  #scratch: Buffer = Buffer.allocUnsafeSlow(1024);
  #used = 0;

  reset(): void {
    this.count = 0;
    this.#used = 0;
  }

  add(bytes: Buffer, start: number, end: number): void {
    const size = end - start;
    if (this.#used + size > this.#scratch.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#scratch.length * 2, this.#used + size));
      this.#scratch.copy(grown, 0, 0, this.#used);
      this.#scratch = grown;
    }
    const scratch = this.#scratch;
    let to = this.#used;
    if (size < shortCopy) for (let at = start; at < end; at++) scratch[to++] = bytes[at]!;
    else bytes.copy(scratch, to, start, end);
    this.#used += size;
    this.count += 1;
  }

  get bytes(): Buffer {
    return this.#scratch.subarray(0, this.#used);
  }
}

function int32(bytes: Buffer, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

function writeInt32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = (value >>> 16) & 0xff;
  bytes[at + 2] = (value >>> 8) & 0xff;
  bytes[at + 3] = value & 0xff;
}

function torn(): Refusal {
  return new Refusal('MASK_IMPOSSIBLE', 'a row does not add up to its own length, so it cannot be masked');
}
