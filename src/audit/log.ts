import type { KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditPort } from '../gateway/ports.ts';
import { ConfigError, Refusal } from '../model/errors.ts';
import type { AuditEvent } from '../model/event.ts';
import { openCheckpoint, readCheckpointNote, vkeyOf, writeCheckpoint } from './checkpoint.ts';
import { LogClock } from './clock.ts';
import { encodeSegmentHeader, type Position, segmentHeaderBytes } from './frame.ts';
import { entryTargetBytes, Group } from './group.ts';
import { loadSigningKey, writeDurably } from './key.ts';
import { splitLargeEvent } from './large.ts';
import { lockLog } from './lock.ts';
import type { InterruptedSession, OpenWork } from './log-index.ts';
import { Permit } from './permit.ts';
import { type LogEnd, recoverEnd } from './recovery.ts';
import {
  defaultSegmentBytes,
  listSegments,
  openSegmentFile,
  preallocateSegment,
  preallocateSegmentSync,
  removeUnfinished,
  type SegmentFile,
  segmentPath,
  segmentsDir,
} from './segment.ts';
import { FollowerThread } from './thread.ts';
import { emptyRoot } from './tree.ts';
import { SegmentWriter } from './writer.ts';

export interface AuditLogOptions {
  /** Everything of the log is in here; made with mode 0700. One process at a time. */
  readonly dir: string;
  /** Names the log and its key, for ever: a host name and path without scheme, such as `gw.example.com/audit`. */
  readonly origin: string;
  /** Ed25519. Default: `dir/signing.key`, made on first start. */
  readonly signingKey?: KeyObject;
  readonly now?: () => number;
  readonly segmentBytes?: number;
  /** Whether writes block the event loop. Default: as the disk, measured at start, suggests. */
  readonly writes?: 'sync' | 'async';
  /** How much history is read in full when the log is opened; see `Follower`. */
  readonly fullCheckBytes?: number;
  /** Time between two checkpoints while the log grows, ms. */
  readonly publishMs?: number;
  /** For the operator: what does not stop the log yet, such as that no segment can be made ahead. */
  readonly warn?: (message: string) => void;
  readonly openFile?: (path: string) => SegmentFile;
  /**
   * Closes what else a crash left of these sessions. Called once, before the log ends them, so that one whose end is in the log
   * is closed in every respect. Opening the log waits for it, and fails when it does.
   */
  readonly recover?: (sessions: readonly InterruptedSession[], log: Pick<AuditPort, 'record'>) => Promise<void>;
}

/** The audit log, open for writing. */
export interface AuditLog extends AuditPort {
  readonly dir: string;
  readonly origin: string;
  /** The public key that checkpoints verify with. */
  readonly vkey: string;
  /** How it writes now: it follows the disk's pace unless that was pinned. */
  readonly writes: 'sync' | 'async';
  /** Median of a durable write when the log was opened, µs. */
  readonly writeUs: number;
  /** Signs a checkpoint over everything that is durable now, and makes it visible to readers. */
  checkpoint(): Promise<{ readonly note: string; readonly vkey: string }>;
  /** Everything that is durable now is visible to readers when this resolves. */
  settle(): Promise<void>;
  /** Called once, when the log can no longer be written or followed; at once when that has happened. Every later append fails. */
  onFailure(listener: (error: Error) => void): void;
  /** Writes what waits, signs the last checkpoint, lets go of the directory. */
  close(): Promise<void>;
}

/** Above this a durable write is too long to stand still for, µs. */
const slowDiskUs = 300;
/** Below this it is short enough again, µs. */
const fastDiskUs = 400;
/** One in so many groups shows the disk's own pace. */
const probeEvery = 64;
/** What may wait for a slow disk before appends are refused. */
const maxPendingBytes = 64 * 1024 * 1024;
const noteDelayMs = 5;
const postDelayMs = 50;
/** Further turns of the event loop that a group may wait for company. */
const maxRounds = 8;

