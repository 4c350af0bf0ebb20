import {
  closeSync,
  cpSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../model/errors.ts';
import { segmentHeaderBytes } from './frame.ts';
import { readFrames } from './frames.ts';
import { intend, intentFields, outcomeFields, Scratch, startSession, story } from './log.fixture.ts';
import { type InterruptedSession, indexPath } from './log-index.ts';
import { openAuditReader } from './reader.ts';
import { listSegments, readSegmentHeader, segmentPath } from './segment.ts';
import { verifyLog } from './verify.ts';

const scratch = new Scratch();
const models = new Scratch();
afterEach(() => scratch.clean());
afterAll(() => models.clean());

/** A stopped log with three sessions of 400 commands in several segments. */
const [one, two] = await Promise.all(
  [1, 2].map(async () => {
    const dir = models.dir();
    const log = await models.open(dir, { segmentBytes: 128 * 1024 });
    for (const session of ['s1', 's2', 's3']) await story(log, session, 400);
    await log.close();
    return { dir, vkey: log.vkey };
  }),
);

/** A copy of it, to be harmed. `other`: one with another key. */
function stopped(other = false): { dir: string; vkey: string } {
  const model = (other ? two : one) as { dir: string; vkey: string };
  return { dir: crashed(model.dir), vkey: model.vkey };
}

/** What a crash leaves: a copy of the directory while it is in use. */
function crashed(dir: string): string {
  const copy = scratch.dir();
  cpSync(dir, copy, { recursive: true });
  return copy;
}

function patch(path: string, offset: number, change: (byte: number) => number): void {
  const fd = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, offset);
  byte[0] = change(byte[0] as number);
  writeSync(fd, byte, 0, 1, offset);
  closeSync(fd);
}

function endOf(dir: string, segment: number): number {
  let end = segmentHeaderBytes;
  for (const frame of readFrames(dir, { segment, offset: end })) end = frame.next.offset;
  return end;
}

