import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import type { AuditAdmin, Page, PageQuery, SessionSummary } from '../gateway/admin.ts';
import type { RecordedEvent } from '../model/event.ts';
import { type Frame, readFrames } from './frames.ts';
import { joinLargeEvent } from './large.ts';
import { parseEntry } from './lines.ts';
import { indexPath } from './log-index.ts';

export type EventQuery = Parameters<AuditAdmin['events']>[0];
export type SessionQuery = PageQuery & {
  readonly principal?: string;
  readonly target?: string;
  readonly live?: boolean;
};

/** One page reads at most this much of the log; a page may then hold fewer events than asked for and still have a next one. */
const pageBytes = 32 * 1024 * 1024;
/** A large event is put together up to this size. */
const wholeParts = 4096;

/** Questions about a log: the index says which blocks of entries to read, the segments have the events. Synchronous: made for a thread of its own. */
export class LogQuery {
  readonly #dir: string;
  readonly #db: DatabaseSync;

  constructor(dir: string) {
    this.#dir = dir;
    this.#db = new DatabaseSync(indexPath(dir), { readOnly: true, timeout: 5000 });
  }

  /**
   * Without `after`: newest first. With a sequence number: what came after it, oldest first. `next` continues in the same direction.
   * Events larger than an entry come with references in place of their large fields; see `event`.
   */
  events(query: EventQuery): Page<RecordedEvent> {
    const cursor = cursorOf(query.after);
    const { where, values } = blocksWhere(query);
    if (cursor.seq !== undefined) {
      where.push(
        cursor.ascending
          ? 'block >= (SELECT coalesce(max(block), 0) FROM blocks WHERE first_seq <= ?)'
          : 'block <= (SELECT coalesce(max(block), 0) FROM blocks WHERE first_seq < ?)',
      );
      values.push(cursor.seq);
    }
    const sql = `SELECT block, segment, offset FROM blocks ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`} ORDER BY block ${cursor.ascending ? 'ASC' : 'DESC'}`;
    const matches = matcher(query, cursor);
    const items: RecordedEvent[] = [];
    let read = 0;
    for (const row of this.#db.prepare(sql).iterate(...values)) {
      const found: RecordedEvent[] = [];
      let boundary = 0;
      for (const frame of this.#block(row as unknown as BlockRow)) {
        read += frame.payload.length;
        for (const event of parseEntry(frame.payload)) {
          boundary = cursor.ascending ? event.seq : boundary === 0 ? event.seq : boundary;
          if (matches(event)) found.push(event);
        }
        // Older events cannot displace newer ones: of a block read forwards, only the last ones matter.
        if (!cursor.ascending && found.length > 2 * query.limit) found.splice(0, found.length - query.limit - 1);
        if (cursor.ascending && items.length + found.length > query.limit) break;
      }
      if (!cursor.ascending) found.reverse();
      for (const event of found) {
        if (items.length === query.limit)
          return { items, next: nextCursor(cursor, (items.at(-1) as RecordedEvent).seq) };
        items.push(event);
      }
      if (read > pageBytes) return { items, next: nextCursor(cursor, boundary) };
    }
    return { items };
  }

  /** One event, with its large fields put back. Undefined when there is none. */
  event(seq: number): RecordedEvent | undefined {
    const event = this.#find(seq, seq).get(seq);
    if (event === undefined || !Array.isArray(event.large)) return event;
    const references = (event.large as string[]).map((field) => event[field] as { from: number; parts: number });
    if (references.reduce((sum, reference) => sum + reference.parts, 0) > wholeParts)
      throw new Error('the event is too large to be put together');
    const parts = this.#find(Math.min(...references.map((reference) => reference.from)), seq);
    return joinLargeEvent(event, (part) => String(parts.get(part)?.data)) as unknown as RecordedEvent;
  }

  #find(from: number, to: number): Map<number, RecordedEvent> {
    const found = new Map<number, RecordedEvent>();
    const rows = this.#db
      .prepare(
        'SELECT block, segment, offset FROM blocks WHERE block >= (SELECT max(block) FROM blocks WHERE first_seq <= ?) AND first_seq <= ? ORDER BY block',
      )
      .all(from, to) as unknown as BlockRow[];
    for (const row of rows) {
      for (const frame of this.#block(row)) {
        for (const event of parseEntry(frame.payload))
          if (event.seq >= from && event.seq <= to) found.set(event.seq, event);
      }
    }
    return found;
  }

  /** Newest first. */
  sessionList(query: SessionQuery): Page<SessionSummary> {
    const where: string[] = [];
    const values: SQLInputValue[] = [];
    const add = (condition: string, value?: string | number): void => {
      where.push(condition);
      if (value !== undefined) values.push(value);
    };
    if (query.principal !== undefined) add('principal = ?', query.principal);
    if (query.target !== undefined) add('target = ?', query.target);
    if (query.live !== undefined) add(query.live ? 'ended_at IS NULL' : 'ended_at IS NOT NULL');
    if (query.after !== undefined) add('seq < ?', seqOf(query.after));
    const rows = this.#db
      .prepare(
        `SELECT * FROM sessions ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`} ORDER BY seq DESC LIMIT ?`,
      )
      .all(...values, query.limit + 1) as unknown as SessionRow[];
    const page = rows.slice(0, query.limit);
    const last = page.at(-1);
    return {
      items: page.map(summary),
      ...(rows.length > query.limit && last !== undefined ? { next: String(last.seq) } : {}),
    };
  }

  sessionGet(id: string): SessionSummary | undefined {
    const row = this.#db.prepare('SELECT * FROM sessions WHERE id = ?').get(id) as unknown as SessionRow | undefined;
    return row === undefined ? undefined : summary(row);
  }

  close(): void {
    this.#db.close();
  }

  /** The frames of a block, as far as it is indexed. */
  *#block({ block, segment, offset }: BlockRow): Generator<Frame> {
    const following = this.#db.prepare('SELECT min(block) AS block FROM blocks WHERE block > ?').get(block) as {
      block: number | null;
    };
    const indexed = this.#db.prepare("SELECT value FROM meta WHERE key = 'entry'").get() as { value: number };
    const end = following.block ?? indexed.value;
    const segments = this.#db.prepare("SELECT value FROM meta WHERE key = 'segment'").get() as { value: number };
    let entry = block;
    // A block may go over the end of a segment; the zeros there are skipped when a later segment is named.
    const to = { segment: segments.value, offset: this.#indexedOffset() };
    for (const frame of readFrames(this.#dir, { segment, offset }, to)) {
      if (entry++ >= end) return;
      yield frame;
      if (entry === end) return;
    }
  }

  #indexedOffset(): number {
    return (this.#db.prepare("SELECT value FROM meta WHERE key = 'offset'").get() as { value: number }).value;
  }
}