/**
 * Opens the log of a directory, or begins one. This is also how a log recovers: a tail torn by a crash is cut, the signed history
 * is checked, commands without an outcome are closed as `unknown` and sessions without an end are ended.
 * Throws ConfigError when the history is not the one that was signed.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const { dir, origin, segmentBytes = defaultSegmentBytes } = options;
  if (/[\s+]/.test(origin) || origin === '')
    throw new ConfigError(`audit origin ${JSON.stringify(origin)}: it may hold neither spaces nor +`);
  mkdirSync(segmentsDir(dir), { recursive: true, mode: 0o700 });
  const unlock = lockLog(dir);
  try {
    removeUnfinished(dir);
    const key =
      options.signingKey ??
      loadSigningKey(dir, listSegments(dir).length === 0 && readCheckpointNote(dir) === undefined);
    const signed = signedEntries(dir, origin, key);
    const end = recoverEnd(dir, signed) ?? (await begin(dir, segmentBytes, options.now ?? Date.now));
    const thread = await FollowerThread.start(
      {
        dir,
        origin,
        signingKey: key,
        end: { segment: end.segment, offset: end.offset, entries: end.entries },
        segmentBytes,
        fullCheckBytes: options.fullCheckBytes ?? 2 * defaultSegmentBytes,
        spares: 2,
        publishMs: options.publishMs ?? 500,
      },
      options.warn ?? (() => {}),
    );
    let log: Log | undefined;
    try {
      log = new Log(options, vkeyOf(origin, key), end, thread, unlock);
      await log.begin(options.writes);
      await log.recover(thread.open, end.cut, options.recover);
    } catch (error) {
      await (log === undefined ? thread.close(undefined) : log.close());
      throw error;
    }
    return log;
  } catch (error) {
    unlock();
    throw error;
  }
}

/** Entries that the stored checkpoint vouches for. A new log gets a checkpoint over nothing, so that a missing one is a missing one. */
function signedEntries(dir: string, origin: string, key: KeyObject): number {
  const vkey = vkeyOf(origin, key);
  const vkeyPath = join(dir, 'log.vkey');
  if (existsSync(vkeyPath) && readFileSync(vkeyPath, 'utf8').trim() !== vkey) {
    throw new ConfigError(`${vkeyPath}: the audit log belongs to another key or origin (this one is ${vkey})`);
  }
  const note = readCheckpointNote(dir);
  if (note === undefined) {
    if (listSegments(dir).length > 0)
      throw new ConfigError(`${dir}: the audit log has a history but its checkpoint is gone; restore it`);
    writeDurably(vkeyPath, `${vkey}\n`);
    writeCheckpoint(dir, { origin, size: 0, root: emptyRoot() }, key);
    return 0;
  }
  if (!existsSync(vkeyPath)) writeDurably(vkeyPath, `${vkey}\n`);
  try {
    return openCheckpoint(note, vkey).size;
  } catch (error) {
    throw new ConfigError(`${join(dir, 'checkpoint')}: ${(error as Error).message}`);
  }
}

async function begin(dir: string, segmentBytes: number, now: () => number): Promise<LogEnd> {
  if (listSegments(dir).length === 0) await preallocateSegment(dir, 0, segmentBytes, false);
  const time = now();
  const file = openSegmentFile(segmentPath(dir, 0));
  file.writeSync(encodeSegmentHeader({ segment: 0, firstEntry: 0, firstSeq: 1, time }), 0);
  file.close();
  return { segment: 0, offset: segmentHeaderBytes, entries: 0, seq: 0, time, cut: 0 };
}

class Log implements AuditLog {
  readonly dir: string;
  readonly origin: string;
  readonly vkey: string;
  writes: 'sync' | 'async';
  writeUs = 0;
  #pinned = false;
  #sinceProbe = 0;
  /** Moving average of what a durable write takes now, µs. */
  #recentUs = 0;
  readonly #writer: SegmentWriter;
  readonly #thread: FollowerThread;
  readonly #unlock: () => void;
  readonly #clock: LogClock;
  #seq: number;
  /** Collects the events of this turn; the other one is being written or waits to be used again. */
  #group = new Group();
  #other = new Group();
  #writing = false;
  #flushSoon = false;
  /** How many waited for the group before. */
  #lastGroup = 0;
  #noteTimer = false;
  #postTimer: NodeJS.Timeout | undefined;
  #failure: Error | undefined;
  #closed = false;
  readonly #listeners: ((error: Error) => void)[] = [];

