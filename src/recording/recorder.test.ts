import { randomBytes } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { diskFiles, type RecordingFiles } from './files.ts';
import { collect, disk, Fixture, replyOf } from './fixture.ts';
import { segmentLimit } from './format.ts';
import { verifyRecording } from './reader.ts';

describe('a recording', () => {
  it('gives back what was written, whatever the sizes', async () => {
    const size = fc.oneof(
      fc.nat({ max: 300 }),
      fc.integer({ min: segmentLimit - 40, max: segmentLimit + 40 }),
      fc.nat({ max: 3 * segmentLimit }),
    );
    const step = fc.record({
      kind: fc.constantFrom('request', 'reply'),
      size,
      random: fc.boolean(),
      after: fc.nat({ max: 1000 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        await using fixture = await Fixture.create();
        const session = fixture.session();
        const recording = fixture.recorder.open(session);
        const noise = randomBytes(3 * segmentLimit);
        const requests: { exchange: number; text: string; at: number }[] = [];
        const replies = new Map<number, Buffer>();
        for (const [exchange, { kind, size, random, after }] of steps.entries()) {
          fixture.now += after;
          if (kind === 'request') {
            const text = 'é'.repeat(size / 2);
            requests.push({ exchange, text, at: fixture.now - session.startedAt });
            recording.request(exchange, text);
          } else {
            const bytes = random ? noise.subarray(0, size) : Buffer.alloc(size, 'row ');
            replies.set(exchange, bytes);
            await recording.reply(exchange, bytes);
          }
        }
        await recording.close();
        const { frames, error } = await collect(fixture.recorder.frames(session.id));
        expect(error).toBeUndefined();
        const readRequests = frames.filter(({ direction }) => direction === 'request');
        expect(readRequests.map(({ exchange, at, bytes }) => ({ exchange, text: bytes.toString(), at }))).toEqual(
          requests,
        );
        for (const [exchange, bytes] of replies) expect(replyOf(frames, exchange).equals(bytes)).toBe(true);
        const order = frames.map(({ exchange }) => exchange);
        expect(order).toEqual([...order].sort((a, b) => a - b));
      }),
      { numRuns: 40 },
    );
  });

  it('copies what it keeps', async () => {
    await using fixture = await Fixture.create();
    const session = fixture.session();
    const recording = fixture.recorder.open(session);
    const bytes = Buffer.from('shown');
    recording.reply(1, bytes);
    bytes.fill('x');
    await recording.close();
    expect(replyOf((await collect(fixture.recorder.frames(session.id))).frames, 1).toString()).toBe('shown');
  });

  it('is sealed in the log with the digest that its file has', async () => {
    await using fixture = await Fixture.create();
    const session = fixture.session();
    const recording = fixture.recorder.open(session);
    recording.request(1, '{"text":"select 1"}');
    recording.reply(1, Buffer.from('one row'));
    await Promise.all([recording.close(), recording.close()]);
    expect(fixture.events).toHaveLength(1);
    const verified = await verifyRecording(fixture.sealedPath(session));
    expect(verified).toMatchObject({ session: session.id, segments: 1, frames: 2, bytes: 7, truncated: false });
    expect(fixture.events[0]).toEqual({
      type: 'recording.sealed',
      session: session.id,
      principal: 'ci:agent',
      target: 'shop',
      segments: 1,
      frames: 2,
      bytes: 7,
      digest: verified.digest,
    });
  });

  it('is closed by recovery when the log did not take its seal', async () => {
    await using fixture = await Fixture.create();
    const session = fixture.session();
    const recording = fixture.recorder.open(session);
    recording.reply(1, Buffer.from('shown'));
    const { record } = fixture.audit;
    fixture.audit.record = async () => {
      throw new Error('the log is gone');
    };
    await expect(recording.close()).rejects.toThrow('the log is gone');
    fixture.audit.record = record;
    expect(await fixture.recorder.recover()).toBe(1);
    expect(fixture.events).toMatchObject([{ session: session.id, frames: 1, truncated: false }]);
    expect((await verifyRecording(fixture.sealedPath(session))).digest).toBe(fixture.events[0]?.digest);
  });

  it('exists even when nothing happened in the session', async () => {
    await using fixture = await Fixture.create();
    const session = fixture.session();
    await fixture.recorder.open(session).close();
    expect(await verifyRecording(fixture.sealedPath(session))).toMatchObject({ segments: 0, frames: 0 });
    expect(await collect(fixture.recorder.frames(session.id))).toEqual({ frames: [], end: 'sealed' });
  });

  it('stands in the folder of its day, readable by its owner alone', async () => {
    await using fixture = await Fixture.create();
    fixture.now = Date.UTC(2026, 11, 31, 23, 59);
    const session = fixture.session();
    await fixture.recorder.open(session).close();
    const path = join(fixture.dir, '2026', '12', '31', `${session.id}.rec`);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(fixture.dir, '2026'))).mode & 0o077).toBe(0);
    expect(await readdir(join(fixture.dir, 'open'))).toEqual([]);
  });

  it('can be read while the session goes on', async () => {
    await using fixture = await Fixture.create();
    const session = fixture.session();
    const recording = fixture.recorder.open(session);
    expect(await collect(fixture.recorder.frames(session.id))).toEqual({ frames: [], end: 'live' });
    for (let exchange = 1; exchange < 4; exchange++) {
      recording.reply(exchange, Buffer.from('shown'));
      const { frames, end } = await collect(fixture.recorder.frames(session.id));
      expect([frames.length, end]).toEqual([exchange, 'live']);
    }
  });

  it('is on its way to the file within the set time, without anybody asking', async () => {
    await using fixture = await Fixture.create({ sealAfterMs: 20 });
    const session = fixture.session();
    fixture.recorder.open(session).reply(1, Buffer.from('shown'));
    const path = join(fixture.dir, 'open', `${session.id}.rec`);
    let size = 0;
    while (size === 0) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      size = await stat(path).then(
        (file) => file.size,
        () => 0,
      );
    }
    expect(size).toBeGreaterThan(0);
  });

  it('holds no descriptor while nothing happens, and goes on in the same file', async () => {
    let descriptors = 0;
    const files: RecordingFiles = {
      ...diskFiles,
      async open(path, flags, mode) {
        const handle = await diskFiles.open(path, flags, mode);
        const close = handle.close.bind(handle);
        descriptors += 1;
        return Object.assign(handle, { close: () => close().finally(() => descriptors--) });
      },
    };
    await using fixture = await Fixture.create({ files });
    const sessions = Array.from({ length: 20 }, () => fixture.session());
    const recordings = sessions.map((session) => fixture.recorder.open(session));
    for (let exchange = 1; exchange <= 3; exchange++) {
      for (const recording of recordings) {
        recording.request(exchange, `{"n":${exchange}}`);
        recording.reply(exchange, Buffer.from(`row ${exchange}`));
      }
      await Promise.all(sessions.map((session) => collect(fixture.recorder.frames(session.id))));
      expect(descriptors).toBe(0);
    }
    await Promise.all(recordings.map((recording) => recording.close()));
    expect(descriptors).toBe(0);
    for (const session of sessions)
      expect(await verifyRecording(fixture.sealedPath(session))).toMatchObject({ segments: 3, frames: 6 });
  });

  it('keeps requests of any characters, wherever in a segment they come', async () => {
    await using fixture = await Fixture.create();
    const text = fc.string({ unit: 'binary', maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(text, fc.nat({ max: 4000 })), { maxLength: 30 }), async (parts) => {
        const session = fixture.session();
        const recording = fixture.recorder.open(session);
        const texts = parts.map(([part, times]) => part.repeat(times));
        for (const [exchange, json] of texts.entries()) recording.request(exchange, json);
        await recording.close();
        const { frames } = await collect(fixture.recorder.frames(session.id));
        expect(frames.map(({ bytes }) => bytes.toString())).toEqual(texts.map((json) => Buffer.from(json).toString()));
      }),
      { numRuns: 30 },
    );
  });

  it('takes nothing after it was closed', async () => {
    await using fixture = await Fixture.create();
    const recording = fixture.recorder.open(fixture.session());
    await recording.close();
    await expect(recording.reply(1, Buffer.from('late'))).rejects.toThrow('closed');
  });

  it('does not go backwards in time when the clock does', async () => {
    await using fixture = await Fixture.create();
    const session = fixture.session();
    const recording = fixture.recorder.open(session);
    for (const step of [5, -3, 4]) {
      fixture.now += step;
      recording.reply(1, Buffer.from('x'));
    }
    await recording.close();
    expect((await collect(fixture.recorder.frames(session.id))).frames.map(({ at }) => at)).toEqual([5, 5, 6]);
  });
});