interface BlockRow {
  readonly block: number;
  readonly segment: number;
  readonly offset: number;
}

interface SessionRow {
  readonly seq: number;
  readonly id: string;
  readonly principal: string;
  readonly principal_name: string;
  readonly principal_kind: string;
  readonly target: string;
  readonly protocol: string;
  readonly address: string;
  readonly application: string | null;
  readonly started_at: number;
  readonly ended_at: number | null;
  readonly end_reason: string | null;
  readonly commands: number;
  readonly denied: number;
  readonly held: number;
}

function summary(row: SessionRow): SessionSummary {
  return {
    id: row.id,
    principal: row.principal,
    principalName: row.principal_name,
    principalKind: row.principal_kind,
    target: row.target,
    protocol: row.protocol,
    client: { address: row.address, ...(row.application === null ? {} : { application: row.application }) },
    startedAt: row.started_at,
    ...(row.ended_at === null ? {} : { endedAt: row.ended_at }),
    ...(row.end_reason === null ? {} : { endReason: row.end_reason }),
    commands: row.commands,
    denied: row.denied,
    held: row.held,
    live: row.ended_at === null,
  };
}

interface Cursor {
  readonly ascending: boolean;
  readonly seq?: number;
}

/** A number: what came after it, oldest first. `<number`: what came before it, newest first; only we hand these out. */
function cursorOf(after: string | undefined): Cursor {
  if (after === undefined) return { ascending: false };
  return after.startsWith('<')
    ? { ascending: false, seq: seqOf(after.slice(1)) }
    : { ascending: true, seq: seqOf(after) };
}

function nextCursor(cursor: Cursor, seq: number): string {
  return cursor.ascending ? String(seq) : `<${seq}`;
}

function seqOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new RangeError(`not a cursor of this list: ${JSON.stringify(text)}`);
  return Number(text);
}

/** Types of which the index has no rows of their own. */
const bulky: readonly string[] = ['command.intent', 'command.outcome', 'audit.part'];

/** Which blocks can hold what is asked for: never too few, at times too many. */
function blocksWhere(query: EventQuery): { where: string[]; values: SQLInputValue[] } {
  const where: string[] = [];
  const values: SQLInputValue[] = [];
  if (query.session !== undefined) {
    where.push('block IN (SELECT block FROM spans WHERE session = ?)');
    values.push(query.session);
  }
  const listed = query.type !== undefined && !bulky.includes(query.type);
  if (listed) {
    where.push('block IN (SELECT block FROM events WHERE type = ?)');
    values.push(query.type as string);
  }
  for (const column of ['principal', 'target'] as const) {
    const value = query[column];
    if (value === undefined) continue;
    const events = `SELECT block FROM events WHERE ${column} = ?`;
    const commands = `SELECT block FROM spans WHERE session IN (SELECT id FROM sessions WHERE ${column} = ?)`;
    where.push(listed ? `block IN (${events})` : `block IN (${events} UNION ${commands})`);
    values.push(...(listed ? [value] : [value, value]));
  }
  if (query.from !== undefined) {
    where.push('block >= (SELECT coalesce(max(block), 0) FROM blocks WHERE first_time < ?)');
    values.push(timeOf(query.from));
  }
  if (query.to !== undefined) {
    where.push('first_time <= ?');
    values.push(timeOf(query.to));
  }
  return { where, values };
}

function matcher(query: EventQuery, cursor: Cursor): (event: RecordedEvent) => boolean {
  const from = query.from === undefined ? '' : timeOf(query.from);
  const to = query.to === undefined ? '￿' : timeOf(query.to);
  const above = cursor.ascending ? (cursor.seq ?? 0) : 0;
  const below = cursor.ascending ? Number.POSITIVE_INFINITY : (cursor.seq ?? Number.POSITIVE_INFINITY);
  return (event) =>
    event.seq > above &&
    event.seq < below &&
    (query.type === undefined ? event.type !== 'audit.part' : event.type === query.type) &&
    (query.session === undefined || event.session === query.session) &&
    (query.principal === undefined || event.principal === query.principal) &&
    (query.target === undefined || event.target === query.target) &&
    event.time >= from &&
    event.time <= to;
}

/** As the log writes times, so that text compares as time. */
function timeOf(text: string): string {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new RangeError(`not a time: ${JSON.stringify(text)}`);
  return new Date(ms).toISOString();
}