  constructor(options: AuditLogOptions, vkey: string, end: LogEnd, thread: FollowerThread, unlock: () => void) {
    const { dir, origin, segmentBytes = defaultSegmentBytes, openFile = openSegmentFile } = options;
    this.dir = dir;
    this.origin = origin;
    this.vkey = vkey;
    this.#seq = end.seq;
    this.#clock = new LogClock(options.now ?? Date.now, end.time);
    this.#thread = thread;
    this.#unlock = unlock;
    const open = (segment: number): SegmentFile => {
      // The usual case: the thread has made it long ago.
      if (!existsSync(segmentPath(dir, segment))) preallocateSegmentSync(dir, segment, segmentBytes);
      return openFile(segmentPath(dir, segment));
    };
    this.#writer = new SegmentWriter({ open, segmentBytes }, end, end.entries);
    this.writes = options.writes ?? 'sync';
    thread.onFailure((error) => this.#fail(error));
  }

  intend(fields: string, granted: (permit: Permit) => void, failed: (error: Error) => void): void {
    this.#append(fields, (seq) => granted(Permit.issue('command', seq)), failed);
  }

  openSession(event: AuditEvent & { type: 'session.started' }): Promise<Permit> {
    return new Promise((resolve, reject) => {
      this.#append(fieldsOf(event), (seq) => resolve(Permit.issue('session', seq)), reject);
    });
  }

  record(event: AuditEvent): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#append(fieldsOf(event), resolve, reject);
    });
  }

  note(fields: string): void {
    if (this.#failure !== undefined || this.#closed) return;
    this.#add(fields);
    if (this.#flushSoon || this.#noteTimer) return;
    this.#noteTimer = true;
    setTimeout(() => {
      this.#noteTimer = false;
      this.#flush();
    }, noteDelayMs);
  }

  #append(fields: string, granted: (seq: number) => void, failed: (error: Error) => void): void {
    const refused = this.#refusal();
    if (refused !== undefined) {
      queueMicrotask(() => failed(refused));
      return;
    }
    let seq: number;
    try {
      seq = this.#add(fields);
    } catch (error) {
      // Only what is wrong with the event itself; the log goes on.
      queueMicrotask(() => failed(error as Error));
      return;
    }
    this.#group.waiters.push({ seq, granted, failed });
    if (this.#flushSoon) return;
    this.#flushSoon = true;
    setImmediate(() => this.#flushWhenQuiet(0, 0));
  }

  /**
   * The check phase comes after the turn's socket reads, so one write carries what all of them brought. A write takes longer than
   * many reads: where several callers are at work, what arrived while the turn's first reads were handled is waited for too, as
   * long as every round brings some more.
   */
  #flushWhenQuiet(seen: number, rounds: number): void {
    const waiting = this.#group.waiters.length;
    const busy = waiting > 1 || this.#lastGroup > 1;
    if (busy && waiting > seen && rounds < maxRounds) {
      setImmediate(() => this.#flushWhenQuiet(waiting, rounds + 1));
      return;
    }
    this.#flushSoon = false;
    this.#lastGroup = waiting;
    this.#flush();
  }

  #refusal(): Refusal | undefined {
    if (this.#failure !== undefined || this.#closed) return unavailable();
    if (this.#group.bytes > maxPendingBytes)
      return new Refusal('AUDIT_UNAVAILABLE', 'the audit log is behind; try again');
    return undefined;
  }

  /** Numbers the event, puts it into the group, and returns its number. */
  #add(fields: string): number {
    const head = `,"time":"${this.#clock.time()}",`;
    // Three bytes of UTF-8 at most for each UTF-16 unit; only what could be too large is counted exactly.
    if (fields.length * 3 > entryTargetBytes - 100 && Buffer.byteLength(fields) > entryTargetBytes - 100)
      return this.#addLarge(fields, head);
    const seq = ++this.#seq;
    this.#group.add(`{"seq":${seq}${head}${fields}}\n`);
    return seq;
  }

  #addLarge(fields: string, head: string): number {
    const lines = splitLargeEvent(fields, this.#seq + 1);
    for (const line of lines) this.#group.add(`{"seq":${++this.#seq}${head}${line}}\n`);
    return this.#seq;
  }

  #flush(): void {
    if (this.#writing || this.#group.empty || this.#failure !== undefined) return;
    const group = this.#group;
    this.#group = this.#other;
    this.#other = group;
    this.#writing = true;
    const started = performance.now();
    // While writes go through another thread, one in a while is done here: only so can it be seen what the disk alone takes.
    const probing = !this.#pinned && this.writes === 'async' && ++this.#sinceProbe >= probeEvery;
    if (this.writes === 'sync' || probing) {
      this.#sinceProbe = 0;
      try {
        this.#writer.writeSync(group.seal());
      } catch (error) {
        this.#fail(error as Error);
        return;
      }
      this.#paceIs(performance.now() - started);
      this.#written(group);
    } else {
      this.#writer.write(group.seal()).then(
        () => {
          this.#written(group);
          this.#flush();
        },
        (error: Error) => this.#fail(error),
      );
    }
  }

  /** A disk's pace changes with who else uses it: standing still for it is right only while that is short. */
  #paceIs(ms: number): void {
    this.#recentUs += (ms * 1000 - this.#recentUs) / (this.writes === 'sync' ? 32 : 4);
    if (this.#pinned) return;
    if (this.writes === 'sync' && this.#recentUs > 2 * slowDiskUs) this.writes = 'async';
    else if (this.writes === 'async' && this.#recentUs < fastDiskUs) this.writes = 'sync';
  }

  /** All of the group is durable: its waiters go on, in the order in which they came. */
  #written(group: Group): void {
    this.#writing = false;
    if (this.#failure !== undefined) return;
    const waiters = group.waiters.splice(0);
    group.reset();
    this.#postTimer ??= setTimeout(() => this.#post(), postDelayMs).unref();
    for (const { granted, seq } of waiters) guarded(() => granted(seq));
  }

  #post(): void {
    this.#postTimer = undefined;
    if (!this.#closed && this.#failure === undefined) this.#thread.durable(this.#writer.at);
  }

  /** The end: what is on disk is no longer known, so nothing that waits is granted and nothing new is taken. Never tried again. */
  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    const waiters = [...this.#other.waiters.splice(0), ...this.#group.waiters.splice(0)];
    const refused = unavailable();
    for (const { failed } of waiters) guarded(() => failed(refused));
    for (const listener of this.#listeners) guarded(() => listener(error));
  }

  onFailure(listener: (error: Error) => void): void {
    if (this.#failure !== undefined) listener(this.#failure);
    else this.#listeners.push(listener);
  }

  async checkpoint(): Promise<{ readonly note: string; readonly vkey: string }> {
    if (this.#closed || this.#failure !== undefined) throw unavailable();
    return { note: await this.#thread.sync(this.#writer.at, true), vkey: this.vkey };
  }

  async settle(): Promise<void> {
    if (this.#closed || this.#failure !== undefined) throw unavailable();
    await this.#thread.sync(this.#writer.at, false);
  }

  /** Measures the disk, and only then lets the thread make segments ahead. */
  async begin(writes: 'sync' | 'async' | undefined): Promise<void> {
    this.writeUs = await medianWriteUs(this.#writer);
    this.#pinned = writes !== undefined;
    this.#recentUs = this.writeUs;
    this.writes = writes ?? (this.writeUs > slowDiskUs ? 'async' : 'sync');
    this.#thread.durable(this.#writer.at);
  }

  /** Closes what a crash left open, in the log itself. */
  async recover(open: OpenWork, cut: number, others: AuditLogOptions['recover']): Promise<void> {
    for (const { session, exchange, principal, target } of open.intents) {
      const who = `"session":${JSON.stringify(session)},"principal":${JSON.stringify(principal ?? '')},"target":${JSON.stringify(target ?? '')}`;
      this.note(`"type":"command.outcome",${who},"exchange":${exchange},"status":"unknown","rows":0,"bytes":0`);
    }
    await others?.(open.sessions, this);
    const reason = 'the gateway stopped without ending it';
    for (const { session, principal, target } of open.sessions)
      this.note(fieldsOf({ type: 'session.ended', session, principal, target, reason }));
    if (open.intents.length + open.sessions.length + cut === 0) return;
    await this.record({
      type: 'gateway.recovered',
      unknownOutcomes: open.intents.length,
      endedSessions: open.sessions.length,
      cutBytes: cut,
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    await this.#drained();
    this.#closed = true;
    clearTimeout(this.#postTimer);
    try {
      await this.#thread.close(this.#failure === undefined ? this.#writer.at : undefined);
    } finally {
      this.#writer.close();
      this.#unlock();
    }
  }

  /** Until nothing waits to be written. */
  async #drained(): Promise<void> {
    while (this.#failure === undefined && (this.#writing || !this.#group.empty)) {
      this.#flush();
      if (this.#writing || !this.#group.empty) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

/** The better of two looks a moment apart, since somebody else's burst of writes is not the disk's own pace. */
async function medianWriteUs(writer: SegmentWriter): Promise<number> {
  const median = (): number => {
    const times = [...writer.measure(24)].sort((a, b) => a - b);
    return times[times.length >> 1] ?? 0;
  };
  const first = median();
  if (first <= slowDiskUs) return first;
  await new Promise((resolve) => setTimeout(resolve, 50));
  return Math.min(first, median());
}

/** A listener's own error is not the log's: the others go on, and it surfaces as what it is. */
function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}

/** An event's JSON without its braces, its type first. */
function fieldsOf({ type, ...rest }: AuditEvent): string {
  return JSON.stringify({ type, ...rest }).slice(1, -1);
}

function unavailable(): Refusal {
  return new Refusal('AUDIT_UNAVAILABLE', 'the audit log cannot be written, so nothing may run');
}

export type { InterruptedSession, Position };
