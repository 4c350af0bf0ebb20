import type { Reply } from '../../gateway/protocol.ts';
import type { Obligations } from '../../model/decision.ts';
import type { Outcome } from '../../model/event.ts';
import type { Aside } from './certify/ask.ts';
import type { Portal, Statement } from './prepared.ts';
import type { Frames, Plan } from './rows.ts';

/** One command on its way: its reply, and how far that has come. */
export interface Run {
  readonly reply: Reply<Frames>;
  /** How classifications look to this caller, as decided for this command. */
  readonly obligations: Obligations;
  /** What the columns of the rows that follow are; absent before a description came. */
  plan: Plan | undefined;
  /** Refuse rows that come without a description: some of their columns may be classified. */
  readonly needsPlan: boolean;
  /** How many columns have to be masked at least, by the server's own account of what was sent. */
  readonly carries: number;
  /** It makes tables, which only this session sees as yet, and may show them. */
  readonly makesTables: boolean;
  /** Errors and notices of this command may quote classified values. */
  readonly touches: boolean;
  /** The command copies data in or out: no other may be answered with it, since copied data has no columns to mask. */
  readonly copyIn: boolean;
  readonly copyOut: boolean;
  status: Outcome['status'];
  errorCode: string | undefined;
  /** The rest of the reply is not shown; this is, in its place, when it ends. */
  withheld: Buffer | undefined;
  ended: boolean;
  /** Called once, when the reply is complete. */
  readonly done: ((run: Run) => void) | undefined;
}

/**
 * What the next bytes from the server answer. The server answers in order, so a queue of these says what each message is for
 * (PostgreSQL manual, “Extended Query”, “Pipelining”). Each names the messages that end it.
 */
export type Unit =
  | { readonly kind: 'parse'; readonly confirm: () => void }
  | { readonly kind: 'bind'; readonly confirm: () => void }
  | { readonly kind: 'close'; readonly confirm: () => void }
  /** Ends with RowDescription or NoData. `hidden`: the gateway asked, the client did not. */
  | { readonly kind: 'describe'; readonly of: Statement | Portal; readonly hidden: boolean }
  /** Ends with CommandComplete, EmptyQueryResponse or PortalSuspended. */
  | { readonly kind: 'execute'; readonly run: Run; readonly portal: Portal }
  /** Ends with ReadyForQuery. */
  | { readonly kind: 'query'; readonly run: Run }
  | { readonly kind: 'call'; readonly run: Run }
  | { readonly kind: 'sync'; readonly period: number }
  /** A conversation of the gateway's own, of which the client sees nothing. Ends with ReadyForQuery. */
  | { readonly kind: 'aside'; readonly aside: Aside }
  /** A statement that cannot succeed, so that the server's transaction fails with the refusal that the client sees instead of the server's error. */
  | { readonly kind: 'poison'; readonly report: Buffer; readonly simple: boolean; failed: boolean }
  /** Nothing comes from the server; the bytes are the gateway's own. */
  | { readonly kind: 'local'; readonly bytes: Buffer };

/** A queue that is cheap at both ends. */
export class Queue<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i]!;
  }
}
