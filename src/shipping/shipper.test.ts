import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { BatchRefused, Undelivered } from './sink.ts';
import { log, MemoryLog, Scratch, ScriptedSink, startShipper, until } from './testing.fixture.ts';

const scratch = new Scratch();
afterEach(() => scratch.clean());

const cursorOf = (dir: string): { seq: number; sending?: number } =>
  JSON.parse(readFileSync(join(dir, 'cursor.json'), 'utf8'));
const seqs = (count: number, from = 1): number[] => Array.from({ length: count }, (_, i) => i + from);

/** A shipper that is closed with the test. */
async function start(source: MemoryLog, sink: ScriptedSink, dir = scratch.dir(), over = {}) {
  const started = await startShipper(source, sink, dir, over);
  scratch.keep({ close: () => started.shipper.close() });
  return { ...started, dir };
}

describe('a shipper', () => {
  it('sends everything in order, in batches, each record naming the one before', async () => {
    const source = new MemoryLog();
    source.add(35);
    const sink = new ScriptedSink();
    const { shipper } = await start(source, sink);
    await until(() => shipper.metrics().seq === 35);
    expect(sink.batches.map(({ length }) => length)).toEqual([10, 10, 10, 5]);
    expect(sink.taken.map(({ event }) => event.seq)).toEqual(seqs(35));
    expect(sink.taken.map(({ after }) => after)).toEqual(seqs(35, 0));
    source.add(2);
    shipper.wake();
    await until(() => shipper.metrics().seq === 37);
    expect(shipper.metrics()).toMatchObject({ state: 'shipping', sent: 37, refused: 0, lagEvents: 0, lagSeconds: 0 });
  });

  it('never has its cursor ahead of what was acknowledged', async () => {
    const source = new MemoryLog();
    source.add(50);
    const dir = scratch.dir();
    const sink = new ScriptedSink();
    let acknowledged = 0;
    sink.script = (batch) => {
      expect(cursorOf(dir).seq).toBe(acknowledged);
      if (sink.batches.length % 3 === 0) throw new Undelivered('down');
      acknowledged = batch.at(-1)!.event.seq;
    };
    const { shipper } = await start(source, sink, dir);
    await until(() => shipper.metrics().seq === 50);
    expect(cursorOf(dir)).toEqual({ log, seq: 50 });
    expect(sink.taken.map(({ event }) => event.seq)).toEqual(seqs(50));
  });

  it('loses nothing and repeats one batch at most, wherever it is cut off', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 6 }), fc.boolean()), { minLength: 1, maxLength: 6 }),
        async (cuts) => {
          const dir = scratch.dir();
          const source = new MemoryLog();
          source.add(60);
          const seen: number[] = [];
          for (const [batches, taken] of [...cuts, [Number.POSITIVE_INFINITY, true] as const]) {
            const sink = new ScriptedSink();
            // The process dies in a batch: the receiver has it or not, and the answer never comes.
            sink.script = async (batch) => {
              const dies = sink.batches.length === batches;
              if (!dies || taken) seen.push(...batch.map(({ event }) => event.seq));
              if (dies) throw new Undelivered('the process is gone');
            };
            const { shipper } = await startShipper(source, sink, dir, { backoff: { firstMs: 1e6, mostMs: 1e6 } });
            await until(() => shipper.metrics().seq === 60 || shipper.metrics().state === 'failing');
            await shipper.close();
          }
          expect([...new Set(seen)]).toEqual(seqs(60));
          expect(seen.length).toBeLessThanOrEqual(60 + cuts.length * 10);
        },
      ),
      { numRuns: 12 },
    );
  });

  it('begins where it is told, once: at the end of the log, or at its beginning', async () => {
    const source = new MemoryLog();
    source.add(20);
    const sink = new ScriptedSink();
    const { shipper, dir } = await start(source, sink, undefined, { from: 'now' });
    await until(() => shipper.metrics().seq === 20);
    source.add(3);
    await shipper.close();
    const again = new ScriptedSink();
    const later = await start(source, again, dir, { from: 'now' });
    await until(() => later.shipper.metrics().seq === 23);
    expect([...sink.taken, ...again.taken].map(({ event }) => event.seq)).toEqual([21, 22, 23]);
  });

  it('does not go on with a cursor of another log, ahead of the log, or unreadable; it says so and stops', async () => {
    const broken = [
      [{ log: 'other.example/audit', seq: 3 }, 'belongs to the log'],
      [{ log, seq: 4711 }, 'the log ends with 20'],
      [{ log, seq: -1 }, 'cannot be read'],
      ['{"log":"gw.exam', 'cannot be read'],
    ] as const;
    for (const [content, words] of broken) {
      const source = new MemoryLog();
      source.add(20);
      const dir = scratch.dir();
      writeFileSync(join(dir, 'cursor.json'), typeof content === 'string' ? content : JSON.stringify(content));
      const sink = new ScriptedSink();
      const { shipper, warnings } = await start(source, sink, dir);
      await until(() => shipper.metrics().state === 'stopped');
      expect(shipper.metrics().reason).toContain(words);
      expect(warnings.join()).toContain(words);
      expect(source.events_.at(-1)).toMatchObject({ type: 'shipping.failing', sink: 'siem' });
      expect(sink.batches).toEqual([]);
    }
  });

  it('ends a try that hangs, and tries the same batch again', async () => {
    const source = new MemoryLog();
    source.add(5);
    const sink = new ScriptedSink();
    sink.script = (_, signal) =>
      sink.batches.length > 2
        ? undefined
        : new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const { shipper } = await start(source, sink, undefined, { timeoutMs: 20 });
    await until(() => shipper.metrics().seq === 5);
    expect(sink.batches).toEqual([seqs(5), seqs(5), seqs(5)]);
    expect(shipper.metrics()).toMatchObject({ failures: 2, state: 'shipping' });
  });

  it('says so when a sink does not heed the time either, and never sends two batches at once', async () => {
    const source = new MemoryLog();
    source.add(15);
    const sink = new ScriptedSink();
    const disk = Promise.withResolvers<undefined>();
    sink.script = () => disk.promise;
    const { shipper } = await start(source, sink, undefined, { timeoutMs: 20 });
    await until(() => shipper.metrics().failures > 2);
    expect(shipper.metrics()).toMatchObject({ state: 'failing', reason: 'no answer within 20 ms', seq: 0 });
    expect(sink.batches).toHaveLength(1);
    disk.resolve(undefined);
    await until(() => shipper.metrics().seq === 15);
    expect([...new Set(sink.taken.map(({ event }) => event.seq))]).toEqual(seqs(15));
  });

  it('says how far behind a failing sink is, and why; after a while in the log too, and when it recovers', async () => {
    const source = new MemoryLog();
    source.add(7);
    const sink = new ScriptedSink();
    let down = true;
    sink.script = () => {
      if (down) throw new Undelivered('answered 403');
    };
    const { shipper, warnings } = await start(source, sink, undefined, { announceMs: 0 });
    await until(() => source.events_.some(({ type }) => type === 'shipping.failing'));
    expect(shipper.metrics()).toMatchObject({ state: 'failing', reason: 'answered 403', seq: 0, lagEvents: 7 });
    expect(shipper.metrics().lagSeconds).not.toBe(0);
    await until(() => shipper.metrics().failures > 3);
    down = false;
    await until(() => shipper.metrics().state === 'shipping');
    expect(shipper.metrics().reason).toBeUndefined();
    shipper.wake();
    await until(() => source.events_.length === shipper.metrics().seq);
    expect(source.events_.slice(7).map(({ type }) => type)).toEqual(['shipping.failing', 'shipping.recovered']);
    expect(warnings).toHaveLength(2);
  });

  it('survives a reader that fails', async () => {
    const source = new MemoryLog();
    source.add(3);
    source.broken = true;
    const sink = new ScriptedSink();
    const { shipper } = await start(source, sink);
    await until(() => shipper.metrics().failures > 1);
    source.broken = false;
    await until(() => shipper.metrics().seq === 3);
    expect(sink.taken).toHaveLength(3);
  });

  it('tries the very range again that it was sending, where batches are named by it', async () => {
    const source = new MemoryLog();
    source.add(4);
    const dir = scratch.dir();
    const sink = new ScriptedSink({ sameRange: true });
    sink.script = () => {
      expect(cursorOf(dir)).toMatchObject({ seq: 0, sending: 4 });
      throw new Undelivered('the answer was lost');
    };
    const { shipper } = await start(source, sink, dir);
    await until(() => shipper.metrics().failures > 0);
    await shipper.close();
    source.add(30);
    const again = new ScriptedSink({ sameRange: true });
    const later = await start(source, again, dir);
    await until(() => later.shipper.metrics().seq === 34);
    expect(again.batches[0]).toEqual([1, 2, 3, 4]);
    expect(cursorOf(dir)).toEqual({ log, seq: 34 });
  });

  it('waits for more where it gathers, and not for ever', async () => {
    const source = new MemoryLog();
    source.add(3);
    const sink = new ScriptedSink({ records: 5, gatherMs: 100_000 });
    const { shipper } = await start(source, sink);
    await until(() => source.asked >= 3);
    expect(sink.batches).toEqual([]);
    source.add(4);
    shipper.wake();
    await until(() => sink.batches.length > 0);
    expect(sink.batches).toEqual([seqs(5)]);
    const hasty = new ScriptedSink({ records: 50, gatherMs: 20 });
    const other = await start(source, hasty);
    await until(() => other.shipper.metrics().seq === 7);
    expect(hasty.batches).toEqual([seqs(7)]);
  });

  it('keeps a batch within its bytes, and cuts a record that is larger than the receiver takes', async () => {
    const source = new MemoryLog();
    source.add(6, (seq) => ({ text: 'x'.repeat(seq === 3 ? 50_000 : 400), verb: 'SELECT' }));
    const sink = new ScriptedSink({ bytes: 2000, recordBytes: 1500 });
    const { shipper } = await start(source, sink);
    await until(() => shipper.metrics().seq === 6);
    for (const { json } of sink.taken) expect(Buffer.byteLength(json)).toBeLessThanOrEqual(1500);
    expect(JSON.parse(sink.taken[2]!.json)).toMatchObject({
      seq: 3,
      verb: 'SELECT',
      text: { leftOut: { bytes: 50_002, start: `"${'x'.repeat(63)}` } },
    });
    expect(sink.taken.map(({ event }) => event.seq)).toEqual(seqs(6));
  });
});

