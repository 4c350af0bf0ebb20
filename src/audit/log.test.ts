import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { RecordedEvent } from '../model/event.ts';
import { segmentHeaderBytes } from './frame.ts';
import { readFrames } from './frames.ts';
import { parseEntry } from './lines.ts';
import {
  fullDisk,
  intend,
  intentFields,
  outcomeFields,
  Scratch,
  SpiedDisk,
  startSession,
  story,
} from './log.fixture.ts';
import type { AuditLog } from './log.ts';
import { Permit } from './permit.ts';
import { listSegments, readSegmentHeader } from './segment.ts';
import { verifyLog } from './verify.ts';

const scratch = new Scratch();
afterEach(() => scratch.clean());

function entriesOf(dir: string): RecordedEvent[][] {
  return listSegments(dir)
    .filter((segment) => readSegmentHeader(dir, segment) !== undefined)
    .flatMap((segment) =>
      [...readFrames(dir, { segment, offset: segmentHeaderBytes })].map(({ payload }) => [...parseEntry(payload)]),
    );
}

function eventsOf(dir: string): RecordedEvent[] {
  return entriesOf(dir).flat();
}

/** The turn after this one, when its writes are done. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

for (const writes of ['sync', 'async'] as const) {
  describe(`the log with ${writes} writes`, () => {
    it('grants nothing before the intent is on disk', async () => {
      const disk = new SpiedDisk();
      const log = await scratch.open(scratch.dir(), { writes, openFile: disk.openFile });
      let onDisk: boolean | undefined;
      const gate = Promise.withResolvers<void>();
      disk.gate = gate.promise;
      log.intend(
        intentFields('s', 1, 'select secret'),
        () => {
          onDisk = disk.text.includes('select secret');
        },
        () => {},
      );
      expect(onDisk).toBeUndefined();
      if (writes === 'async') {
        await turn();
        expect(onDisk).toBeUndefined();
      }
      gate.resolve();
      await log.record({ type: 'audit.heartbeat' });
      expect(onDisk).toBe(true);
    });

    it('writes what arrived in one turn with one write, as one entry, and grants in the order of appending', async () => {
      const disk = new SpiedDisk();
      const dir = scratch.dir();
      const log = await scratch.open(dir, { writes, openFile: disk.openFile });
      disk.writes.length = 0;
      const order: string[] = [];
      const kept = Array.from({ length: 20 }, (_, i) =>
        intend(log, intentFields('s', i)).then((permit) => order.push(`intend ${permit.seq}`)),
      );
      kept.push(log.record({ type: 'ticket.issued' }).then((seq) => order.push(`record ${seq}`)));
      kept.push(intend(log, intentFields('s', 20)).then((permit) => order.push(`intend ${permit.seq}`)));
      await Promise.all(kept);
      expect(disk.writes.length).toBe(1);
      expect(entriesOf(dir).map((events) => events.length)).toEqual([22]);
      expect(order).toEqual([...Array.from({ length: 20 }, (_, i) => `intend ${i + 1}`), 'record 21', 'intend 22']);
    });

    it('numbers what is appended while grants run behind them, in a write of its own', async () => {
      const dir = scratch.dir();
      const log = await scratch.open(dir, { writes });
      const seqs: number[] = [];
      await new Promise<void>((resolve) => {
        log.intend(
          intentFields('s', 1),
          (permit) => {
            seqs.push(permit.seq);
            log.note(outcomeFields('s', 1));
            log.intend(
              intentFields('s', 2),
              (next) => {
                seqs.push(next.seq);
                resolve();
              },
              () => {},
            );
          },
          () => {},
        );
      });
      expect(seqs).toEqual([1, 3]);
      expect(entriesOf(dir).map((entry) => entry.map((event) => event.type))).toEqual([
        ['command.intent'],
        ['command.outcome', 'command.intent'],
      ]);
    });

    it('writes a note by itself when nothing else comes', async () => {
      const disk = new SpiedDisk();
      const log = await scratch.open(scratch.dir(), { writes, openFile: disk.openFile });
      log.note(outcomeFields('s', 77));
      await expect.poll(() => disk.text.includes('"exchange":77')).toBe(true);
    });

    it('fails everything that waits when the disk is full, refuses what comes later, and says so once', async () => {
      const disk = new SpiedDisk();
      const dir = scratch.dir();
      const log = await scratch.open(dir, { writes, openFile: disk.openFile });
      await startSession(log, 's');
      const failures: Error[] = [];
      log.onFailure((error) => failures.push(error));
      disk.error = fullDisk;
      const results = await Promise.allSettled([
        intend(log, intentFields('s', 1)),
        log.record({ type: 'ticket.issued' }),
        intend(log, intentFields('s', 2)),
      ]);
      expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
      expect(results[0]).toMatchObject({ reason: { kind: 'AUDIT_UNAVAILABLE' } });
      // The disk is well again, but what it holds is not known.
      disk.error = undefined;
      const before = disk.writes.length;
      log.note(outcomeFields('s', 1));
      await expect(intend(log, intentFields('s', 3))).rejects.toMatchObject({ kind: 'AUDIT_UNAVAILABLE' });
      await expect(startSession(log, 's2')).rejects.toMatchObject({ kind: 'AUDIT_UNAVAILABLE' });
      await expect(log.checkpoint()).rejects.toMatchObject({ kind: 'AUDIT_UNAVAILABLE' });
      expect(disk.writes.length).toBe(before);
      expect(failures).toEqual([fullDisk]);
      const late: Error[] = [];
      log.onFailure((error) => late.push(error));
      expect(late).toEqual([fullDisk]);
      await log.close();
      const again = await scratch.open(dir);
      expect(eventsOf(dir).map((event) => event.type)).toEqual([
        'session.started',
        'session.ended',
        'gateway.recovered',
      ]);
      await again.close();
    });

    it('goes on into preallocated segments, each entry in one piece', async () => {
      const dir = scratch.dir();
      const log = await scratch.open(dir, { writes, segmentBytes: 128 * 1024 });
      await startSession(log, 's');
      for (let i = 0; i < 200; i++)
        await Promise.all(
          Array.from({ length: 10 }, (_, k) => intend(log, intentFields('s', i * 10 + k, 'x'.repeat(200)))),
        );
      const { note } = await log.checkpoint();
      expect(Number(note.split('\n')[1])).toBe(entriesOf(dir).length);
      expect(
        listSegments(dir).filter((segment) => readSegmentHeader(dir, segment) !== undefined).length,
      ).toBeGreaterThan(4);
      expect(eventsOf(dir).map(({ seq }) => seq)).toEqual(Array.from({ length: 2001 }, (_, i) => i + 1));
      expect(await verifyLog(dir, { vkey: log.vkey })).toMatchObject({ ok: true, events: 2001, openIntentCount: 2000 });
    });

    it('takes a text of 16 MiB, and grants it only when all of it is on disk', { timeout: 20_000 }, async () => {
      const disk = new SpiedDisk();
      const dir = scratch.dir();
      const log = await scratch.open(dir, { writes, openFile: disk.openFile, segmentBytes: 8 * 1024 * 1024 });
      await startSession(log, 's');
      const text = `${'select 1; -- "é" '.repeat(1024 * 1024)}the end`;
      const permit = await intend(log, intentFields('s', 1, text));
      const written = disk.writes.reduce((sum, { bytes }) => sum + bytes.length, 0);
      expect(written).toBeGreaterThan(16 * 1024 * 1024);
      expect(disk.text).toContain('the end');
      log.note(outcomeFields('s', 1));
      await intend(log, intentFields('s', 2));
      const { vkey } = await log.checkpoint();
      const report = await verifyLog(dir, { vkey });
      expect(report).toMatchObject({ ok: true, openIntents: [{ session: 's', exchange: 2 }] });
      expect(report.lastSeq).toBe(permit.seq + 2);
      await log.close();
    });
  });
}

describe('the log', () => {
  it('gives permits that are good for one command, or for a session, and never for the other', async () => {
    const log = await scratch.open(scratch.dir());
    const session = await startSession(log, 's');
    const command = await intend(log, intentFields('s', 1));
    expect(() => Permit.spend(command, 'session')).toThrow('not a session permit');
    expect(() => Permit.spend(session, 'command')).toThrow('not a command permit');
    Permit.spend(command, 'command');
    expect(() => Permit.spend(command, 'command')).toThrow('spent');
  });

  it('goes on with the numbers, and with time, where it stopped', async () => {
    const dir = scratch.dir();
    let now = Date.parse('2026-05-01T00:00:00Z');
    const first = await scratch.open(dir, { now: () => now });
    await story(first, 's1', 3);
    await first.close();
    now -= 60_000;
    const second = await scratch.open(dir, { now: () => now });
    expect(await second.record({ type: 'gateway.started' })).toBe(9);
    await second.close();
    const events = eventsOf(dir);
    expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(events.at(-1)?.time).toBe('2026-05-01T00:00:00.000Z');
    expect(await verifyLog(dir, { vkey: second.vkey })).toMatchObject({ ok: true, unsigned: 0, openIntentCount: 0 });
  });

  it('lets a listener that throws harm nobody behind it, and does not hide its error', () => {
    const program = `
      const { openAuditLog } = await import(${JSON.stringify(new URL('./log.ts', import.meta.url).href)});
      const log = await openAuditLog({ dir: ${JSON.stringify(scratch.dir())}, origin: 'gw.example/audit', segmentBytes: 65536 });
      process.on('uncaughtException', (error) => console.log('uncaught:', error.message));
      log.intend('"type":"command.intent"', () => { throw new Error('a bug of the caller'); }, () => {});
      log.intend('"type":"command.intent"', (permit) => console.log('granted:', permit.seq), () => {});
      await log.record({ type: 'audit.heartbeat' });
      await log.close();
    `;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(stdout).toBe('granted: 2\nuncaught: a bug of the caller\n');
  });

  it('refuses an event that it cannot hold without harm to the others', async () => {
    const log = await scratch.open(scratch.dir());
    const fields = Array.from({ length: 200 }, (_, i) => `"f${i}":"${'x'.repeat(900)}"`).join(',');
    const [bad, good] = await Promise.allSettled([
      intend(log, `"type":"command.intent",${fields}`),
      intend(log, intentFields('s', 1)),
    ]);
    expect(bad).toMatchObject({
      status: 'rejected',
      reason: { message: 'the event has too many fields for one entry of the log' },
    });
    expect(good).toMatchObject({ status: 'fulfilled', value: { seq: 1 } });
  });

  it('refuses more than it may hold back when the disk hangs', async () => {
    const disk = new SpiedDisk();
    const log = await scratch.open(scratch.dir(), {
      writes: 'async',
      openFile: disk.openFile,
      segmentBytes: 80 * 1024 * 1024,
    });
    const gate = Promise.withResolvers<void>();
    disk.gate = gate.promise;
    const first = intend(log, intentFields('s', 0));
    await turn();
    const text = 'x'.repeat(8 * 1024 * 1024);
    const waiting = Array.from({ length: 8 }, (_, i) => intend(log, intentFields('s', i + 1, text)));
    await expect(intend(log, intentFields('s', 99))).rejects.toMatchObject({ kind: 'AUDIT_UNAVAILABLE' });
    gate.resolve();
    await Promise.all([first, ...waiting]);
    await expect(intend(log, intentFields('s', 100))).resolves.toMatchObject({ seq: expect.any(Number) });
  });

  it('measures the disk without leaving a trace', async () => {
    const dir = scratch.dir();
    const log = await scratch.open(dir);
    expect(log.writeUs).toBeGreaterThan(0);
    await log.close();
    expect(entriesOf(dir)).toEqual([]);
    expect(await verifyLog(dir, { vkey: log.vkey })).toMatchObject({ ok: true, size: 0, entries: 0 });
  });

  it('keeps its key and its segments to itself', async () => {
    const dir = scratch.dir();
    const log = await scratch.open(dir);
    expect(statSync(join(dir, 'signing.key')).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, 'segments')).mode & 0o777).toBe(0o700);
    expect(statSync(join(dir, 'segments/0000000000.seg')).mode & 0o777).toBe(0o600);
    expect(log.vkey).toMatch(/^gw\.example\/audit\+[0-9a-f]{8}\+/);
  });

  it('says why it cannot be opened when its disk cannot be written, and lets go of it', async () => {
    const dir = scratch.dir();
    const first = await scratch.open(dir);
    await startSession(first, 's');
    await first.close();
    const disk = new SpiedDisk();
    disk.error = fullDisk;
    await expect(scratch.open(dir, { openFile: disk.openFile })).rejects.toThrow('ENOSPC');
    await expect(
      scratch.open(dir, {
        openFile: () => {
          throw fullDisk;
        },
      }),
    ).rejects.toThrow('ENOSPC');
    const again = await scratch.open(dir);
    expect(await again.record({ type: 'gateway.started' })).toBe(4);
  });

  it('is written by one process at a time', async () => {
    const dir = scratch.dir();
    const log = await scratch.open(dir);
    await expect(scratch.open(dir)).rejects.toThrow('another process writes this audit log');
    await log.close();
    await scratch.open(dir);
  });

  it('refuses an origin that could not stand in a checkpoint', async () => {
    await expect(scratch.open(scratch.dir(), { origin: 'two words' })).rejects.toThrow('neither spaces nor +');
  });

  it('signs what is durable by itself, soon', async () => {
    const dir = scratch.dir();
    const log = await scratch.open(dir);
    await story(log, 's', 5);
    await expect.poll(async () => (await verifyLog(dir, { vkey: log.vkey })).unsigned).toBe(0);
    expect(await verifyLog(dir, { vkey: log.vkey })).toMatchObject({ ok: true, events: 12 });
  });

  it('makes segments ahead of itself', async () => {
    const dir = scratch.dir();
    const log: AuditLog = await scratch.open(dir);
    await log.record({ type: 'gateway.started' });
    await expect.poll(() => listSegments(dir)).toEqual([0, 1, 2]);
    await log.close();
    expect(readdirSync(join(dir, 'segments')).length).toBe(3);
    expect(existsSync(join(dir, 'torn'))).toBe(false);
  });
});