describe('session ids', () => {
  it('cannot leave the folder', async () => {
    await using fixture = await Fixture.create();
    for (const id of ['../../etc/passwd', '..', '', 'a/b', 'a\0b', 'x'.repeat(100)]) {
      expect(fixture.recorder.frames(id)).toBeUndefined();
      expect(() => fixture.recorder.open({ ...fixture.session(), id })).toThrow(RangeError);
    }
  });

  it('that nobody knows have no recording', async () => {
    await using fixture = await Fixture.create();
    expect(fixture.recorder.frames(fixture.session().id)).toBeUndefined();
  });

  it('are recorded once', async () => {
    await using fixture = await Fixture.create();
    const session = fixture.session();
    fixture.recorder.open(session);
    expect(() => fixture.recorder.open(session)).toThrow('already');
  });
});

describe('a slow disk', () => {
  const chunk = randomBytes(64 * 1024);

  it('makes the source wait at the bound, and lets it go on when there is room', async () => {
    const gate = Promise.withResolvers<void>();
    await using fixture = await Fixture.create({
      files: disk(async (proceed) => {
        await gate.promise;
        return proceed();
      }),
    });
    const session = fixture.session();
    const recording = fixture.recorder.open(session);
    let accepted = 0;
    let waiting: Promise<void> | undefined;
    while (waiting === undefined) {
      waiting = recording.reply(1, chunk);
      accepted += chunk.length;
    }
    expect(accepted).toBeGreaterThanOrEqual(2 * 1024 * 1024);
    expect(accepted).toBeLessThan(2.5 * 1024 * 1024);
    let released = false;
    void waiting.then(() => {
      released = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(released).toBe(false);
    gate.resolve();
    await waiting;
    expect(recording.reply(1, chunk)).toBeUndefined();
    await recording.close();
    expect(replyOf((await collect(fixture.recorder.frames(session.id))).frames, 1).length).toBe(
      accepted + chunk.length,
    );
  });

  it('bounds what all sessions hold together, part-filled segments included', async () => {
    const gate = Promise.withResolvers<void>();
    await using fixture = await Fixture.create({
      totalLimit: 1024 * 1024,
      sealAfterMs: 3_600_000,
      files: disk(async (proceed) => {
        await gate.promise;
        return proceed();
      }),
    });
    const recordings = Array.from({ length: 40 }, () => fixture.recorder.open(fixture.session()));
    const answers = recordings.map((recording) => recording.reply(1, chunk));
    const waits = answers.filter((answer) => answer !== undefined);
    expect(answers.slice(0, 14)).toEqual(Array(14).fill(undefined));
    expect(waits.length).toBeGreaterThan(20);
    gate.resolve();
    await Promise.all(waits);
  });
});

describe('sessions that hold little each', () => {
  it('are written within the set time, and not all at once', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      let begun = 0;
      const files: RecordingFiles = {
        ...diskFiles,
        mkdir: (path, options) => {
          begun += 1;
          return diskFiles.mkdir(path, options);
        },
      };
      await using fixture = await Fixture.create({ files, sealAfterMs: 800 });
      for (let i = 0; i < 40; i++) fixture.recorder.open(fixture.session()).reply(1, Buffer.from('shown'));
      const written: number[] = [];
      for (let ms = 100; ms <= 800; ms += 100) {
        const before = begun;
        await vi.advanceTimersByTimeAsync(100);
        written.push(begun - before);
      }
      expect(written).toEqual([0, 0, 0, 0, 10, 10, 10, 10]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('make room for one that waits', async () => {
    await using fixture = await Fixture.create({ totalLimit: 1024 * 1024, sealAfterMs: 3_600_000 });
    const idle = Array.from({ length: 20 }, () => fixture.recorder.open(fixture.session()));
    for (const recording of idle) void recording.reply(1, Buffer.alloc(50_000, 'x'));
    const busy = fixture.recorder.open(fixture.session());
    await busy.reply(1, Buffer.alloc(100_000, 'y'));
    expect(busy.reply(2, Buffer.from('z'))).toBeUndefined();
  });
});

describe('a failing disk', () => {
  const full = async (): Promise<never> => {
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  };

  it('ends the session: whoever waits and whoever comes later is told, once and for all', async () => {
    await using fixture = await Fixture.create({ files: disk(full) });
    const session = fixture.session();
    const recording = fixture.recorder.open(session);
    let waiting: Promise<void> | undefined;
    while (waiting === undefined) waiting = recording.reply(1, Buffer.alloc(65_536, 'x'));
    await expect(waiting).rejects.toMatchObject({ kind: 'AUDIT_UNAVAILABLE' });
    await expect(recording.reply(1, Buffer.from('x'))).rejects.toMatchObject({ kind: 'AUDIT_UNAVAILABLE' });
    recording.request(2, '{}');
    expect(fixture.failures).toEqual([`${session.id} ENOSPC: no space left on device`]);
    await recording.close();
    expect(fixture.events).toMatchObject([
      { type: 'recording.sealed', session: session.id, segments: 0, truncated: true },
    ]);
  });

  it('is noticed when it takes only a part', async () => {
    await using fixture = await Fixture.create({
      files: disk(async (proceed) => ({ bytesWritten: (await proceed()).bytesWritten - 1 })),
    });
    const recording = fixture.recorder.open(fixture.session());
    recording.reply(1, Buffer.from('x'));
    await recording.close();
    expect(fixture.failures).toHaveLength(1);
    expect(fixture.events).toMatchObject([{ truncated: true }]);
  });

  it('leaves a file that recovery can close, with what had been written', async () => {
    let writes = 0;
    await using fixture = await Fixture.create({ files: disk((proceed) => (++writes > 2 ? full() : proceed())) });
    const session = fixture.session();
    const recording = fixture.recorder.open(session);
    recording.reply(1, Buffer.from('kept'));
    expect((await collect(fixture.recorder.frames(session.id))).frames).toHaveLength(1);
    recording.reply(2, Buffer.from('lost'));
    await recording.close();
    writes = -100;
    expect(await fixture.recorder.recover()).toBe(1);
    const { frames, error } = await collect(fixture.recorder.frames(session.id));
    expect([frames.map(({ bytes }) => bytes.toString()), error]).toEqual([['kept'], undefined]);
  });

  it('ends the session when its file is gone after a pause', async () => {
    await using fixture = await Fixture.create();
    const session = fixture.session();
    const recording = fixture.recorder.open(session);
    recording.reply(1, Buffer.from('shown'));
    expect((await collect(fixture.recorder.frames(session.id))).frames).toHaveLength(1);
    await rm(join(fixture.dir, 'open', `${session.id}.rec`));
    recording.reply(2, Buffer.from('shown too'));
    expect((await collect(fixture.recorder.frames(session.id))).error).toMatchObject({ kind: 'AUDIT_UNAVAILABLE' });
    expect(fixture.failures).toEqual([expect.stringContaining('ENOENT')]);
    await expect(recording.reply(3, Buffer.from('x'))).rejects.toMatchObject({ kind: 'AUDIT_UNAVAILABLE' });
    await recording.close();
    expect(fixture.events).toMatchObject([{ session: session.id, segments: 1, truncated: true }]);
  });

  it('does not keep the other sessions waiting', async () => {
    let fail = true;
    await using fixture = await Fixture.create({
      totalLimit: 512 * 1024,
      files: disk((proceed) => (fail ? full() : proceed())),
    });
    const broken = fixture.recorder.open(fixture.session());
    let waiting: Promise<void> | undefined;
    while (waiting === undefined) waiting = broken.reply(1, Buffer.alloc(65_536, 'x'));
    await expect(waiting).rejects.toThrow();
    fail = false;
    const session = fixture.session();
    const healthy = fixture.recorder.open(session);
    for (let i = 0; i < 20; i++) await healthy.reply(1, Buffer.alloc(65_536, 'y'));
    await healthy.close();
    expect(replyOf((await collect(fixture.recorder.frames(session.id))).frames, 1).length).toBe(20 * 65_536);
  });
});