describe('a log that was not closed', () => {
  it('ends the sessions and commands that a crash left open, and says how many', async () => {
    const dir = scratch.dir();
    const log = await scratch.open(dir);
    await story(log, 'done', 2);
    await startSession(log, 's1');
    await startSession(log, 's2', { principal: 'corp:other', target: 'books' });
    await intend(log, intentFields('s1', 1));
    log.note(outcomeFields('s1', 1));
    await intend(log, intentFields('s1', 2));
    await intend(log, intentFields('s2', 1, `a large one ${'x'.repeat(100_000)}`));
    const copy = crashed(dir);
    const again = await scratch.open(copy);
    const reader = scratch.keep(openAuditReader(again));
    const { items } = await reader.events({ limit: 500, after: '0' });
    expect(items.slice(-5)).toMatchObject([
      { type: 'command.outcome', session: 's1', exchange: 2, status: 'unknown', principal: 'corp:bot', target: 'shop' },
      {
        type: 'command.outcome',
        session: 's2',
        exchange: 1,
        status: 'unknown',
        principal: 'corp:other',
        target: 'books',
      },
      { type: 'session.ended', session: 's1', reason: 'the gateway stopped without ending it' },
      { type: 'session.ended', session: 's2' },
      { type: 'gateway.recovered', unknownOutcomes: 2, endedSessions: 2, cutBytes: 0 },
    ]);
    expect(await reader.sessionList({ limit: 10, live: true })).toEqual({ items: [] });
    expect(await verifyLog(copy, { vkey: again.vkey })).toMatchObject({ ok: true, openIntentCount: 0 });
    await again.close();
    const third = await scratch.open(copy);
    expect(await third.record({ type: 'gateway.started' })).toBe((items.at(-1)?.seq ?? 0) + 1);
  });

  it('has what else the crash left of a session closed before it ends it', async () => {
    const dir = scratch.dir();
    const log = await scratch.open(dir);
    await story(log, 'done', 1);
    await log.record({ type: 'session.ended', session: 'done' });
    await startSession(log, 's1');
    await startSession(log, 's2', { principal: 'sallyport:gateway', principalKind: 'gateway' });
    const copy = crashed(dir);
    await expect(
      scratch.open(copy, {
        recover: async () => {
          throw new Error('the disk is full');
        },
      }),
    ).rejects.toThrow('the disk is full');
    const left: InterruptedSession[] = [];
    const again = await scratch.open(copy, {
      recover: async (sessions, open) => {
        left.push(...sessions);
        for (const { session } of sessions) await open.record({ type: 'recording.sealed', session });
      },
    });
    expect(left).toMatchObject([
      { session: 's1', principal: 'corp:bot', principalKind: 'agent', target: 'shop', protocol: 'postgres' },
      { session: 's2', principal: 'sallyport:gateway', principalKind: 'gateway', target: 'shop' },
    ]);
    const reader = scratch.keep(openAuditReader(again));
    const { items } = await reader.events({ limit: 500, after: '0' });
    expect(items.slice(-5)).toMatchObject([
      { type: 'recording.sealed', session: 's1' },
      { type: 'recording.sealed', session: 's2' },
      { type: 'session.ended', session: 's1' },
      { type: 'session.ended', session: 's2' },
      { type: 'gateway.recovered', endedSessions: 2 },
    ]);
    expect(new Date(left[0]!.startedAt).toISOString()).toBe(
      items.find(({ type, session }) => type === 'session.started' && session === 's1')?.time,
    );
  });

  it('goes on behind a torn write, keeps what was torn off beside it, and never grants the same number twice', async () => {
    const dir = scratch.dir();
    const log = await scratch.open(dir, { publishMs: 60_000 });
    await story(log, 's1', 3);
    await log.checkpoint();
    const last = await log.record({ type: 'audit.heartbeat', filler: 'y'.repeat(500) });
    const end = endOf(dir, 0);
    const whole = readFileSync(segmentPath(dir, 0)).subarray(0, end);
    for (const keep of [end - 1, end - 300, end - 500]) {
      const copy = crashed(dir);
      const torn = Buffer.alloc(256 * 1024);
      whole.copy(torn, 0, 0, keep);
      writeFileSync(segmentPath(copy, 0), torn);
      const again = await scratch.open(copy);
      const reader = scratch.keep(openAuditReader(again));
      const { items } = await reader.events({ limit: 1 });
      expect(items[0]).toMatchObject({ type: 'gateway.recovered', seq: last, unknownOutcomes: 0, endedSessions: 0 });
      expect(items[0]?.cutBytes).toBeGreaterThan(0);
      expect(readdirSync(join(copy, 'torn')).length).toBe(1);
      expect(await verifyLog(copy, { vkey: again.vkey })).toMatchObject({ ok: true });
    }
  });

  it('builds its index anew from the segments when it is gone, broken or of another version', async () => {
    const { dir } = stopped();
    for (const harm of [
      () => rmSync(indexPath(dir)),
      () => writeFileSync(indexPath(dir), 'not a database'.repeat(1000)),
    ]) {
      for (const suffix of ['-wal', '-shm']) rmSync(indexPath(dir) + suffix, { force: true });
      harm();
      const log = await scratch.open(dir);
      const reader = openAuditReader(log);
      const { items } = await reader.sessionList({ limit: 10 });
      expect(items.map(({ id, commands, live }) => [id, commands, live])).toEqual([
        ['s3', 400, false],
        ['s2', 400, false],
        ['s1', 400, false],
      ]);
      await reader.close();
      await log.close();
    }
  });

  it('builds its tiles anew from the segments when they are gone or damaged', async () => {
    const { dir, vkey } = stopped();
    const tile = (level: number): string => {
      const folder = join(dir, `tile/${level}`);
      const partial = readdirSync(folder).find((name) => name.endsWith('.p')) as string;
      return join(folder, partial, readdirSync(join(folder, partial))[0] as string);
    };
    for (const [fullCheckBytes, harm] of [
      [0, () => rmSync(join(dir, 'tile'), { recursive: true })],
      [0, () => patch(tile(0), 20, (byte) => byte ^ 1)],
      [0, () => patch(tile(1), 40, (byte) => byte ^ 1)],
      [1e9, () => patch(join(dir, 'tile/0/001'), 40, (byte) => byte ^ 1)],
      [1e9, () => rmSync(join(dir, 'tile'), { recursive: true })],
    ] as const) {
      harm();
      const log = await scratch.open(dir, { fullCheckBytes });
      await log.close();
      expect(await verifyLog(dir, { vkey })).toMatchObject({ ok: true, unsigned: 0 });
      expect(existsSync(tile(0)) && existsSync(tile(1))).toBe(true);
    }
  });

  it('goes on from its tiles when its history is too long to be read in full', async () => {
    const { dir, vkey } = stopped();
    rmSync(indexPath(dir));
    for (let i = 0; i < 3; i++) {
      const log = await scratch.open(dir, { fullCheckBytes: 0 });
      await story(log, `more${i}`, 150);
      await log.close();
    }
    expect(await verifyLog(dir, { vkey })).toMatchObject({ ok: true, unsigned: 0, events: 3 * 802 + 3 * 302 });
  });
});

