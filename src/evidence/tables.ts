import { DatabaseSync } from 'node:sqlite';

/** What the populations are queried from. Filled from events alone; `seq` is always the number of the event that made the row. */
export const schema = `
CREATE TABLE sessions (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, started TEXT, principal TEXT, name TEXT, kind TEXT, owner TEXT,
  groups TEXT, target TEXT, protocol TEXT, address TEXT, application TEXT, proof_kind TEXT, proof TEXT, policy TEXT,
  ended TEXT, ended_seq INTEGER, end_reason TEXT, terminated_seq INTEGER, terminated_by TEXT,
  commands INTEGER NOT NULL DEFAULT 0, changes INTEGER NOT NULL DEFAULT 0, denied INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0,
  rows INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
  sealed_seq INTEGER, digest TEXT, frames INTEGER, truncated INTEGER);
CREATE INDEX sessions_proof ON sessions (proof);
CREATE TABLE commands (seq INTEGER PRIMARY KEY, time TEXT, session TEXT, exchange INTEGER, principal TEXT, target TEXT, decision TEXT,
  rules TEXT, policy TEXT, verb TEXT, actions TEXT, changes INTEGER, resources TEXT, prepare_only INTEGER, text_sha256 TEXT, approval TEXT,
  outcome_seq INTEGER, outcome_time TEXT, status TEXT, rows INTEGER, bytes INTEGER, error_code TEXT, masked INTEGER);
CREATE INDEX commands_open ON commands (session, exchange) WHERE status IS NULL;
CREATE INDEX commands_approval ON commands (approval) WHERE approval IS NOT NULL;
CREATE INDEX commands_status ON commands (status) WHERE status IS NULL OR status = 'unknown';
CREATE INDEX commands_rows ON commands (rows) WHERE rows >= 1000;
CREATE TABLE denials (seq INTEGER PRIMARY KEY, time TEXT, session TEXT, exchange INTEGER, principal TEXT, target TEXT, code TEXT,
  rule TEXT, reason TEXT, verb TEXT, actions TEXT, resources TEXT, text_sha256 TEXT);
CREATE TABLE approvals (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, time TEXT, session TEXT, requester TEXT, owner TEXT, target TEXT,
  rule TEXT, policy TEXT, verb TEXT, resources TEXT, approvers TEXT, digest TEXT, expires TEXT,
  consumed_seq INTEGER, consumed TEXT, approved_by TEXT, expired_seq INTEGER, expired_reason TEXT);
CREATE TABLE answers (seq INTEGER PRIMARY KEY, time TEXT, approval TEXT, approver TEXT, answer TEXT, groups TEXT, reason TEXT, state TEXT,
  effect TEXT);
CREATE INDEX answers_approval ON answers (approval);
CREATE TABLE logins (seq INTEGER PRIMARY KEY, time TEXT, principal TEXT, issuer TEXT, proof_kind TEXT, proof TEXT, audience TEXT, peer TEXT);
CREATE TABLE failures (seq INTEGER PRIMARY KEY, time TEXT, principal TEXT, target TEXT, code TEXT, reason TEXT, issuer TEXT, audience TEXT,
  peer TEXT, count INTEGER NOT NULL);
CREATE TABLE tickets (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, time TEXT, principal TEXT, targets TEXT, expires TEXT, proof TEXT,
  revoked_seq INTEGER, revoked TEXT, revoked_by TEXT);
CREATE TABLE policies (seq INTEGER PRIMARY KEY, time TEXT, type TEXT, version TEXT, previous TEXT, files TEXT, rules TEXT, problems TEXT);
CREATE TABLE lifecycle (seq INTEGER PRIMARY KEY, time TEXT, type TEXT, target TEXT, what TEXT);
CREATE TABLE looks (seq INTEGER PRIMARY KEY, time TEXT, type TEXT, principal TEXT, session TEXT, skip INTEGER);
CREATE TABLE recordings (seq INTEGER PRIMARY KEY, time TEXT, session TEXT, principal TEXT, target TEXT, segments INTEGER, frames INTEGER,
  bytes INTEGER, digest TEXT, truncated INTEGER, discarded INTEGER);
CREATE TABLE masks (target TEXT, field TEXT, classification TEXT, method TEXT, seq INTEGER, replies INTEGER, shown INTEGER,
  PRIMARY KEY (target, field, classification, method)) WITHOUT ROWID;
CREATE TABLE others (seq INTEGER PRIMARY KEY, time TEXT, type TEXT, principal TEXT, target TEXT, what TEXT);
CREATE TABLE gaps (seq INTEGER PRIMARY KEY, "from" TEXT, "to" TEXT, seconds REAL, cause TEXT, known TEXT);
CREATE TABLE leavers (principal TEXT PRIMARY KEY, "left" TEXT) WITHOUT ROWID;
CREATE TABLE exceptions (seq INTEGER, time TEXT, kind TEXT, session TEXT, principal TEXT, target TEXT, what TEXT);
`;

/** A database that is gone when it is closed: in memory while it is small, then in a nameless temporary file. */
export function openTables(): DatabaseSync {
  const db = new DatabaseSync('');
  db.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536; PRAGMA temp_store = FILE;');
  db.exec(schema);
  db.exec('BEGIN');
  return db;
}

type Value = string | number | null;
export type Row = Readonly<Record<string, Value>>;

/** Statements by their text, each prepared once. */
export class Tables {
  readonly db: DatabaseSync;
  readonly #inserts = new Map<string, (row: Row) => void>();

  constructor(db: DatabaseSync) {
    this.db = db;
  }

  /** A row into a table; of two with one key the first stays. The first row of a table says which columns all of them have. */
  insert(table: string, row: Row): void {
    let insert = this.#inserts.get(table);
    if (insert === undefined) {
      const columns = Object.keys(row);
      const names = columns.map((name) => `"${name}"`).join(', ');
      const statement = this.db.prepare(
        `INSERT OR IGNORE INTO ${table} (${names}) VALUES (${columns.map(() => '?').join(', ')})`,
      );
      insert = (values) => void statement.run(...columns.map((name) => values[name] ?? null));
      this.#inserts.set(table, insert);
    }
    insert(row);
  }

  readonly #updates = new Map<string, (values: readonly Value[]) => void>();

  run(sql: string, ...values: readonly Value[]): void {
    let update = this.#updates.get(sql);
    if (update === undefined) {
      const statement = this.db.prepare(sql);
      update = (given) => void statement.run(...given);
      this.#updates.set(sql, update);
    }
    update(values);
  }

  /** Rows of a query, one at a time. */
  *rows(sql: string, values: Readonly<Record<string, Value>> = {}): Generator<Row> {
    const statement = this.db.prepare(sql);
    statement.setAllowUnknownNamedParameters(true);
    yield* statement.iterate(values) as Iterable<Row>;
  }

  close(): void {
    this.db.close();
  }
}
