import type { AuditReader } from '../audit/reader.ts';
import type { RecordedEvent } from '../model/event.ts';

/** What shipping needs of the log's reader. */
export type LogReader = Pick<AuditReader, 'events' | 'event' | 'close'>;

/** Events that one question to the log brings, at most; fewer where they are large. */
const pageEvents = 500;
/** What a page should hold, characters: taking it over from the reader's thread must not take long. */
const pageWeight = 512 * 1024;
/** Fields that were too large for an entry are put back where all of them have no more than this; otherwise the references stay. */
const wholeBytes = 256 * 1024;

/** Reads the log behind its writer, for all sinks. Keeps one page: sinks that keep up all ask for the same. */
export class Feed {
  readonly #reader: LogReader;
  #page: { readonly after: number; readonly items: readonly RecordedEvent[] } = { after: 0, items: [] };
  #limit = pageEvents;
  #head: { readonly seq: number; readonly time: number } = { seq: 0, time: 0 };

  constructor(reader: LogReader) {
    this.#reader = reader;
  }

  /** Number and time (ms) of the newest event that was seen. */
  get head(): { readonly seq: number; readonly time: number } {
    return this.#head;
  }

  /** Looks for the newest event. */
  async look(): Promise<void> {
    const { items } = await this.#reader.events({ limit: 1 });
    if (items[0] !== undefined) this.#seen(items[0]);
  }

  /** What came after an event, oldest first, without parts of larger events; empty at the end of the log. */
  async after(seq: number): Promise<readonly RecordedEvent[]> {
    const kept = this.#page;
    const last = kept.items.at(-1)?.seq ?? 0;
    if (seq >= kept.after && seq < last) return kept.items.filter((event) => event.seq > seq);
    let from = seq;
    for (;;) {
      const { items, next } = await this.#reader.events({ limit: this.#limit, after: String(from) });
      const newest = items.at(-1);
      if (newest !== undefined) {
        this.#seen(newest);
        this.#page = { after: from, items };
        this.#limit = nextLimit(this.#limit, items);
        return items;
      }
      // A page can be all parts of one large event.
      if (next === undefined || Number(next) <= from) return [];
      from = Number(next);
    }
  }

  /** The event with its large fields, where they are not too large. */
  async whole(event: RecordedEvent): Promise<RecordedEvent> {
    if (!Array.isArray(event.large)) return event;
    const bytes = (event.large as string[]).reduce((sum, field) => sum + sizeOf(event[field]), 0);
    if (bytes > wholeBytes) return event;
    return (await this.#reader.event(event.seq)) ?? event;
  }

  #seen(event: RecordedEvent): void {
    if (event.seq > this.#head.seq) this.#head = { seq: event.seq, time: Date.parse(event.time) };
  }
}

/** Half as many where a page was too heavy, twice as many where it was light. */
function nextLimit(limit: number, items: readonly RecordedEvent[]): number {
  const weight = items.reduce((sum, event) => sum + weightOf(Object.values(event)), 0);
  if (weight > pageWeight) return Math.max(10, limit >> 1);
  return weight < pageWeight / 4 ? Math.min(pageEvents, limit * 2) : limit;
}

/** Roughly the characters of an event's texts. */
function weightOf(values: readonly unknown[]): number {
  return values.reduce<number>(
    (sum, value) => sum + (typeof value === 'string' ? value.length : Array.isArray(value) ? weightOf(value) : 16),
    0,
  );
}

function sizeOf(reference: unknown): number {
  const { bytes } = (reference ?? {}) as { readonly bytes?: unknown };
  return typeof bytes === 'number' ? bytes : Number.POSITIVE_INFINITY;
}
