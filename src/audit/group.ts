import { frameHeaderBytes, sealFrame } from './frame.ts';

/** An entry takes no further event beyond this, so that any event that fits it leaves it below `maxEntryBytes`. */
export const entryTargetBytes = 60 * 1024;

/** Whoever waits for an event to be durable. */
export interface Waiter {
  readonly seq: number;
  granted(seq: number): void;
  failed(error: Error): void;
}

/**
 * The events that wait for one write, laid out as frames as they come. Each frame is one entry of the log and holds the lines of
 * as many events as fit. Made to be used again: the buffer stays unless one large event has blown it up.
 */
export class Group {
  #buffer = Buffer.allocUnsafe(256 * 1024);
  /** Where the open frame starts, its header included. */
  #open = 0;
  #end = 0;
  /** Ends of the frames that are closed. */
  readonly #ends: number[] = [];
  readonly waiters: Waiter[] = [];

  get empty(): boolean {
    return this.#end === 0;
  }

  get bytes(): number {
    return this.#end;
  }

  /** Appends one event's line, its newline included; `line` is at most `entryTargetBytes` long in UTF-8. */
  add(line: string): void {
    // UTF-8 needs at most three bytes for a UTF-16 unit.
    this.#reserve(2 * frameHeaderBytes + line.length * 3);
    let start = this.#end === this.#open ? this.#open + frameHeaderBytes : this.#end;
    const length = this.#buffer.write(line, start);
    if (start + length - this.#open - frameHeaderBytes > entryTargetBytes && this.#end !== this.#open) {
      this.#ends.push(this.#end);
      this.#open = this.#end;
      this.#buffer.copyWithin(start + frameHeaderBytes, start, start + length);
      start += frameHeaderBytes;
    }
    this.#end = start + length;
  }

  /** Closes the open frame. The frames are `bytes()`, and `ends` says where each stops. */
  seal(): { readonly bytes: Buffer; readonly ends: readonly number[] } {
    if (this.#end !== this.#open) this.#ends.push(this.#end);
    let start = 0;
    for (const end of this.#ends) {
      sealFrame(this.#buffer, start, end);
      start = end;
    }
    return { bytes: this.#buffer.subarray(0, this.#end), ends: this.#ends };
  }

  /** Empties it. */
  reset(): void {
    this.#open = 0;
    this.#end = 0;
    this.#ends.length = 0;
    this.waiters.length = 0;
    if (this.#buffer.length > 2 * 1024 * 1024) this.#buffer = Buffer.allocUnsafe(256 * 1024);
  }

  #reserve(bytes: number): void {
    const need = this.#end + bytes;
    if (need <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(need, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
  }
}
