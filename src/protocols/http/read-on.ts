/**
 * Reads on while what was read before waits, up to so many bytes: only who reads notices that the other side has gone. Pieces are taken in
 * order, one after the other.
 */
export class ReadOn {
  readonly #take: (bytes: Buffer) => Promise<void> | undefined;
  readonly #most: number;
  readonly #pieces: Buffer[] = [];
  #size = 0;
  #busy = false;
  #room: PromiseWithResolvers<void> | undefined;
  #done: (() => void) | undefined;

  constructor(take: (bytes: Buffer) => Promise<void> | undefined, most: number) {
    this.#take = take;
    this.#most = most;
  }

  /** Returns a promise while there is no room for more. */
  data(bytes: Buffer): Promise<void> | undefined {
    if (this.#busy) {
      this.#pieces.push(bytes);
      this.#size += bytes.length;
    } else {
      const taken = this.#take(bytes);
      if (taken === undefined) return undefined;
      this.#busy = true;
      void this.#after(taken);
    }
    if (this.#size < this.#most) return undefined;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  /** Runs once all that came has been taken. */
  end(done: () => void): void {
    if (this.#busy) this.#done = done;
    else done();
  }

  async #after(taken: Promise<void>): Promise<void> {
    try {
      await taken;
      for (let piece = this.#pieces.shift(); piece !== undefined; piece = this.#pieces.shift()) {
        this.#size -= piece.length;
        if (this.#size < this.#most) this.#room = void this.#room?.resolve();
        await this.#take(piece);
      }
    } finally {
      this.#busy = false;
      this.#room?.resolve();
      this.#done?.();
    }
  }
}