describe('a record that is refused for good', () => {
  const lettersOf = (file: string): Record<string, unknown>[] =>
    readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  it('is found in its batch, reported with the reason, counted, and is an event; the others arrive', async () => {
    const source = new MemoryLog();
    source.add(20);
    const sink = new ScriptedSink();
    sink.script = (batch) => {
      if (batch.some(({ event }) => event.seq === 7)) throw new BatchRefused('answered 400: field too long');
    };
    const { shipper, deadLetters } = await start(source, sink);
    await until(() => shipper.metrics().refused === 1);
    await until(() => shipper.metrics().seq === 21);
    expect(shipper.metrics()).toMatchObject({ refused: 1, sent: 20, state: 'shipping' });
    expect(new Set(sink.taken.map(({ event }) => event.seq))).toEqual(new Set(seqs(21).filter((seq) => seq !== 7)));
    expect(lettersOf(deadLetters.file)).toMatchObject([
      { seq: 7, id: `${log}#7`, reason: 'answered 400: field too long', type: 'session.ended' },
    ]);
    expect(JSON.parse(String(lettersOf(deadLetters.file)[0]!.record))).toMatchObject({ seq: 7, session: 's7' });
    expect(source.events_.at(-1)).toMatchObject({
      type: 'shipping.refused',
      sink: 'siem',
      count: 1,
      first: 7,
      last: 7,
    });
  });

  it('is not given up by a receiver that refuses everything: that one is waited for', async () => {
    const source = new MemoryLog();
    source.add(30);
    const sink = new ScriptedSink();
    let wrong = true;
    sink.script = () => {
      if (wrong) throw new BatchRefused('answered 400: no such collector');
    };
    const { shipper } = await start(source, sink);
    await until(() => shipper.metrics().failures > 2);
    expect(shipper.metrics()).toMatchObject({ refused: 0, seq: 0, state: 'failing' });
    wrong = false;
    await until(() => shipper.metrics().seq === 30);
    expect(sink.taken.map(({ event }) => event.seq)).toEqual(seqs(30));
  });

  it('is looked for with few requests where all are refused', async () => {
    const source = new MemoryLog();
    source.add(400);
    const sink = new ScriptedSink({ records: 400 });
    sink.script = () => {
      throw new BatchRefused('answered 400: no such collector');
    };
    const { shipper } = await start(source, sink, undefined, { backoff: { firstMs: 1e6, mostMs: 1e6 } });
    await until(() => shipper.metrics().failures > 0);
    expect(sink.batches.length).toBeLessThan(60);
  });

  it('waits alone until another record tells that it is to blame', async () => {
    const source = new MemoryLog();
    source.add(1);
    const sink = new ScriptedSink();
    sink.script = (batch) =>
      batch.filter(({ event }) => event.seq === 1).map((record) => ({ record, reason: 'mapping' }));
    const { shipper } = await start(source, sink);
    await until(() => shipper.metrics().failures > 1);
    expect(shipper.metrics()).toMatchObject({ refused: 0, seq: 0 });
    source.add(1);
    await until(() => shipper.metrics().refused === 1);
    expect(sink.taken.map(({ event }) => event.seq)).toContain(2);
  });

  it('makes no event when it is about shipping itself, or events would never end', async () => {
    const source = new MemoryLog();
    source.add(4, (seq) => (seq === 2 ? { type: 'shipping.refused' } : {}));
    const sink = new ScriptedSink();
    sink.script = (batch) =>
      batch.filter(({ event }) => event.type === 'shipping.refused').map((record) => ({ record, reason: 'no' }));
    const { shipper } = await start(source, sink);
    await until(() => shipper.metrics().seq === 4);
    expect(shipper.metrics().refused).toBe(1);
    expect(source.events_).toHaveLength(4);
  });
});
