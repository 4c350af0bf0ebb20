import { createHash, type Hash } from 'node:crypto';
import type { RecordedEvent } from '../model/event.ts';
import type { LargeField } from './large.ts';

/** A command that was let through and of which the log does not say how it ended. */
export interface OpenIntent {
  readonly session: string;
  readonly exchange: number;
  readonly seq: number;
}

/**
 * Checks that the events of a log, taken one after the other, make a whole story: numbers without gaps, time that does not run
 * backwards, no outcome without its intent, and large fields whose parts are all there. Remembers open commands only.
 */
export class Story {
  #lastSeq = 0;
  #lastTime = '';
  #firstTime: string | undefined;
  #events = 0;
  /** After an entry that could not be read, the next number is taken as it comes. */
  #resume = false;
  readonly #intents = new Map<string, OpenIntent>();
  readonly #parts = new Map<string, { readonly from: number; count: number; readonly sha256: Hash }>();

  /** What is wrong with the event at this place, if anything. */
  add(event: RecordedEvent): string | undefined {
    if (
      typeof event !== 'object' ||
      event === null ||
      !Number.isSafeInteger(event.seq) ||
      typeof event.type !== 'string'
    ) {
      return 'a line is not an event';
    }
    this.#events++;
    const wrong = this.#order(event) ?? this.#large(event) ?? this.#command(event);
    return wrong === undefined ? undefined : `event ${event.seq}: ${wrong}`;
  }

  /** Entries are missing here; that is a problem already, and no reason for more of them. */
  gap(): void {
    this.#resume = true;
  }

  #order({ seq, time }: RecordedEvent): string | undefined {
    const expected = this.#lastSeq + 1;
    const resumed = this.#resume;
    this.#resume = false;
    this.#lastSeq = seq;
    if (!resumed && seq !== expected) return `number ${expected} was expected`;
    if (typeof time !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(time)) return 'it has no time';
    const before = this.#lastTime;
    this.#lastTime = time;
    this.#firstTime ??= time;
    return time < before ? `its time ${time} is before that of the event ahead of it, ${before}` : undefined;
  }

  #large(event: RecordedEvent): string | undefined {
    if (event.type === 'audit.part') {
      const field = String(event.field);
      if (event.part === 0) this.#parts.set(field, { from: event.seq, count: 0, sha256: createHash('sha256') });
      const parts = this.#parts.get(field);
      if (parts === undefined || parts.count !== event.part) return 'a part of a large field is missing ahead of it';
      parts.count++;
      parts.sha256.update(String(event.data));
      return undefined;
    }
    let wrong: string | undefined;
    for (const field of Array.isArray(event.large) ? (event.large as string[]) : []) {
      const parts = this.#parts.get(field);
      const reference = event[field] as LargeField;
      const whole =
        parts?.from === reference.from &&
        parts.count === reference.parts &&
        parts.sha256.digest('hex') === reference.sha256;
      if (!whole) wrong = `the parts of its field ${field} are not those that were written`;
    }
    if (this.#parts.size > 0) this.#parts.clear();
    return wrong;
  }

  #command({ type, session, exchange, seq }: RecordedEvent): string | undefined {
    if (type === 'command.intent') {
      this.#intents.set(`${session}/${exchange}`, { session: String(session), exchange: Number(exchange), seq });
    } else if (type === 'command.outcome' && !this.#intents.delete(`${session}/${exchange}`)) {
      return 'it is the outcome of a command that has no intent';
    }
    return undefined;
  }

  get events(): number {
    return this.#events;
  }

  get openIntents(): readonly OpenIntent[] {
    return [...this.#intents.values()];
  }

  get range(): { readonly lastSeq: number; readonly firstTime?: string; readonly lastTime?: string } {
    return this.#firstTime === undefined
      ? { lastSeq: 0 }
      : { lastSeq: this.#lastSeq, firstTime: this.#firstTime, lastTime: this.#lastTime };
  }
}
