import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { RecordedEvent } from '../model/event.ts';
import { type Position, segmentHeaderBytes } from './frame.ts';
import type { Frame } from './frames.ts';
import { walkEntry } from './lines.ts';

/** Raised whenever the tables change; an index of another version is made anew. */
const version = 1;
const blockEntries = 256;
const blockBytes = 1024 * 1024;

const schema = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
  CREATE TABLE sessions (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, principal TEXT NOT NULL, principal_name TEXT NOT NULL, principal_kind TEXT NOT NULL,
    target TEXT NOT NULL, protocol TEXT NOT NULL, address TEXT NOT NULL, application TEXT, started_at INTEGER NOT NULL, ended_at INTEGER,
    end_reason TEXT, commands INTEGER NOT NULL DEFAULT 0, denied INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0);
  CREATE INDEX sessions_principal ON sessions (principal);
  CREATE INDEX sessions_target ON sessions (target);
  CREATE INDEX sessions_live ON sessions (ended_at) WHERE ended_at IS NULL;
  CREATE TABLE blocks (block INTEGER PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL, first_seq INTEGER NOT NULL, first_time TEXT NOT NULL);
  CREATE INDEX blocks_seq ON blocks (first_seq);
  CREATE INDEX blocks_time ON blocks (first_time);
  CREATE TABLE spans (session TEXT NOT NULL, block INTEGER NOT NULL, PRIMARY KEY (session, block)) WITHOUT ROWID;
  CREATE TABLE events (
    seq INTEGER PRIMARY KEY, block INTEGER NOT NULL, type TEXT NOT NULL, principal TEXT, target TEXT);
  CREATE INDEX events_type ON events (type, block);
  CREATE INDEX events_principal ON events (principal, block);
  CREATE INDEX events_target ON events (target, block);
  CREATE TABLE open_intents (session TEXT NOT NULL, exchange INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (session, exchange)) WITHOUT ROWID;