describe('a log whose history is not the one that was signed is not opened:', () => {
  const refused = async (dir: string, message: string | RegExp): Promise<void> => {
    const before = readFileSync(join(dir, 'segments/0000000000.seg'));
    const error = await scratch.open(dir).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(message);
    expect(readFileSync(join(dir, 'segments/0000000000.seg')).equals(before)).toBe(true);
  };

  it('its segments were rolled back to an older copy', async () => {
    const dir = scratch.dir();
    const log = await scratch.open(dir);
    await story(log, 's1', 5);
    const old = crashed(dir);
    await story(log, 's2', 5);
    await log.close();
    cpSync(join(old, 'segments'), join(dir, 'segments'), { recursive: true });
    await refused(dir, /signed over \d+ entries, but only the first \d+ are there/);
  });

  it('its last entries were cut off', async () => {
    const { dir } = stopped();
    const used = listSegments(dir).findLast((segment) => readSegmentHeader(dir, segment) !== undefined) as number;
    const bytes = readFileSync(segmentPath(dir, used));
    bytes.fill(0, segmentHeaderBytes + 100);
    writeFileSync(segmentPath(dir, used), bytes);
    await refused(dir, /signed over \d+ entries, but only/);
  });

  it('a byte of its last segment was changed', async () => {
    const dir = scratch.dir();
    const log = await scratch.open(dir);
    await story(log, 's1', 50);
    await log.close();
    patch(segmentPath(dir, 0), segmentHeaderBytes + 200, (byte) => byte ^ 1);
    await refused(dir, 'does not match its checksum');
  });

  it('an entry was changed and its checksum made right again', async () => {
    const { dir } = stopped();
    const { frameChecksum } = await import('./frame.ts');
    const path = segmentPath(dir, 0);
    const bytes = readFileSync(path);
    const frames = [...readFrames(dir, { segment: 0, offset: segmentHeaderBytes })].map(({ at, next }) => ({
      at: at.offset,
      end: next.offset,
    }));
    const victim = frames[20] as { at: number; end: number };
    bytes[victim.end - 10] = (bytes[victim.end - 10] as number) ^ 1;
    bytes.writeUInt32BE(frameChecksum(bytes.subarray(victim.at + 8, victim.end)), victim.at + 4);
    writeFileSync(path, bytes);
    await refused(dir, 'the history was changed');
  });

  it('a segment is missing, or lost its header', async () => {
    const first = stopped();
    rmSync(segmentPath(first.dir, 1));
    await refused(first.dir, 'segment 1 of the audit log is missing');
    const second = stopped();
    patch(segmentPath(second.dir, 1), 20, (byte) => byte ^ 1);
    await refused(second.dir, 'the header of this segment is damaged');
  });

  it('all of its segments are gone', async () => {
    const { dir } = stopped();
    rmSync(join(dir, 'segments'), { recursive: true });
    await expect(scratch.open(dir)).rejects.toThrow(/signed over \d+ entries, but only the first 0/);
  });

  it('its checkpoint is gone, was changed, or was signed by another key', async () => {
    const { dir } = stopped();
    const path = join(dir, 'checkpoint');
    const note = readFileSync(path, 'utf8');
    const other = stopped(true);
    writeFileSync(path, readFileSync(join(other.dir, 'checkpoint')));
    await refused(dir, 'not signed by');
    writeFileSync(path, note.replace(/\n(\d+)\n/, '\n7\n'));
    await refused(dir, 'the signature is not good');
    rmSync(path);
    await refused(dir, 'its checkpoint is gone');
  });

  it('its key is gone or another one', async () => {
    const { dir } = stopped();
    const other = stopped(true);
    writeFileSync(join(dir, 'signing.key'), readFileSync(join(other.dir, 'signing.key')));
    await refused(dir, 'belongs to another key');
    rmSync(join(dir, 'signing.key'));
    await refused(dir, 'its signing key is gone');
  });
});