`;

/** What a crash left open: to be closed by the log when it starts again. */
export interface OpenWork {
  readonly intents: readonly {
    readonly session: string;
    readonly exchange: number;
    readonly principal?: string;
    readonly target?: string;
  }[];
  readonly sessions: readonly InterruptedSession[];
}

/** A session that a crash left without an end. */
export interface InterruptedSession {
  readonly session: string;
  readonly principal: string;
  /** `gateway` for a session of the gateway's own. */
  readonly principalKind: string;
  readonly target: string;
  readonly protocol: string;
  /** ms since the epoch. */
  readonly startedAt: number;
}

export function indexPath(dir: string): string {
  return join(dir, 'index.db');
}

/**
 * The index over the segments: sessions with their counters, and where to look for events. It is derived and can be thrown away.
 * Commands cost it no row of their own: entries are grouped into blocks (256 entries or 1 MiB), and it notes which session has
 * anything in which block. Events of other types get a row each.
 */
export class LogIndex {
  readonly #db: DatabaseSync;
  readonly #statements: ReturnType<typeof prepare>;
  #position: Position & { readonly entry: number };
  #inTransaction = false;
  #block = { first: -1, end: 0, bytes: 0, sessions: new Set<string>() };
  #counts = new Map<string, { commands: number; denied: number; held: number }>();
  #opened = new Map<string, { session: string; exchange: string; seq: number }>();
  #closed = new Map<string, { session: string; exchange: string }>();

  private constructor(db: DatabaseSync, position: Position & { entry: number }) {
    this.#db = db;
    this.#position = position;
    this.#statements = prepare(db);
  }

  /** Opens the index, or makes it anew when it is missing, of another version or log, or ahead of a log that has `entries`. */
  static open(dir: string, origin: string, entries: number): LogIndex {
    try {
      const index = LogIndex.#existing(dir, origin, entries);
      if (index !== undefined) return index;
    } catch {
      // Not a database, or not ours: it holds nothing that the segments do not hold.
    }
    for (const suffix of ['', '-wal', '-shm']) rmSync(indexPath(dir) + suffix, { force: true });
    const db = new DatabaseSync(indexPath(dir));
    configure(db);
    db.exec(schema);
    const meta = db.prepare('INSERT INTO meta VALUES (?, ?)');
    for (const [key, value] of Object.entries({ version, origin, segment: 0, offset: segmentHeaderBytes, entry: 0 }))
      meta.run(key, value);
    return new LogIndex(db, { segment: 0, offset: segmentHeaderBytes, entry: 0 });
  }

  static #existing(dir: string, origin: string, entries: number): LogIndex | undefined {
    const db = new DatabaseSync(indexPath(dir));
    try {
      configure(db);
      const rows = db.prepare('SELECT key, value FROM meta').all() as { key: string; value: number | string }[];
      const meta = Object.fromEntries(rows.map((row) => [row.key, row.value])) as Record<string, number>;
      const { segment, offset, entry } = meta as { segment: number; offset: number; entry: number };
      if (meta.version === version && (meta.origin as unknown) === origin && entry <= entries)
        return new LogIndex(db, { segment, offset, entry });
    } catch (error) {
      db.close();
      throw error;
    }
    db.close();
    return undefined;
  }

  /** The next entry it wants, and where that is. */
  get position(): Position & { readonly entry: number } {
    return this.#position;
  }

  add(frame: Frame): void {
    if (!this.#inTransaction) {
      this.#db.exec('BEGIN');
      this.#inTransaction = true;
    }
    const { entry } = this.#position;
    if (this.#block.first === -1 || entry - this.#block.first >= blockEntries || this.#block.bytes >= blockBytes)
      this.#startBlock(entry, frame);
    this.#block.bytes += frame.payload.length;
    walkEntry(
      frame.payload,
      (line) => {
        this.#seen(line.session);
        const key = `${line.session}/${line.exchange}`;
        if (!line.intent) {
          if (!this.#opened.delete(key)) this.#closed.set(key, line);
        } else {
          this.#opened.set(key, line);
          if (!line.prepareOnly) this.#count(line.session).commands++;
        }
      },
      (event) => this.#event(event),
    );
    this.#position = { ...frame.next, entry: entry + 1 };
  }

  #startBlock(entry: number, frame: Frame): void {
    const line = frame.payload.toString('utf8', 0, frame.payload.indexOf(0x0a));
    const { seq, time } = JSON.parse(line) as RecordedEvent;
    this.#block = { first: entry, end: 0, bytes: 0, sessions: new Set() };
    this.#statements.block.run(entry, frame.at.segment, frame.at.offset, seq, time);
  }

  #seen(session: string): void {
    if (this.#block.sessions.has(session)) return;
    this.#block.sessions.add(session);
    this.#statements.span.run(session, this.#block.first);
  }

  #count(session: string) {
    let count = this.#counts.get(session);
    if (count === undefined) {
      count = { commands: 0, denied: 0, held: 0 };
      this.#counts.set(session, count);
    }
    return count;
  }

  #event(event: RecordedEvent): void {
    const { type, session, principal, target, seq } = event;
    if (session !== undefined) this.#seen(session);
    if (type === 'audit.part') return;
    if (type === 'command.intent' || type === 'command.outcome') {
      this.#command(event);
      return;
    }
    this.#statements.event.run(seq, this.#block.first, type, principal ?? null, target ?? null);
    if (session === undefined) return;
    if (type === 'session.started') this.#sessionStarted(event, session);
    if (type === 'session.ended') {
      this.#statements.ended.run(
        Date.parse(event.time),
        typeof event.reason === 'string' ? event.reason : null,
        session,
      );
    }
    if (type === 'command.denied') {
      this.#count(session).commands++;
      this.#count(session).denied++;
    }
    if (type === 'command.held') this.#count(session).held++;
  }

  /** An intent or outcome that was not written in the data path's form, such as one with large fields. */
  #command(event: RecordedEvent): void {
    const { session } = event;
    if (session === undefined) return;
    const exchange = String(event.exchange);
    const key = `${session}/${exchange}`;
    if (event.type === 'command.outcome') {
      if (!this.#opened.delete(key)) this.#closed.set(key, { session, exchange });
      return;
    }
    this.#opened.set(key, { session, exchange, seq: event.seq });
    if (event.prepareOnly !== true) this.#count(session).commands++;
  }

  #sessionStarted(event: RecordedEvent, session: string): void {
    const text = (value: unknown): string => (typeof value === 'string' ? value : '');
    const client = (event.client ?? {}) as { address?: unknown; application?: unknown };
    this.#statements.started.run(
      event.seq,
      session,
      text(event.principal),
      text(event.principalName) || text(event.principal),
      text(event.principalKind),
      text(event.target),
      text(event.protocol),
      text(client.address),
      typeof client.application === 'string' ? client.application : null,
      Date.parse(event.time),
    );
  }

  /** Makes what was added visible to readers. */
  commit(): void {
    if (!this.#inTransaction) return;
    const { counts, open, close, position } = this.#statements;
    for (const [session, { commands, denied, held }] of this.#counts) counts.run(commands, denied, held, session);
    for (const { session, exchange } of this.#closed.values()) close.run(session, Number(exchange));
    for (const { session, exchange, seq } of this.#opened.values()) open.run(session, Number(exchange), seq);
    for (const key of ['segment', 'offset', 'entry'] as const) position.run(this.#position[key], key);
    this.#db.exec('COMMIT');
    this.#inTransaction = false;
    this.#counts = new Map();
    this.#opened = new Map();
    this.#closed = new Map();
  }

  openWork(): OpenWork {
    this.commit();
    const intents = this.#db
      .prepare(
        'SELECT o.session, o.exchange, s.principal, s.target FROM open_intents o LEFT JOIN sessions s ON s.id = o.session ORDER BY o.seq',
      )
      .all() as { session: string; exchange: number; principal: string | null; target: string | null }[];
    const sessions = this.#db
      .prepare(
        `SELECT id AS session, principal, principal_kind AS principalKind, target, protocol, started_at AS startedAt
         FROM sessions WHERE ended_at IS NULL ORDER BY seq`,
      )
      .all();
    return {
      intents: intents.map(({ session, exchange, principal, target }) => ({
        session,
        exchange,
        ...(principal === null ? {} : { principal }),
        ...(target === null ? {} : { target }),
      })),
      sessions: sessions.map((row) => ({ ...row })) as unknown as OpenWork['sessions'],
    };
  }

  close(): void {
    this.commit();
    this.#db.close();
  }
}

function configure(db: DatabaseSync): void {
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
}

function prepare(
  db: DatabaseSync,
): Record<'block' | 'span' | 'event' | 'started' | 'ended' | 'counts' | 'open' | 'close' | 'position', StatementSync> {
  return {
    block: db.prepare('INSERT INTO blocks VALUES (?, ?, ?, ?, ?)'),
    span: db.prepare('INSERT OR IGNORE INTO spans VALUES (?, ?)'),
    event: db.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?)'),
    started: db.prepare(
      `INSERT OR IGNORE INTO sessions (seq, id, principal, principal_name, principal_kind, target, protocol, address, application, started_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    ended: db.prepare('UPDATE sessions SET ended_at = ?, end_reason = ? WHERE id = ? AND ended_at IS NULL'),
    counts: db.prepare(
      'UPDATE sessions SET commands = commands + ?, denied = denied + ?, held = held + ? WHERE id = ?',
    ),
    open: db.prepare('INSERT OR REPLACE INTO open_intents VALUES (?, ?, ?)'),
    close: db.prepare('DELETE FROM open_intents WHERE session = ? AND exchange = ?'),
    position: db.prepare('UPDATE meta SET value = ? WHERE key = ?'),
  };
}
